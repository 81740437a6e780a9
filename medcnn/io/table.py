"""A user's table as text, and its columns of findings and splits; each refusal names values and rows."""

import math
import re
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd

from medcnn.errors import ManifestError
from medcnn.io.dialect import HIDDEN, read_cells, with_points
from medcnn.positive import FALSE, TRUE
from medcnn.printable import printable

#: Words for a value that is not known, in small letters.
BLANK = frozenset(("", "nan", "na", "n/a", "none", "null", "<na>"))
UNKNOWN = BLANK | {"-1", "unknown"}
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(BLANK, ""),
}


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file, every cell as stripped text and every number with a decimal point.

    Returns:
        The table; ``attrs["notes"]`` holds what was assumed on reading, a line each.

    Raises:
        ManifestError: If the file is neither, is empty, or names a column twice.
    """
    try:
        data = path.read_bytes()
        if not data.strip():
            raise ManifestError(
                f"manifest {path.name}: the file is empty; expected a row of names and one row per image"
            )
        table, notes = _of_parquet(path) if data[:4] == b"PAR1" else _of_text(data, path.name)
    except FileNotFoundError:
        raise ManifestError(f"manifest {path.name}: no such file") from None
    except (OSError, ValueError) as error:  # pandas' and Arrow's errors are ValueErrors
        what = "expected CSV or Parquet, and the file is damaged or not whole; write it again"
        raise ManifestError(f"manifest {path.name}: {what} ({type(error).__name__})") from None
    if table.empty:
        raise ManifestError(f"manifest {path.name}: no rows; expected one for each image")
    table.attrs["notes"] = notes
    return table


def _of_text(data: bytes, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    cells = read_cells(data, name)
    return pd.DataFrame(dict(zip(cells.names, cells.columns, strict=True)), dtype=object), cells.notes


def _of_parquet(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    raw = pd.read_parquet(path)
    names = [str(name).strip() for name in raw.columns]
    cells = {name: with_points([_text(cell) for cell in raw.iloc[:, at]]) for at, name in enumerate(names)}
    if len(cells) < len(names):
        raise ManifestError(f"manifest {path.name}: a column appears twice; rename one")
    return pd.DataFrame(cells, dtype=object), ()


def _text(cell: object) -> str:
    """A cell as text: whole floats without their point, missing values empty."""
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, (float, np.floating)) and float(cell).is_integer():
        return str(int(cell))
    return HIDDEN.sub("", str(cell)).strip()


def finding(column: "pd.Series[str]") -> np.ndarray:
    """One finding float32 ``(n,)``: 1 present, 0 absent, NaN for blank, for -1 and for words that mean unknown."""
    values = [without_point(value).lower() for value in column]
    refuse_unknown(column.name, values, TRUE | FALSE, "expected 0, 1, true, false, yes, no or blank")
    return np.array([1.0 if v in TRUE else 0.0 if v in FALSE else np.nan for v in values], np.float32)


def split_names(column: "pd.Series[str]") -> list[str]:
    """Each split as ``train``, ``val``, ``test`` or empty."""
    values = [value.lower() for value in column]
    refuse_unknown(column.name, values, set(_SPLITS), "expected train, val, test or blank")
    return [_SPLITS.get(value, "") for value in values]


def is_split_name(name: str) -> bool:
    """Whether a folder of this name holds a split."""
    return bool(_SPLITS.get(name.lower()))


def split_name(name: str) -> str:
    """``train``, ``val`` or ``test`` for the name of a split's folder."""
    return _SPLITS[name.lower()]


def without_point(value: str) -> str:
    """Return ``1.0`` as ``1``: spreadsheets and pandas write whole numbers so where a cell of the column is blank."""
    whole = re.fullmatch(r"([-+]?\d+)\.0+", value)
    return whole.group(1) if whole else value


def same_text(value: str) -> str:
    """Return a text in one form of Unicode and with single blanks, so that equal texts are equal."""
    return " ".join(unicodedata.normalize("NFC", value).split())


def refuse_unknown(name: object, values: list[str], allowed: set[str] | frozenset[str], expected: str) -> None:
    """Raise a ManifestError for values that are neither allowed nor a word for unknown, with their rows."""
    bad = [(row, value) for row, value in enumerate(values) if value not in allowed and value.lower() not in UNKNOWN]
    if bad:
        shown = ", ".join(f"{printable(value, 40)!r} in row {row + 2}" for row, value in bad[:5])
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise ManifestError(f"column {name}: {expected}; found {shown}{more}")
