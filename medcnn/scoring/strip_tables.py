"""The table of a folder of brains, written whole from its ledger, each in one stroke."""

import os
from collections.abc import Iterator

import medcnn
from medcnn.files import write_atomic
from medcnn.printable import printable
from medcnn.scoring.findings import write_csv, write_summary
from medcnn.scoring.ledger import Ledger, Row
from medcnn.scoring.segment_tables import case_of
from medcnn.scoring.tally import Tally
from medcnn.transforms.strip_quality import FIGURES

#: What a ledger holds for a figure that could not be measured; none of them is negative. Blank in the table.
UNMEASURED = -1.0
COLUMNS = ["case", "good", "probability", *FIGURES, "flags"]


def write_strips(ledger: Ledger, tally: Tally, method: str) -> None:
    """Write ``quality.csv``, ``skipped.csv`` and ``summary.json`` anew; a reader sees the old or the new."""
    rows = list(ledger.rows())
    measured = [row for row in rows if row.probabilities]
    told = ([printable(row.name), row.state, row.reason, row.sentence] for row in rows if row.state != "scored")
    write_atomic(ledger.out / "quality.csv", lambda path: write_csv(path, COLUMNS, _lines(measured)))
    write_atomic(
        ledger.out / "skipped.csv", lambda path: write_csv(path, ["path", "state", "reason", "sentence"], told)
    )
    summary = {
        "found": tally.found,
        **{state: tally.states[state] for state in ("scored", "skipped", "failed")},
        "reasons": dict(sorted(tally.reasons.items())),
        "method": method,
        "versions": {"medcnn": medcnn.__version__},
    }
    write_summary(ledger.out, summary)


def _lines(rows: list[Row]) -> Iterator[list[object]]:
    for row in rows:
        case = printable(os.fsencode(case_of(row.name, bool(row.series))))
        numbers = ["" if number == UNMEASURED else round(number, 4) for number in row.probabilities]
        yield [case, "yes" if row.state == "scored" else "no", *numbers, ";".join(row.flags)]
