"""Cells that no spreadsheet runs and no terminal acts on, and back."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcnn.printable import printable
from medcnn.spreadsheet import original_frame, safe_cell, write_frame


@pytest.mark.parametrize("text", ["=1+1", "+A1", "-A1", "@SUM(A1)", " =1+1", "＝1+1"])
def test_no_cell_is_taken_for_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["+", "-", "-1", "1e-5", "+0.5", "-inf"])
def test_signs_and_numbers_stay_as_they_are(text: str) -> None:
    assert safe_cell(text) == text


def test_names_that_are_no_text_are_shown_in_one_line() -> None:
    assert safe_cell("a\r\nb\x1b[31m\x9b\u202e\u2028") == r"a\r\nb\x1b[31m\x9b\u202e\u2028"


@given(st.text())
def test_a_cell_is_one_printable_line_of_no_formula(text: str) -> None:
    safe = safe_cell(text)
    assert printable(safe) == safe  # nothing is left to escape
    assert len(safe.strip()) < 2 or not safe.lstrip().startswith("=")
    assert safe_cell(safe) == safe


def test_a_table_of_strange_names_is_private_and_reads_back(tmp_path: Path) -> None:
    frame = pd.DataFrame({"probability/=a": [0.25, -0.5], "=cmd()": ["-ve", "+ve"], "n": [1, 2]})
    path = tmp_path / "cases.csv"
    write_frame(path, frame)
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["probability/=a", "'=cmd()", "n"]
    assert rows[1] == ["0.25", "'-ve", "1"]
    pd.testing.assert_frame_equal(original_frame(pd.read_csv(path)), frame)
