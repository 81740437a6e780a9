"""Cells of CSV files that no spreadsheet takes for a formula and no terminal acts on: names come from strangers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medcnn.files import write_atomic
from medcnn.printable import printable

#: Begin a formula; the last four are the same signs in full width.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def safe_cell(value: Any) -> Any:
    r"""Escape a text; put an apostrophe before one that a spreadsheet would run. Anything else is returned as it is.

    >>> safe_cell("=HYPERLINK(A1)"), safe_cell("-0.5"), safe_cell("-"), safe_cell("a\x1b[2J"), safe_cell(-0.5)
    ("'=HYPERLINK(A1)", '-0.5', '-', 'a\\x1b[2J', -0.5)
    """
    if not isinstance(value, str):
        return value
    text, inner = printable(value), value.strip()
    # One sign alone is no formula, and laboratories report "+" and "-".
    return f"'{text}" if len(inner) > 1 and inner.startswith(_FORMULA) and not _is_number(inner) else text


def original_cell(value: Any) -> Any:
    """Take away the apostrophe that ``safe_cell`` put before a text.

    >>> original_cell("'=HYPERLINK(A1)"), original_cell("'t Hooft")
    ('=HYPERLINK(A1)', "'t Hooft")
    """
    guarded = isinstance(value, str) and value.startswith("'") and value[1:].lstrip().startswith(_FORMULA)
    return value[1:] if guarded else value


def write_frame(path: Path, frame: Any) -> None:
    """Write a pandas table as CSV with safe cells and column names, whole or not at all, for its owner alone."""
    safe = _mapped(frame, safe_cell)
    write_atomic(path, lambda draft: safe.to_csv(draft, index=False))


def original_frame(frame: Any) -> Any:
    """Return a pandas table as it was before ``write_frame`` made its cells safe."""
    return _mapped(frame, original_cell)


def _mapped(frame: Any, change: Any) -> Any:
    columns = dict(_texts(frame, change))
    return frame.assign(**columns).rename(columns=change) if columns else frame.rename(columns=change)


def _texts(frame: Any, change: Any) -> Iterator[tuple[str, Any]]:
    """Columns that hold text, changed; numbers keep their type and their digits."""
    for name, values in frame.items():
        if values.dtype.kind not in "biufcmM":
            yield name, values.map(change)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
