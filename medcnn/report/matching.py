"""The cases that two runs both have judged, side by side."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcnn.errors import ReportError
from medcnn.report.admission import admit
from medcnn.report.outcome import Outcome


@dataclass(frozen=True)
class Matched:
    """Two outcomes of the same cases in the same order.

    Attributes:
        first: Of the first run.
        second: Of the second run.
        findings: Names of the questions that both answer.
        counts: Cases of each run, shared ones, and those that are compared.
        warnings: What a reader must know of the match.
    """

    first: Outcome
    second: Outcome
    findings: list[str]
    counts: dict[str, int]
    warnings: list[str]


def matched(first: Outcome, second: Outcome) -> Matched:
    """The cases that both runs judged, by pseudonym.

    Raises:
        ReportError: No names of cases, no question or no case in common, a truth that differs, or a case that stands
            twice with different rows.
    """
    _refuse_nameless(first, second)
    one, other = admit(first), admit(second)
    names = _findings(one.outcome, other.outcome)
    rows, places = _shared(one.outcome, other.outcome)
    left, right = one.outcome.take(rows), other.outcome.take(places)
    left, right = _known_in_both(left, right)
    both = left.known.any(axis=1)
    counts = {
        "of the first": len(one.outcome.cases),
        "of the second": len(other.outcome.cases),
        "in both": len(rows),
        "of known truth in both, compared": int(both.sum()),
    }
    kept = np.flatnonzero(both)
    left, right = left.take(kept), right.take(kept)
    return Matched(left, right, names, counts, _words(first, second, counts))


def _refuse_nameless(first: Outcome, second: Outcome) -> None:
    if first.named and second.named:
        return
    who = "neither table has" if not first.named and not second.named else "one of the two tables has not"
    raise ReportError(f"{who} a column case: nothing says which rows belong together; add one")


def _findings(first: Outcome, second: Outcome) -> list[str]:
    asked = [name for name in _asked(first) if name in _asked(second)]
    if not asked or first.multilabel != second.multilabel or (not first.multilabel and first.binary != second.binary):
        raise ReportError(
            f"the two answer different questions ({', '.join(_asked(first)[:4])} and "
            f"{', '.join(_asked(second)[:4])}): compare two of the same classes"
        )
    return asked


def _asked(outcome: Outcome) -> list[str]:
    return list(outcome.classes[1:] if outcome.binary else outcome.classes)


def _shared(first: Outcome, second: Outcome) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    places = pd.Index(second.cases).get_indexer(pd.Index(first.cases))
    rows = np.flatnonzero(places >= 0)
    if not len(rows):
        raise ReportError(
            f"the two share no case ({len(first.cases):,} and {len(second.cases):,} judged): compare two that "
            "judged the same cases, under the same names"
        )
    return rows, places[rows]


def _known_in_both(first: Outcome, second: Outcome) -> tuple[Outcome, Outcome]:
    """Both with the truth that only one of them knows taken out.

    Raises:
        ReportError: Where the truth of a case differs.
    """
    names = [name for name in first.classes if name in second.classes]
    one, other = ([list(outcome.classes).index(name) for name in names] for outcome in (first, second))
    known = first.known[:, one] & second.known[:, other]
    differs = ((first.truth[:, one] != second.truth[:, other]) & known).any(axis=1)
    if differs.any():
        name = first.cases[int(differs.argmax())]
        raise ReportError(
            f"{int(differs.sum()):,} of {len(differs):,} shared cases have another label in the second (first "
            f"{name}): compare two that were judged by the same truth"
        )
    return _with_truth(first, one, known), _with_truth(second, other, known)


def _with_truth(outcome: Outcome, columns: list[int], known: NDArray[np.bool_]) -> Outcome:
    labels: Any = np.array(outcome.labels, copy=True)
    if outcome.multilabel:
        labels[:, columns] = np.where(known, labels[:, columns], np.nan)
    else:
        labels = np.where(known.any(axis=1), labels, -1)
    return replace(outcome, labels=labels)


def _words(first: Outcome, second: Outcome, counts: dict[str, int]) -> list[str]:
    words = []
    if counts["in both"] < max(counts["of the first"], counts["of the second"]):
        words.append(f"The two share {counts['in both']:,} cases; the others are not compared.")
    if "val" in (first.split, second.split):
        words.append("Some of these cases chose a model: the comparison flatters it.")
    return words
