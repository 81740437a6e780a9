"""The table of a folder of brains, written whole from its ledger, each in one stroke."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import medcnn
from medcnn.files import write_atomic
from medcnn.printable import printable
from medcnn.scoring.findings import write_csv, write_skipped, write_summary
from medcnn.scoring.ledger import Row
from medcnn.scoring.segment_tables import case_of, path_of
from medcnn.scoring.tally import Tally
from medcnn.transforms.strip_quality import FIGURES

#: What a ledger holds for a figure that could not be measured; none of them is negative. Blank in the table.
UNMEASURED = -1.0
COLUMNS = ["case", "path", "study", "series", "good", "probability", *FIGURES, "flags"]


def write_strips(out: Path, current: Sequence[Row], gone: Sequence[Row], tally: Tally, method: str) -> None:
    """Write ``quality.csv``, ``skipped.csv`` and ``summary.json``; a reader sees the old or the new."""
    measured = [row for row in current if row.probabilities]
    write_atomic(out / "quality.csv", lambda path: write_csv(path, COLUMNS, _lines(measured)))
    write_skipped(out, current, gone)
    summary = {
        "found": tally.found,
        **{state: tally.states[state] for state in ("scored", "skipped", "failed")},
        "gone": tally.gone,
        "hidden": tally.hidden,
        "reasons": dict(sorted(tally.reasons.items())),
        "method": method,
        "versions": {"medcnn": medcnn.__version__},
    }
    write_summary(out, summary)


def _lines(rows: list[Row]) -> Iterator[list[object]]:
    for row in rows:
        case = printable(os.fsencode(case_of(row.name, bool(row.series))))
        numbers = ["" if number == UNMEASURED else round(number, 4) for number in row.probabilities]
        yield [
            case,
            path_of(row),
            row.study,
            row.series,
            "yes" if row.state == "scored" else "no",
            *numbers,
            ";".join(row.flags),
        ]
