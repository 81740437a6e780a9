"""Cells of a user's table to text, labels, findings and splits; each refusal names values and rows."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from medcnn.errors import ManifestError

_BLANK = frozenset(("", "nan", "na", "n/a", "none", "null", "<na>"))
_UNKNOWN = _BLANK | {"-1"}
_TRUE = frozenset(("1", "true", "yes", "y", "positive"))
_FALSE = frozenset(("0", "false", "no", "n", "negative"))
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(_BLANK, ""),
}


def read_table(path: Path) -> pd.DataFrame:
    """A CSV (comma, semicolon or tab; UTF-8 with or without a mark) or Parquet file, every cell as stripped text.

    Raises:
        ManifestError: If the file is neither, is empty, or names a column twice.
    """
    try:
        head = path.read_bytes()[:4]
        if not head.strip():
            raise ManifestError(
                f"manifest {path.name}: the file is empty; expected a row of names and one for each image"
            )
        raw = pd.read_parquet(path) if head == b"PAR1" else _read_csv(path)
    except FileNotFoundError:
        raise ManifestError(f"manifest {path.name}: no such file") from None
    except UnicodeDecodeError:
        raise ManifestError(f"manifest {path.name}: expected UTF-8 text; save it as CSV UTF-8 or Parquet") from None
    except (OSError, ValueError, csv.Error) as error:  # pandas' and Arrow's errors are ValueErrors
        what = "the file is damaged or not whole; write it again" if head == b"PAR1" else "expected CSV or Parquet"
        raise ManifestError(f"manifest {path.name}: {what} ({type(error).__name__})") from None
    names = [str(name).strip() for name in raw.columns]
    if raw.empty:
        raise ManifestError(f"manifest {path.name}: no rows; expected one for each image")
    cells = {name: [_text(cell) for cell in raw.iloc[:, at]] for at, name in enumerate(names)}
    return pd.DataFrame(cells, dtype=object)


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        head = stream.readline()
    separator = max(",;\t", key=head.count)
    names = [name.strip() for name in next(csv.reader([head], delimiter=separator), [])]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:  # pandas would rename the second silently
        raise ManifestError(f"manifest {path.name}: column {', '.join(twice)} appears twice; rename one")
    _refuse_ragged(path, separator, len(names))
    return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig", header=0)


def _refuse_ragged(path: Path, separator: str, fields: int) -> None:
    """Refuse a row with more fields than the header: pandas would take its first ones for an index, or name no row."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for row, cells in enumerate(csv.reader(stream, delimiter=separator), 1):
            if len(cells) > fields:
                comma = "; a comma in a number or a text needs quotes around it" if separator == "," else ""
                raise ManifestError(
                    f"manifest {path.name}: row {row} has {len(cells)} fields, the header {fields}{comma}"
                )


def _text(cell: object) -> str:
    """A cell as text: whole floats without their point, missing values empty."""
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, (float, np.floating)) and float(cell).is_integer():
        return str(int(cell))
    return str(cell).strip()


def labels(column: "pd.Series[str]", classes: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class numbers int64 ``(n,)`` and class names; blank, NaN and -1 are -1, unknown.

    Args:
        column: Names of classes or whole numbers.
        classes: The classes in order; all values found, sorted, if None.

    Raises:
        ManifestError: If a value is neither a class nor its number.
    """
    values = [_without_point(value) for value in column]
    known = [value for value in values if value.lower() not in _UNKNOWN]
    if classes is None:
        classes = sorted(set(known), key=lambda value: (0, int(value), "") if value.isdigit() else (1, 0, value))
    number = {str(name): at for at, name in enumerate(classes)}
    for at in range(len(classes)):
        number.setdefault(str(at), at)
    _refuse_unknown(column.name, values, set(number), f"expected {', '.join(map(str, classes))} or blank")
    return np.array([number.get(value, -1) for value in values], np.int64), tuple(str(name) for name in classes)


def finding(column: "pd.Series[str]") -> np.ndarray:
    """One finding float32 ``(n,)``: 1 present, 0 absent, NaN for blank and for -1, unknown or uncertain."""
    values = [_without_point(value).lower() for value in column]
    _refuse_unknown(column.name, values, _TRUE | _FALSE, "expected 0, 1, true, false, yes, no or blank")
    return np.array([1.0 if v in _TRUE else 0.0 if v in _FALSE else np.nan for v in values], np.float32)


def split_names(column: "pd.Series[str]") -> list[str]:
    """Each split as ``train``, ``val``, ``test`` or empty."""
    values = [value.lower() for value in column]
    _refuse_unknown(column.name, values, set(_SPLITS), "expected train, val, test or blank")
    return [_SPLITS.get(value, "") for value in values]


def is_split_name(name: str) -> bool:
    """Whether a folder of this name holds a split."""
    return bool(_SPLITS.get(name.lower()))


def split_name(name: str) -> str:
    """``train``, ``val`` or ``test`` for the name of a split's folder."""
    return _SPLITS[name.lower()]


def _without_point(value: str) -> str:
    """``1.0`` as ``1``: pandas writes whole numbers so beside a blank."""
    whole = value[:-2] if value.endswith(".0") else value
    return whole if whole.lstrip("-").isdigit() else value


def _refuse_unknown(name: object, values: list[str], allowed: set[str] | frozenset[str], expected: str) -> None:
    bad = [(row, value) for row, value in enumerate(values) if value not in allowed and value.lower() not in _UNKNOWN]
    if bad:
        shown = ", ".join(f"{value[:40]!r} in row {row + 2}" for row, value in bad[:5])
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise ManifestError(f"column {name}: {expected}; found {shown}{more}")
