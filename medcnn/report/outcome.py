"""An evaluation as a table of cases, and the curves and counts that are drawn from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcnn.metrics.curves import precision_recall_curve, roc_curve
from medcnn.metrics.ranking import auroc, average_precision

Array = NDArray[np.float64]
UNKNOWN = "unknown"


class Finding(NamedTuple):
    """One yes-or-no question put to every case whose answer is known.

    Attributes:
        name: The class.
        scores: Its probability ``(n,)``.
        positive: Whether the case has it ``(n,)``.
        threshold: Least probability that calls it; NaN where there is none.
    """

    name: str
    scores: Array
    positive: NDArray[np.bool_]
    threshold: float


class Curve(NamedTuple):
    """A curve of one finding, from the strictest threshold to the most lenient.

    Attributes:
        name: The class.
        x: 1 - specificity, or sensitivity.
        y: Sensitivity, or positive predictive value.
        threshold: The score at each point; infinite where nothing is called.
        area: AUROC, or average precision; NaN where a side is missing.
        point: Where the stored threshold lies; None without one.
        positives: Number of cases with the finding.
        negatives: Number of cases without.
    """

    name: str
    x: Array
    y: Array
    threshold: Array
    area: float
    point: tuple[float, float] | None
    positives: int
    negatives: int


@dataclass(frozen=True)
class Outcome:
    """What a model said about each case of a split, and what was true.

    Attributes:
        cases: Pseudonyms, n of them.
        probabilities: Calibrated ``(n, K)``.
        labels: int64 ``(n,)``, -1 unknown; with several findings float ``(n, K)``, NaN unknown.
        calls: What each case is called: a class, or findings joined by ``;``.
        classes: Names, K of them.
        multilabel: Whether several findings may stand together.
        thresholds: Class to the least probability that calls it.
    """

    cases: Sequence[str]
    probabilities: Array
    labels: NDArray[np.int64] | Array
    calls: Sequence[str]
    classes: Sequence[str]
    multilabel: bool = False
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def findings(self) -> list[Finding]:
        """The questions: every finding; of two classes the second; of more, each against the rest."""
        binary = len(self.classes) == 2 and not self.multilabel
        return [self._finding(k) for k in range(1 if binary else 0, len(self.classes))]

    def _finding(self, k: int) -> Finding:
        truth = self.labels[:, k] if self.multilabel else self.labels
        known = ~np.isnan(truth) if self.multilabel else truth >= 0
        positive = truth[known] > 0.5 if self.multilabel else truth[known] == k
        threshold = self.thresholds.get(self.classes[k], float("nan"))
        return Finding(self.classes[k], self.probabilities[known, k], positive, threshold)

    def table(self) -> pd.DataFrame:
        """One row a case: pseudonym, truth, probabilities, call."""
        columns: dict[str, object] = {"case": list(self.cases)}
        if self.multilabel:
            columns |= {f"label/{name}": self.labels[:, k] for k, name in enumerate(self.classes)}
        else:
            columns["label"] = [self.classes[k] if k >= 0 else UNKNOWN for k in self.labels]
        columns |= {f"probability/{name}": self.probabilities[:, k].round(6) for k, name in enumerate(self.classes)}
        return pd.DataFrame(columns | {"call": list(self.calls)})

    def confusion(self) -> pd.DataFrame:
        """Cases by truth (rows) and call (columns); with several findings one row each, and the four ways it can go."""
        if self.multilabel:
            rows = [self._four_ways(k) for k in range(len(self.classes))]
            return pd.DataFrame(
                rows, index=list(self.classes), columns=["found", "missed", "false alarm", "rightly not"]
            )
        counts = pd.DataFrame(0, index=list(self.classes), columns=list(self.classes))
        for label, call in zip(self.labels, self.calls, strict=True):
            if label >= 0:
                counts.loc[self.classes[label], call] += 1
        return counts

    def _four_ways(self, k: int) -> list[int]:
        truth = self.labels[:, k]
        called = np.array([self.classes[k] in call.split(";") for call in self.calls])
        return [int((called == c)[truth == t].sum()) for t, c in ((1, True), (1, False), (0, True), (0, False))]


def roc_of(finding: Finding) -> Curve:
    """Sensitivity over 1 - specificity at every distinct score; equal scores move together."""
    points = roc_curve(finding.scores, finding.positive)
    positives, negatives = _sides(finding)
    above = finding.scores >= finding.threshold
    point = (_share((above & ~finding.positive).sum(), negatives), _share((above & finding.positive).sum(), positives))
    area = auroc(finding.scores, finding.positive)
    return Curve(finding.name, *points, area, _known(point, finding), positives, negatives)


def precision_recall_of(finding: Finding) -> Curve:
    """Positive predictive value over sensitivity at every distinct score; the area is the average precision."""
    points = precision_recall_curve(finding.scores, finding.positive)
    above = finding.scores >= finding.threshold
    found = (above & finding.positive).sum()
    point = (_share(found, _sides(finding)[0]), _share(found, int(above.sum())))
    area = average_precision(finding.scores, finding.positive)
    # The point that calls nothing has no predictive value.
    x, y, threshold = (part[1:] for part in points)
    return Curve(finding.name, x, y, threshold, area, _known(point, finding), *_sides(finding))


def reliability_of(finding: Finding, bins: int = 10) -> pd.DataFrame:
    """Mean probability against the share that has the finding, in bins of equal width; empty bins are left out."""
    place = np.minimum((finding.scores * bins).astype(int), bins - 1)
    frame = pd.DataFrame({"bin": place, "probability": finding.scores, "share": finding.positive.astype(float)})
    grouped = frame.groupby("bin")
    return grouped.mean().assign(cases=grouped.size()).reset_index(drop=True)


def most_confident(outcome: Outcome, n: int, right: bool) -> list[int]:
    """Rows of the cases that were called rightly (or wrongly) with most confidence in what is true (or is not).

    A case whose label is unknown is neither. With several findings a case counts by its worst finding when wrong, and
    by its surest present one when right.
    """
    truth = _belief_in_truth(outcome)
    wrong = _called_wrongly(outcome)
    rows = np.flatnonzero(~np.isnan(truth) & (~wrong if right else wrong))
    order = np.argsort(-truth[rows] if right else truth[rows], kind="stable")
    return [int(row) for row in rows[order][:n]]


def _belief_in_truth(outcome: Outcome) -> Array:
    """The probability given to what is true ``(n,)``; NaN where that is not known."""
    shares, labels = outcome.probabilities, outcome.labels
    if not outcome.multilabel:
        belief = shares[np.arange(len(shares)), np.maximum(labels, 0).astype(int)]
        return np.where(labels >= 0, belief, np.nan)
    belief = np.where(labels > 0.5, shares, 1 - shares)
    wrong = _called_wrongly(outcome)
    # Of findings that are rightly absent there are always some: only what is present makes a right case worth a look.
    worst = np.where(np.isnan(labels), np.inf, belief).min(axis=1)
    surest = np.where(labels > 0.5, belief, -np.inf).max(axis=1)
    chosen = np.where(wrong, worst, surest)
    return np.where(np.isfinite(chosen), chosen, np.nan)


def _called_wrongly(outcome: Outcome) -> NDArray[np.bool_]:
    if not outcome.multilabel:
        true = [outcome.classes[k] if k >= 0 else call for k, call in zip(outcome.labels, outcome.calls, strict=True)]
        return np.array([a != b for a, b in zip(true, outcome.calls, strict=True)], dtype=bool)
    called = np.array([[name in call.split(";") for name in outcome.classes] for call in outcome.calls], dtype=bool)
    differs = called.reshape(outcome.labels.shape) != (outcome.labels > 0.5)
    return (differs & ~np.isnan(outcome.labels)).any(axis=1)


def _sides(finding: Finding) -> tuple[int, int]:
    return int(finding.positive.sum()), int((~finding.positive).sum())


def _share(part: float, whole: int) -> float:
    return float(part) / whole if whole else float("nan")


def _known(point: tuple[float, float], finding: Finding) -> tuple[float, float] | None:
    return point if np.isfinite([*point, finding.threshold]).all() else None
