"""A table as the page shows it: its first rows in words, and a note for every figure that wants one."""

import re
import string
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from medcnn.metrics.estimate import Estimate
from medcnn.report.page import wording
from medcnn.report.page.files import with_index

LONG, SENTENCE = 18, 60  # characters
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


class Cell(NamedTuple):
    """What stands in one place of a table.

    Attributes:
        text: As it reads.
        known: False where there is nothing to tell.
        interval: ``0.874 to 0.941``, which may go to a line of its own; "" for none.
        mark: Letter of the note that explains it; "" for none.
    """

    text: str
    known: bool
    interval: str = ""
    mark: str = ""


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: As it reads.
        figures: Whether it holds figures, which stand at the right.
        long: Whether it holds text that wants room, or its rows would grow tall on a narrow screen.
        sentences: Whether it holds sentences, which want most of the width.
    """

    name: str
    figures: bool
    long: bool
    sentences: bool = False


class Grid(NamedTuple):
    """The rows of a table that a page shows.

    Attributes:
        columns: From left to right.
        rows: As many cells each as there are columns.
        total: Rows of the whole table.
        notes: Letter to what it says.
        named: Whether the first column names the rows.
    """

    columns: list[Column]
    rows: list[list[Cell]]
    total: int
    notes: dict[str, str]
    named: bool


def grid(frame: pd.DataFrame, shown: int) -> Grid:
    """The first ``shown`` rows of a table; no other row is looked at.

    Reasons that estimates give become notes, each once, under a letter; those that differ in their numbers alone share
    one, which tells the numbers as a range.
    """
    top = with_index(frame.head(max(shown, 0)))
    reasons: dict[str, list[str]] = {}
    columns, cells = [], []
    for place, name in enumerate(top.columns):
        values = top.iloc[:, place].tolist()
        style = wording.column_style(str(name), values)
        told = [_cell(value, style, reasons) for value in values]
        figures = _holds_figures(values, top.iloc[:, place])
        longest = 0 if figures else max((len(cell.text) for cell in told), default=0)
        columns.append(Column(wording.text(name), figures, longest > LONG, longest > SENTENCE))
        cells.append(told)
    rows = [list(row) for row in zip(*cells, strict=True)]
    notes = {_letter(place): wording.text(_together(alike)) for place, alike in enumerate(reasons.values())}
    named = bool(columns) and not columns[0].figures
    return Grid(columns, rows, len(frame), notes, named)


def _cell(value: object, style: Callable[[float], str], reasons: dict[str, list[str]]) -> Cell:
    if not isinstance(value, Estimate):
        return Cell(wording.cell(value, style), wording.is_known(value))
    mark = ""
    if value.reason:
        kind = _NUMBER.sub("#", value.reason)
        reasons.setdefault(kind, []).append(value.reason)
        mark = _letter(list(reasons).index(kind))
    return Cell(wording.share(value.value), wording.is_known(value), wording.interval(value), mark)


def _together(reasons: list[str]) -> str:
    """Sentences that differ in their numbers alone as one: ``7 to 12 cases, and fewer than 20 are not judged``."""
    columns = zip(*(_NUMBER.findall(reason) for reason in reasons), strict=True)
    ranges = iter([_range(list(column)) for column in columns])
    return _NUMBER.sub(lambda _: next(ranges), reasons[0])


def _range(numbers: list[str]) -> str:
    ordered = sorted(set(numbers), key=lambda number: float(number.replace(",", "")))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def _letter(number: int) -> str:
    more, place = divmod(number, 26)
    return (_letter(more - 1) if more else "") + string.ascii_lowercase[place]


def _holds_figures(values: list[object], column: pd.Series) -> bool:
    if pd.api.types.is_bool_dtype(column.dtype):
        return False
    if pd.api.types.is_numeric_dtype(column.dtype):
        return True
    known = [value for value in values if wording.is_known(value)]
    figures = any(isinstance(value, Estimate) for value in values) or bool(known)
    return figures and all(isinstance(value, Estimate | int | float) and not isinstance(value, bool) for value in known)
