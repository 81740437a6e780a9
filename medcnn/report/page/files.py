"""The files of a report: a CSV for every table, a PNG for every picture, and how a folder of them is written."""

import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from medcnn.files import create_draft
from medcnn.metrics.estimate import Estimate
from medcnn.report.page.blocks import Checklist, Page, Picture, Table
from medcnn.report.page.wording import NOT_PROVIDED
from medcnn.spreadsheet import safe_cell

SHARPNESS = 1.6  # pixels of a saved picture to one of the figure: its letters stay sharp on a dense screen
_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,99}")
_ANCHOR = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_PAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.html")
_PNG = b"\x89PNG\r\n\x1a\n"


def check_names(page: Page) -> None:
    """Refuse names that are unsafe as a file or an anchor, or that stand twice.

    Raises:
        ValueError: With the name and what it may hold.
    """
    files = [block.name for block in page.blocks() if isinstance(block, Table | Picture | Checklist)]
    _check("block", files, _FILE_NAME, "lower case letters, digits and underscores")
    _check("section", [section.name for section in page.sections], _ANCHOR, "lower case letters, digits and hyphens")


def check_page_name(name: str) -> None:
    """Refuse the name of a page that would leave its folder or is no page."""
    if not _PAGE_NAME.fullmatch(name):
        raise ValueError(f"expected the name of a page as letters, digits, _ and - with .html behind, found {name!r}")


def tables_of(page: Page) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and rows of every table of the page, those behind its pictures and its checklists among them."""
    for block in page.blocks():
        if isinstance(block, Table):
            yield block.name, block.frame
        elif isinstance(block, Picture) and block.table is not None:
            yield block.name, block.table
        elif isinstance(block, Checklist):
            rows = [asdict(item) | {"answer": item.answer or NOT_PROVIDED} for item in block.items]
            yield block.name, pd.DataFrame(rows, columns=list(_ITEM))


def pictures_of(page: Page) -> dict[str, bytes]:
    """Name to PNG of every picture of the page; a ValueError if one is none."""
    found = {block.name: _png(block.picture) for block in page.blocks() if isinstance(block, Picture)}
    for name, png in found.items():
        if not png.startswith(_PNG) or len(png) < 33:
            raise ValueError(f"picture {name!r}: expected the bytes of a PNG, found {png[:8]!r}")
    return found


def with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its index as columns, where that says more than a row's number."""
    if isinstance(frame.index, pd.RangeIndex):
        return frame
    if len(frame) and frame.index.nlevels == 1 and frame.index.name is None and frame.index.dtype.kind in "iu":
        return frame.reset_index(drop=True)  # rows that were chosen out of a longer table
    named = [str(name) if name is not None else "" for name in frame.index.names]
    return frame.reset_index(names=named, allow_duplicates=True)


def csv_of(frame: pd.DataFrame) -> str:
    """A table as CSV: numbers whole, an estimate as three columns, text that a spreadsheet would run made harmless."""
    columns: list[pd.Series] = []
    spread = with_index(frame)
    for place, name in enumerate(spread.columns):
        values = spread.iloc[:, place]
        columns += _columns(str(safe_cell(str(name))), values)
    table = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=spread.index)
    return table.to_csv(index=False, lineterminator="\n")


def put(texts: Mapping[str, str | bytes], folder: Path) -> None:
    """Write files under a folder, each whole or not at all, in their order.

    All of them are on the disk before the first takes its place: what fails midway leaves the folder as it was.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    drafts: dict[str, Path] = {}
    try:
        for name, content in texts.items():
            drafts[name] = create_draft(folder / Path(name).name)
            whole = content if isinstance(content, bytes) else content.encode("utf-8", errors="replace")
            drafts[name].write_bytes(whole)
        for name, draft in drafts.items():
            (folder / name).parent.mkdir(exist_ok=True, mode=0o700)
            draft.replace(folder / name)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


_ITEM = ("number", "topic", "asks", "answer")


def _check(what: str, names: list[str], pattern: re.Pattern[str], allowed: str) -> None:
    for name, times in Counter(names).items():
        if not pattern.fullmatch(name):
            raise ValueError(f"expected the name of a {what} in {allowed}, found {name!r}")
        if times > 1:
            raise ValueError(f"the name {name!r} stands for {times} {what}s of one page; each needs its own")


def _png(picture: Figure | bytes) -> bytes:
    if isinstance(picture, bytes):
        return picture
    stream = io.BytesIO()
    # Without the program's name the same figure is the same file.
    picture.savefig(stream, format="png", dpi=picture.dpi * SHARPNESS, metadata={"Software": None})
    return stream.getvalue()


def _columns(name: str, values: pd.Series) -> list[pd.Series]:
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(values.dtype):
        return [values.rename(name)]
    cells = values.tolist()
    if not any(isinstance(cell, Estimate) for cell in cells):
        return [pd.Series([safe_cell(cell) for cell in cells], index=values.index, name=name, dtype=object)]
    known = [cell if isinstance(cell, Estimate) else Estimate(float("nan"), reason=_told(cell)) for cell in cells]
    parts = {"": "value", " low": "low", " high": "high", " n": "n", " reason": "reason"}
    return [
        pd.Series([safe_cell(getattr(cell, part)) for cell in known], index=values.index, name=name + end)
        for end, part in parts.items()
    ]


def _told(cell: object) -> str:
    return cell if isinstance(cell, str) else ""
