from pathlib import Path

import pandas as pd
import pytest

from medcnn.scoring.findings import Layout, safe_cell, shown, write_tables
from medcnn.scoring.ledger import Ledger, Row, Stamp


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_cell_is_taken_for_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


def test_numbers_keep_every_digit_of_a_float32() -> None:
    assert safe_cell(0.10000000149011612) == "0.100000001"
    assert safe_cell(-0.5) == "-0.5"


def test_names_that_are_no_text_are_shown_in_one_line() -> None:
    assert shown("Jürgen/ä b.dcm".encode()) == "Jürgen/ä b.dcm"
    assert shown(b"\xff\ta\r\nb\x1b[31m") == r"\xff\x09a\x0d\x0ab\x1b[31m"


def test_an_empty_ledger_gives_tables_with_headers_alone(tmp_path: Path) -> None:
    layout = Layout("digest", ("a", "b"), "0.5", lambda rows: ["a"] * len(rows))
    with Ledger(tmp_path, {}) as ledger:
        write_tables(ledger, layout)
    for table in (pd.read_csv(tmp_path / "findings.csv"), pd.read_parquet(tmp_path / "findings.parquet")):
        assert table.empty
        assert list(table.columns) == layout.columns


def test_the_old_table_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    def broken(rows: object) -> list[str]:
        raise ZeroDivisionError

    with Ledger(tmp_path, {}) as ledger:
        write_tables(ledger, Layout("old", (), "", lambda rows: [""] * len(rows)))
        ledger.write([Row(b"film", Stamp(1, 1), "scored")])
        with pytest.raises(ZeroDivisionError):
            write_tables(ledger, Layout("new", (), "", broken))
    assert pd.read_csv(tmp_path / "findings.csv").empty
