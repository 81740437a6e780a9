"""The tables of a scoring folder, written whole from its ledger, each in one stroke."""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from medcnn.files import write_atomic
from medcnn.printable import printable
from medcnn.scoring.ledger import Ledger, Row, Stamp
from medcnn.spreadsheet import safe_cell

GONE = "not in SOURCE now, or changed since; the ledger keeps what was found"

#: Rows turned into Parquet at a time, so that a million findings never stand in memory.
_GROUP = 20_000


@dataclass(frozen=True)
class Layout:
    """What the findings of one model look like.

    Attributes:
        model: Digest of the model.
        classes: Names of the classes or findings, in the order of the probabilities.
        threshold: The stored threshold in words, empty where the model has none.
        call: From rows of probabilities to what each is called.
    """

    model: str
    classes: tuple[str, ...]
    threshold: str
    call: Callable[[Sequence[Sequence[float]]], list[str]]

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the findings."""
        probabilities = [f"probability/{name}" for name in self.classes]
        return ["path", "study", "series", "sop", "model", *probabilities, "call", "threshold", "flags"]

    def lines(self, rows: Sequence[Row]) -> list[list[Any]]:
        """Findings of scored rows, one list of cells each."""
        calls = self.call([row.probabilities for row in rows])
        return [
            [printable(row.name), row.study, row.series, row.sop, self.model, *row.probabilities, call, self.threshold,
             ";".join(row.flags)]
            for row, call in zip(rows, calls, strict=True)
        ]  # fmt: skip


def write_tables(out: Path, layout: Layout, current: Sequence[Row], gone: Sequence[Row]) -> None:
    """Write ``findings.csv``, ``findings.parquet`` and ``skipped.csv``; a reader sees the old or the new."""
    scored = [row for row in current if row.state == "scored"]
    write_atomic(out / "findings.csv", lambda path: write_csv(path, layout.columns, _chunks(layout, scored)))
    write_atomic(out / "findings.parquet", lambda path: _write_parquet(path, layout, scored))
    write_skipped(out, current, gone)


def sort_rows(ledger: Ledger, present: Mapping[bytes, Stamp]) -> tuple[list[Row], list[Row]]:
    """Split the rows into those of files that are in the source as they were, and those of files that are not.

    Args:
        ledger: The rows.
        present: Name and stamp of every file that the source holds now.
    """
    current: list[Row] = []
    gone: list[Row] = []
    for row in ledger.rows():
        (current if present.get(row.name) == row.stamp else gone).append(row)
    return current, gone


def write_skipped(out: Path, current: Iterable[Row], gone: Iterable[Row]) -> None:
    """Write ``skipped.csv``: each file without a finding with its reason, and each that is gone."""
    columns = ["path", "study", "series", "state", "reason", "sentence"]
    lines = [
        [printable(row.name), row.study, row.series, row.state, row.reason, row.sentence]
        for row in current
        if row.state != "scored"
    ]
    lines += [[printable(row.name), row.study, row.series, "gone", "gone", GONE] for row in gone]
    write_atomic(out / "skipped.csv", lambda path: write_csv(path, columns, lines))


def write_summary(out: Path, summary: dict[str, Any]) -> None:
    """Write ``summary.json`` anew."""
    text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    write_atomic(out / "summary.json", lambda path: path.write_text(text, encoding="utf-8"))


def _chunks(layout: Layout, rows: Sequence[Row]) -> Iterable[list[Any]]:
    for start in range(0, len(rows), _GROUP):
        yield from layout.lines(rows[start : start + _GROUP])


def write_csv(path: Path, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Write a table of cells that no spreadsheet takes for formulas."""
    stream: TextIO
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow([safe_cell(name) for name in columns])
        table.writerows([_cell(value) for value in line] for line in lines)


def _cell(value: object) -> object:
    # Nine digits are enough for a float32 to come back as it was.
    return f"{value:.9g}" if isinstance(value, float) else safe_cell(value)


def _write_parquet(path: Path, layout: Layout, rows: Sequence[Row]) -> None:
    kinds = {name: pa.float32() for name in layout.columns if name.startswith("probability/")}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in layout.columns])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(rows), _GROUP):
            lines = layout.lines(rows[start : start + _GROUP])
            columns = list(zip(*lines, strict=True))
            arrays = [pa.array(column, type=kind.type) for column, kind in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
