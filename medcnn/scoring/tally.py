"""How far a run is, and how it ended."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import medcnn
from medcnn.scoring.ledger import Row
from medcnn.scoring.reasons import UNREAD_IMAGES

if TYPE_CHECKING:
    from medcnn.tasks.checkpoint import Product

_VERSIONS = ("torch", "monai", "pydicom", "imagecodecs", "numpy")


@dataclass
class Tally:
    """Every file found is in one of the states, or still to do.

    Attributes:
        found: Files under the source.
        states: Files that have a row, by state, from this run or an earlier one.
        reasons: Those without a finding, by reason.
        flagged: Those with a finding that carries flags.
        done_now: Rows written by this run; ``scored_now`` of them with a finding.
        seconds: Since the run began; ``first_s`` of them passed before the first answer.
        gone: Rows of files that are not in the source now, or have changed and have no new row yet.
        hidden: Files and folders of the source that were left out because their names begin with a dot.
    """

    found: int = 0
    states: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    flagged: int = 0
    done_now: int = 0
    scored_now: int = 0
    seconds: float = 0.0
    first_s: float = 0.0
    gone: int = 0
    hidden: int = 0

    @property
    def done(self) -> int:
        """Files with a row, from this run or an earlier one."""
        return sum(self.states.values())

    @property
    def exit_code(self) -> int:
        """0 where every image was scored, 3 where one was not; foreign files do not count.

        Archives and formats to convert count where nothing at all was scored: their images were what the run was for.
        """
        unread = not self.states["scored"] and any(self.reasons[code] for code in UNREAD_IMAGES)
        return 3 if self.states["failed"] or unread or self.done < self.found else 0

    @property
    def rate(self) -> float:
        """Images a second since the first answer of this run; what was skipped in an instant says nothing of it."""
        span = self.seconds - self.first_s
        return (self.scored_now - 1) / span if self.scored_now > 1 and span > 0 else 0.0

    def add(self, rows: Iterable[Row]) -> None:
        """Count rows that were just written."""
        for row in rows:
            self.states[row.state] += 1
            self.reasons[row.reason] += bool(row.reason)
            self.done_now += 1
            self.scored_now += row.state == "scored"

    def recount(self, rows: Iterable[Row]) -> None:
        """Count anew from what the ledger holds of the files found: rows of earlier runs then show their reasons."""
        rows = list(rows)
        self.states = Counter(row.state for row in rows)
        self.reasons = Counter(row.reason for row in rows if row.reason)
        self.flagged = sum(row.state == "scored" and bool(row.flags) for row in rows)

    def summary(self, product: "Product", threshold: str) -> dict[str, Any]:
        """The run as plain data: counts and versions, no name of a file."""
        return {
            "found": self.found,
            **{state: self.states[state] for state in ("scored", "skipped", "failed")},
            "to_do": self.found - self.done,
            "gone": self.gone,
            "hidden": self.hidden,
            "reasons": dict(sorted(self.reasons.items())),
            "this_run": {"files": self.done_now, "seconds": round(self.seconds, 2), "per_second": round(self.rate, 2)},
            "model": product.digest,
            "classes": list(product.classes),
            "threshold": threshold,
            "versions": {"medcnn": medcnn.__version__} | {name: version(name) for name in _VERSIONS},
        }
