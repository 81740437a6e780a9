from pathlib import Path

import pandas as pd
import pytest

from medcnn.scoring.findings import Layout, sort_rows, write_tables
from medcnn.scoring.ledger import Ledger, Row, Stamp


def test_an_empty_ledger_gives_tables_with_headers_alone(tmp_path: Path) -> None:
    layout = Layout("digest", ("a", "b"), "0.5", lambda rows: ["a"] * len(rows))
    with Ledger(tmp_path, {}) as ledger:
        write_tables(ledger.out, layout, [], [])
    for table in (pd.read_csv(tmp_path / "findings.csv"), pd.read_parquet(tmp_path / "findings.parquet")):
        assert table.empty
        assert list(table.columns) == layout.columns


def test_the_old_table_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    def broken(rows: object) -> list[str]:
        raise ZeroDivisionError

    with Ledger(tmp_path, {}) as ledger:
        write_tables(ledger.out, Layout("old", (), "", lambda rows: [""] * len(rows)), [], [])
        ledger.write([Row(b"film", Stamp(1, 1), "scored")])
        with pytest.raises(ZeroDivisionError):
            write_tables(ledger.out, Layout("new", (), "", broken), *sort_rows(ledger, {b"film": Stamp(1, 1)}))
    assert pd.read_csv(tmp_path / "findings.csv").empty
