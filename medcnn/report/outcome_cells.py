"""Cells of a table of predictions as numbers and words; each refusal names the column and the row."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from medcnn.errors import ReportError
from medcnn.report.outcome import UNKNOWN, Array

#: What stands for a value that is not known, in small letters.
MISSING = ("", "nan", "none", "na", "<na>", "-1", "-1.0", UNKNOWN)
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")


def of_each(frame: pd.DataFrame, part: str, classes: Sequence[str]) -> Array:
    """Numbers ``(n, K)`` from a column for each class.

    Raises:
        ReportError: A column is missing, or holds something else than numbers.
    """
    missing = [f"{part}{name}" for name in classes if f"{part}{name}" not in frame]
    if missing:
        raise ReportError(f"a table of predictions of {len(classes)} classes needs {missing[0]}; found {listed(frame)}")
    columns = [numbers(frame, f"{part}{name}") for name in classes]
    return np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0))


def numbers(frame: pd.DataFrame, name: str) -> Array:
    """Numbers ``(n,)`` from a column, NaN where it is empty or says unknown; a ReportError for anything else."""
    given = frame[name]
    found = pd.to_numeric(given, errors="coerce").to_numpy(dtype=np.float64)
    words = given[np.isnan(found) & given.notna().to_numpy()].astype(str)
    wrong = words[~words.str.strip().str.lower().isin(MISSING)]
    if len(wrong):
        word = wrong.iloc[0].strip()[:40]
        comma = _DECIMAL_COMMA.fullmatch(word)
        expected = f"a decimal point, as {word.replace(',', '.')}" if comma else "a number"
        raise ReportError(f"column {name[:60]} holds {word!r} in row {wrong.index[0] + 1}; expected {expected}")
    return found


def texts(frame: pd.DataFrame, name: str, keep_case: bool = False) -> pd.Series:
    """Words of a column without the blanks around them; a ReportError where there is no such column."""
    if name not in frame:
        raise ReportError(f"a table of predictions has a column {name}; found {listed(frame)}")
    given = frame[name]
    words = given.astype(object).where(given.notna(), "").astype(str).str.strip()
    return words if keep_case else words.str.lower()


def listed(frame: pd.DataFrame) -> str:
    """The first columns of a table, for a message."""
    return ", ".join(str(name)[:60] for name in list(frame)[:8]) or "no column"
