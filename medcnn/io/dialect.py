"""Delimited text as people's programs write it: encoding, separator, quotes, ragged rows and decimal commas."""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from medcnn.errors import ManifestError
from medcnn.printable import printable

SEPARATORS = ",;\t|"
#: Words for an unknown number.
NO_NUMBER = frozenset(("", "nan", "na", "n/a", "none", "null", "<na>", "unknown", "-", "?"))
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
#: Characters that nobody sees and no word needs: zero-width spaces and marks of direction or byte order.
HIDDEN = re.compile("[\u200b\u200e\u200f\u2060\ufeff]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_COMMA = re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d*),\d+([eE][-+]?\d+)?")
_NUMBER = re.compile(r"[-+]?\d+([eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+")
_SAMPLE = 50


@dataclass(frozen=True)
class Cells:
    """The cells of a table.

    Attributes:
        names: Names of the columns, each once.
        columns: The cells of each column, as stripped text.
        notes: What was assumed on reading, a line each.
    """

    names: tuple[str, ...]
    columns: tuple[list[str], ...]
    notes: tuple[str, ...]


def read_cells(data: bytes, name: str) -> Cells:
    """Read delimited text: comma, semicolon, tab or bar; UTF-8, UTF-16, or Windows-1252 with a note.

    Raises:
        ManifestError: It is no text, its header names a column twice, or a row has more fields than the header.
    """
    text, notes = _decoded(data, name)
    text, separator = _separator(HIDDEN.sub("", text))
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise ManifestError(
            f"manifest {name}: expected CSV or Parquet; a quote is not closed, or a cell ({error})"
        ) from None
    stripped = ([cell.strip() for cell in row] for row in rows)
    filled = [(at, row) for at, row in enumerate(stripped, 1) if any(row)]
    if not filled:
        raise ManifestError(f"manifest {name}: the file is empty; expected a row of names and one row per image")
    names = _header(filled[0][1], name)
    body, short = _same_length(filled[1:], names, name, separator)
    if short:
        notes.append(
            f"{len(short)} rows end before the last column (first row {short[0]}); what is missing counts as blank"
        )
    columns = [list(cells) for cells in zip(*body, strict=True)] if body else [[] for _ in names]
    unnamed = [at for at, one in enumerate(names) if not one]
    if any(any(columns[at]) for at in unnamed):
        notes.append(f"{len(unnamed)} columns without a name are left out")
    named = [at for at, one in enumerate(names) if one]
    return Cells(
        tuple(names[at] for at in named), tuple(with_points(columns[at], separator) for at in named), tuple(notes)
    )


def with_points(cells: list[str], separator: str = "") -> list[str]:
    """Write a column of numbers with decimal points, where all of it is numbers and it has decimal commas.

    >>> with_points(["0,75", "1", "", "1.234,5"])
    ['0.75', '1', '', '1234.5']
    >>> with_points(["1,234", "5"], ","), with_points(["1,5", "old"])
    (['1,234', '5'], ['1,5', 'old'])
    """
    if not any("," in cell for cell in cells):
        return cells
    known = [cell for cell in cells if cell.lower() not in NO_NUMBER]
    commas = [cell for cell in known if _COMMA.fullmatch(cell)]
    if not commas or not all(_COMMA.fullmatch(cell) or _NUMBER.fullmatch(cell) for cell in known):
        return cells
    if separator == "," and all(_THOUSANDS.fullmatch(cell) for cell in commas):
        return cells  # in quotes between commas: as likely thousands as decimals
    return [cell.replace(".", "").replace(",", ".") if _COMMA.fullmatch(cell) else cell for cell in cells]


def _decoded(data: bytes, name: str) -> tuple[str, list[str]]:
    if data[:2] == b"PK":
        raise ManifestError(f"manifest {name}: expected CSV or Parquet, found a workbook; save it as CSV UTF-8")
    encoding, notes = _encoding(data), list[str]()
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8":
            raise ManifestError(
                f"manifest {name}: expected {encoding} text and it is damaged; save it as CSV UTF-8"
            ) from None
        text = data.decode("cp1252", errors="replace")
        notes = [
            "the table is not UTF-8 and was read as Windows-1252; where names have wrong letters, save it as CSV UTF-8"
        ]
    if _CONTROL.search(text) or (notes and text.count("\ufffd") > len(text) // 100):
        raise ManifestError(f"manifest {name}: expected CSV or Parquet, found a file that is no text")
    return text, notes


def _encoding(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    head = data[:4096]
    # Text of a Western language in UTF-16 without a mark: every other byte is zero.
    if head[1::2].count(0) > len(head) // 4:
        return "utf-16-le"
    return "utf-16-be" if head[::2].count(0) > len(head) // 4 else "utf-8"


def _separator(text: str) -> tuple[str, str]:
    """The text without Excel's line ``sep=;``, and what separates its cells."""
    first, _, rest = text.partition("\n")
    if re.fullmatch(r"\"?sep=.\"?\r?", first, re.IGNORECASE):
        return rest, first.strip().strip('"')[4]
    lines = text.splitlines()[: _SAMPLE + 1]

    def fit(separator: str) -> tuple[float, int]:
        """The share of the rows that are as long as the header, and how long that is."""
        lengths = [len(row) for row in csv.reader(lines, delimiter=separator) if any(row)]
        if not lengths or lengths[0] < 2:
            return 0.0, 0
        return sum(length == lengths[0] for length in lengths) / len(lengths), lengths[0]

    return text, max(SEPARATORS, key=fit)


def _header(cells: Sequence[str], name: str) -> list[str]:
    names = [cell.removeprefix("\ufeff").strip() for cell in cells]
    twice = sorted({one for one in names if one and names.count(one) > 1})
    if twice:
        shown = ", ".join(printable(one, 40) for one in twice)
        raise ManifestError(f"manifest {name}: column {shown} appears twice; rename one")
    return names


def _same_length(
    rows: Sequence[tuple[int, list[str]]], names: Sequence[str], name: str, separator: str
) -> tuple[list[list[str]], list[int]]:
    """Rows as long as the header, and the numbers of those that were shorter."""
    fields, short, body = len(names), list[int](), list[list[str]]()
    for number, cells in rows:
        if any(cells[fields:]):
            comma = "; a comma in a number or a text needs quotes around it" if separator == "," else ""
            raise ManifestError(f"manifest {name}: row {number} has {len(cells)} fields, the header {fields}{comma}")
        if len(cells) < fields:
            short.append(number)
        body.append([*cells[:fields], *[""] * (fields - len(cells))])
    return body, short
