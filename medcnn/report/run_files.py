"""Files that a run left behind, for the page: read if they are there and whole, told about if they are not."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from medcnn.spreadsheet import original_frame

_PNG = b"\x89PNG\r\n\x1a\n"
#: A picture beyond this would make the page too heavy to open.
_LARGEST = 8_000_000


def read_picture(folder: Path | None, place: str) -> bytes | None:
    """The bytes of a PNG of the run; None where there is none, or none that could stand on a page.

    Args:
        folder: Of the run's artifacts; None where there are none.
        place: Below it.
    """
    path = None if folder is None else folder / place
    if path is None or not path.is_file() or path.stat().st_size > _LARGEST:
        return None
    found = path.read_bytes()
    return found if found.startswith(_PNG) else None


def read_table(folder: Path | None, place: str, columns: Sequence[str]) -> tuple[pd.DataFrame | None, str]:
    """A table of the run, and why it is missing if it is there but cannot be used.

    Args:
        folder: Of the run's artifacts; None where there are none.
        place: Below it.
        columns: That it must have.
    """
    path = None if folder is None else folder / place
    if path is None or not path.is_file():
        return None, ""
    try:
        table = original_frame(pd.read_csv(path, keep_default_na=False, na_values=[""]))
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
        return None, f"{place} cannot be read ({type(error).__name__})"
    missing = [name for name in columns if name not in table]
    if missing:
        return None, f"{place} has no column {missing[0]}"
    return (table, "") if len(table) else (None, f"{place} is empty")
