"""Tables as spreadsheets and scripts of several countries write them."""

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcnn.errors import ManifestError
from medcnn.io.dialect import read_cells, with_points
from medcnn.io.table import read_table

HEADER = ["path", "label", "age", "site"]
ROWS = [["a.png", "Ödem", "63,5", "Zürich, Nord"], ["b.png", "normal", "70", "Bern"], ["c.png", "normal", "", "Genève"]]


def written(separator: str, end: str = "\n") -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, lineterminator=end).writerows([HEADER, *ROWS])
    return stream.getvalue()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_every_dialect_gives_the_same_cells(separator: str, encoding: str, end: str) -> None:
    cells = read_cells(written(separator, end).encode(encoding), "m.csv")
    assert cells.names == tuple(HEADER)
    assert [list(row) for row in zip(*cells.columns, strict=True)] == [
        ["a.png", "Ödem", "63.5", "Zürich, Nord"], ["b.png", "normal", "70", "Bern"], ["c.png", "normal", "", "Genève"],
    ]  # fmt: skip
    assert any("Windows-1252" in note for note in cells.notes) == (encoding == "cp1252")


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs"]), max_size=8)


@given(st.lists(st.lists(texts, min_size=3, max_size=3), min_size=1, max_size=8), st.sampled_from(",;\t|"))
def test_what_the_csv_module_writes_is_read_back(rows: list[list[str]], separator: str) -> None:
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator).writerows([["one", "two", "three"], *rows])
    cells = read_cells(stream.getvalue().encode(), "m.csv")
    filled = [[cell.strip() for cell in row] for row in rows if any(map(str.strip, row))]
    back = [list(row) for row in zip(*cells.columns, strict=True)]
    assert back == [
        list(row) for row in zip(*(with_points(list(c), separator) for c in zip(*filled, strict=True)), strict=True)
    ]


def test_excels_line_of_the_separator_is_no_header() -> None:
    cells = read_cells(b"sep=;\r\npath;age\r\na.png;1,5\r\n", "m.csv")
    assert (cells.names, cells.columns) == (("path", "age"), (["a.png"], ["1.5"]))


def test_a_decimal_comma_is_no_thousands_separator() -> None:
    assert with_points(["1,234", "2,500"], ",") == ["1,234", "2,500"]
    assert with_points(["1,234", "2,50"], ",") == ["1.234", "2.50"]
    assert with_points(["1.234,5", "-0,5", "1e3", "unknown"]) == ["1234.5", "-0.5", "1e3", "unknown"]
    assert with_points(["0,75", "0.5"]) == ["0,75", "0.5"]


def test_short_rows_and_columns_without_a_name_are_noted() -> None:
    cells = read_cells(b",path,label,,\n0,a.png,ill,,\n1,b.png\n;\n", "m.csv".replace(";", ""))
    assert cells.names == ("path", "label")
    assert cells.columns[1] == ["ill", "", ""]
    assert any("2 rows end before the last column (first row 3)" in note for note in cells.notes)
    assert any("without a name" in note for note in cells.notes)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"path,label\na,b,c\n", "row 2 has 3 fields, the header 2; a comma"),
        (b'path,label\n"a,b\nc,d\n', "a quote is not closed"),
        (b"path, path\na,b\n", "column path appears twice"),
        (b"PK\x03\x04workbook", "found a workbook; save it as CSV UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "no text"),
        (b"\xef\xbb\xbf\n\n", "the file is empty"),
        (b"\xff\xfea", "utf-16 text and it is damaged"),
    ],
)
def test_what_cannot_be_read_is_named(data: bytes, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_cells(data, "m.csv")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cells_hold_no_invisible_characters(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,label\na.png,ill\u200b\nb.png,\u00a0ill \n", encoding="utf-8")
    assert read_table(tmp_path / "m.csv")["label"].tolist() == ["ill", "ill"]


def test_parquet_texts_have_decimal_points_too(tmp_path: Path) -> None:
    pd.DataFrame({"path": ["a", "b"], "age": ["63,5", "70"]}).to_parquet(tmp_path / "m.parquet")
    assert read_table(tmp_path / "m.parquet")["age"].tolist() == ["63.5", "70"]
