"""What lies beside a page: every table whole, every picture, nothing half written, nothing that a spreadsheet runs."""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sample_page import page_of_all, png

from medcnn.metrics.estimate import Estimate
from medcnn.report.page.blocks import Page, Picture, Section, Table
from medcnn.report.page.files import csv_of, pictures_of, put, with_index
from medcnn.report.page.html import write_page


def page(*blocks: object) -> Page:
    return Page("t", "", [Section("one", "One", blocks)])  # type: ignore[arg-type]


def rows(frame: pd.DataFrame) -> list[list[str]]:
    return list(csv.reader(io.StringIO(csv_of(frame))))


def test_every_block_leaves_its_files(tmp_path: Path) -> None:
    path = write_page(page_of_all(), tmp_path / "new" / "report")
    found = {str(file.relative_to(path.parent)) for file in path.parent.rglob("*") if file.is_file()}
    assert found == {
        "report.html", "tables/groups.csv", "tables/roc.csv", "tables/claim.csv",
        "pictures/roc.png", "pictures/cases.png", "pictures/w.png",
    }  # fmt: skip
    for picture in (path.parent / "pictures").iterdir():
        Image.open(picture).verify()


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", " =1", "\r=1", "\uff1d1"])
def test_text_that_a_spreadsheet_would_run_is_made_harmless_as_cell_and_as_name(text: str) -> None:
    head, row = rows(pd.DataFrame({text: [text]}))
    assert head[0].startswith("'")
    assert row[0].startswith("'")
    assert row[0][1:] == text.replace("\r", r"\r").replace("\t", r"\t")


@pytest.mark.parametrize("text", ["-0.5", "+3", "-inf", "1-2", "a=b", "", "c012"])
def test_numbers_and_harmless_text_stay_as_they_are(text: str) -> None:
    assert rows(pd.DataFrame({"a": [text, "x"]}))[1] == [text]


@given(st.lists(st.floats(allow_infinity=False), min_size=1, max_size=5))
def test_numbers_come_back_to_the_last_digit(values: list[float]) -> None:
    back = pd.read_csv(io.StringIO(csv_of(pd.DataFrame({"a": values, "b": 1}))), float_precision="round_trip")
    np.testing.assert_array_equal(back["a"].to_numpy(dtype=float), np.array(values))


def test_an_estimate_becomes_columns_of_numbers_and_its_reason() -> None:
    frame = pd.DataFrame({"g": ["a", "b"], "AUROC": [Estimate(0.5, 0.25, 0.75, 9), Estimate(np.nan, reason="=few")]})
    head, first, second = rows(frame)
    assert head == ["g", "AUROC", "AUROC low", "AUROC high", "AUROC n", "AUROC reason"]
    assert first == ["a", "0.5", "0.25", "0.75", "9", ""]
    assert second == ["b", "", "", "", "0", "'=few"]


def test_an_index_that_says_something_is_kept() -> None:
    counts = pd.DataFrame([[1, 2], [3, 4]], index=["sick", "well"], columns=["called sick", "called well"])
    assert rows(counts)[1] == ["sick", "1", "2"]
    chosen = pd.DataFrame({"a": [1, 2, 3]})[lambda frame: frame["a"] > 1]
    assert list(with_index(chosen).columns) == ["a"]


def test_a_table_without_rows_or_columns_is_a_file() -> None:
    assert rows(pd.DataFrame(columns=["a", "b"])) == [["a", "b"]]
    assert csv_of(pd.DataFrame()).strip() == ""


@pytest.mark.parametrize("name", ["../up", "a/b", "A", "", ".hidden", "a b", "a" * 101, "a\n"])
def test_a_name_that_is_unsafe_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name of a block"):
        write_page(page(Table(name, pd.DataFrame())), tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_name_may_stand_once() -> None:
    with pytest.raises(ValueError, match="2 blocks"):
        write_page(page(Table("a", pd.DataFrame()), Picture("a", png(), "alt")), Path("nowhere"))


@pytest.mark.parametrize("name", ["../report.html", "report", "a/b.html", ".html"])
def test_a_page_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name of a page"):
        write_page(page(), tmp_path, name)


def test_what_fails_midway_leaves_the_folder_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_page(page(Table("a", pd.DataFrame({"x": [1]}))), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    whole, written = Path.write_bytes, []

    def full(path: Path, content: bytes) -> int:
        written.append(path)
        if len(written) == 2:
            raise OSError("no space left")
        return whole(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        write_page(page(Table("a", pd.DataFrame({"x": [2]}))), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_else_lies_in_the_folder_stays_and_no_draft_is_left(tmp_path: Path) -> None:
    (tmp_path / "model_card.json").write_text("{}")
    put({"a.txt": "new", "tables/b.csv": b"x"}, tmp_path)
    put({"a.txt": "newer"}, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model_card.json", "a.txt", "tables"}
    assert (tmp_path / "a.txt").read_text() == "newer"


def test_a_figure_is_saved_the_same_twice() -> None:
    assert pictures_of(page_of_all()) == pictures_of(page_of_all())
