"""An evaluation as a table of cases, and the curves and counts that are drawn from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

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
        scores: Its probability ``(m,)``.
        positive: Whether the case has it ``(m,)``.
        threshold: Least probability that calls it; NaN where there is none.
        called: What was called ``(m,)``; None where nothing says at which probability to call.
        patients: A number for the patient of each case ``(m,)``; None where every case is its own patient.
        rows: Which rows of the outcome these cases are ``(m,)``; None where there is no outcome behind them.
    """

    name: str
    scores: Array
    positive: NDArray[np.bool_]
    threshold: float
    called: NDArray[np.bool_] | None = None
    patients: Sequence[int] | None = None
    rows: NDArray[np.int64] | None = None


class Curve(NamedTuple):
    """A curve of one finding, from the strictest threshold to the most lenient.

    Attributes:
        name: The class.
        x: 1 - specificity, or sensitivity.
        y: Sensitivity, or positive predictive value.
        threshold: The score at each point; infinite where nothing is called.
        area: AUROC, or average precision; NaN where a side is missing.
        point: Where the calls lie; None where nothing was called.
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
        patients: Pseudonyms, one a case; None where they are not told.
        logits: What the net gave before any temperature ``(n, K)``; None where it was not kept.
        groups: Subgroup columns, one row a case; None where there are none.
        split: ``test``, or ``val`` for cases that also chose the model.
        called_by: What made the calls: the ``stored`` thresholds, the ``table`` itself, which tells none, or a
            threshold that was ``given`` for this look alone.
        named: Whether cases were given names; without them a case is the number of its row, and means nothing in
            another table.
        notes: What a reader must know of how the table was read, a sentence each.
    """

    cases: Sequence[str]
    probabilities: Array
    labels: NDArray[np.int64] | Array
    calls: Sequence[str]
    classes: Sequence[str]
    multilabel: bool = False
    thresholds: Mapping[str, float] = field(default_factory=dict)
    patients: Sequence[str] | None = None
    logits: Array | None = None
    groups: pd.DataFrame | None = None
    split: str = "test"
    called_by: Literal["stored", "table", "given"] = "stored"
    named: bool = True
    notes: Sequence[str] = ()

    @cached_property
    def owners(self) -> NDArray[np.int64] | None:
        """A number for the patient of each case ``(n,)``: found once, for every figure wants it."""
        if self.patients is None:
            return None
        return pd.factorize(np.asarray(self.patients, dtype=object))[0].astype(np.int64)

    @cached_property
    def called(self) -> NDArray[np.bool_]:
        """Whether each case is called each class ``(n, K)``."""
        place, distinct = pd.factorize(np.asarray(self.calls, dtype=object))
        parts = [call.split(";") if self.multilabel else [call] for call in distinct]
        of_distinct = np.array([[name in part for name in self.classes] for part in parts], dtype=bool)
        return of_distinct.reshape(-1, len(self.classes))[place]

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Whether the truth of each class is known for each case ``(n, K)``."""
        labels = np.asarray(self.labels)
        if self.multilabel:
            return ~np.isnan(labels).reshape(-1, len(self.classes))
        return np.repeat((labels >= 0)[:, None], len(self.classes), axis=1)

    @cached_property
    def truth(self) -> NDArray[np.bool_]:
        """Whether each case has each class ``(n, K)``; False where it is not known."""
        labels = np.asarray(self.labels)
        if self.multilabel:
            return labels.reshape(-1, len(self.classes)) > 0.5
        return labels[:, None] == np.arange(len(self.classes))

    @property
    def binary(self) -> bool:
        """Whether there is one question only: of two classes the second."""
        return len(self.classes) == 2 and not self.multilabel

    @property
    def positive(self) -> str | None:
        """Name of the positive class where there is one question only."""
        return self.classes[1] if self.binary else None

    def findings(self) -> list[Finding]:
        """The questions: every finding; of two classes the second; of more, each against the rest."""
        return [self._finding(k) for k in range(1 if self.binary else 0, len(self.classes))]

    def _finding(self, k: int) -> Finding:
        rows = np.flatnonzero(self.known[:, k])
        name = self.classes[k]
        threshold = self.thresholds.get(name, float("nan"))
        # Of more than two classes the most probable is called, whatever the threshold.
        ranked = not self.multilabel and not self.binary
        told = ranked or self.called_by == "table" or np.isfinite(threshold)
        called = self.called[rows, k] if told else None
        owners = None if self.owners is None else self.owners[rows].tolist()
        return Finding(name, self.probabilities[rows, k], self.truth[rows, k], threshold, called, owners, rows)

    def take(self, rows: NDArray[np.int64]) -> "Outcome":
        """The same of some of its cases, in the order of ``rows``."""
        return replace(
            self,
            cases=_chosen(self.cases, rows),
            probabilities=self.probabilities[rows],
            labels=self.labels[rows],
            calls=_chosen(self.calls, rows),
            patients=None if self.patients is None else _chosen(self.patients, rows),
            logits=None if self.logits is None else self.logits[rows],
            groups=None if self.groups is None else self.groups.iloc[rows].reset_index(drop=True),
        )

    def table(self) -> pd.DataFrame:
        """One row a case: pseudonyms, truth, logits, probabilities, call, subgroups.

        ``medcnn.report.outcome_table`` reads it back.
        """
        columns: dict[str, object] = {"case": list(self.cases)}
        if self.patients is not None:
            columns["patient"] = list(self.patients)
        if self.multilabel:
            columns |= {f"label/{name}": self.labels[:, k] for k, name in enumerate(self.classes)}
        else:
            columns["label"] = np.array([*self.classes, UNKNOWN], dtype=object)[np.asarray(self.labels, dtype=int)]
        if self.logits is not None:
            columns |= {f"logit/{name}": self.logits[:, k] for k, name in enumerate(self.classes)}
        # Fewer digits would make ties of confident cases, and another area under the curve than the run's.
        columns |= {f"probability/{name}": self.probabilities[:, k].round(12) for k, name in enumerate(self.classes)}
        columns["call"] = list(self.calls)
        if self.groups is not None:
            columns |= {f"group/{name}": self.groups[name].to_numpy() for name in self.groups}
        return pd.DataFrame(columns)

    def confusion(self) -> pd.DataFrame:
        """Cases by truth (rows) and call (columns); with several findings one row each, and the four ways it can go."""
        names = list(self.classes)
        if self.multilabel:
            true, false = self.truth & self.known, ~self.truth & self.known
            cells = [(true & self.called), (true & ~self.called), (false & self.called), (false & ~self.called)]
            counts = np.stack([cell.sum(axis=0) for cell in cells], axis=1)
            return pd.DataFrame(counts, index=names, columns=["found", "missed", "false alarm", "rightly not"])
        counts = (self.truth & self.known).T.astype(np.int64) @ self.called.astype(np.int64)
        return pd.DataFrame(counts, index=names, columns=names)


def roc_of(finding: Finding) -> Curve:
    """Sensitivity over 1 - specificity at every distinct score; equal scores move together."""
    points = roc_curve(finding.scores, finding.positive)
    positives, negatives = _sides(finding)
    above = _calls_of(finding)
    point = (_share((above & ~finding.positive).sum(), negatives), _share((above & finding.positive).sum(), positives))
    area = auroc(finding.scores, finding.positive)
    return Curve(finding.name, *points, area, _known(point, finding), positives, negatives)


def precision_recall_of(finding: Finding) -> Curve:
    """Positive predictive value over sensitivity at every distinct score; the area is the average precision."""
    points = precision_recall_curve(finding.scores, finding.positive)
    above = _calls_of(finding)
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
    wrong = called_wrongly(outcome)
    rows = np.flatnonzero(~np.isnan(truth) & (~wrong if right else wrong))
    order = np.argsort(-truth[rows] if right else truth[rows], kind="stable")
    return [int(row) for row in rows[order][:n]]


def called_wrongly(outcome: Outcome) -> NDArray[np.bool_]:
    """Whether anything that is known of a case was called otherwise ``(n,)``."""
    return ((outcome.called != outcome.truth) & outcome.known).any(axis=1)


def _belief_in_truth(outcome: Outcome) -> Array:
    """The probability given to what is true ``(n,)``; NaN where that is not known."""
    shares, known, true = outcome.probabilities, outcome.known, outcome.truth
    if not outcome.multilabel:
        return np.where(known.any(axis=1), (shares * true).sum(axis=1), np.nan)
    belief = np.where(true, shares, 1 - shares)
    # Of findings that are rightly absent there are always some: only what is present makes a right case worth a look.
    worst = np.where(known, belief, np.inf).min(axis=1)
    surest = np.where(true, belief, -np.inf).max(axis=1)
    chosen = np.where(called_wrongly(outcome), worst, surest)
    return np.where(np.isfinite(chosen), chosen, np.nan)


def _chosen(names: Sequence[str], rows: NDArray[np.int64]) -> list[str]:
    return np.asarray(names, dtype=object)[rows].tolist()


def _sides(finding: Finding) -> tuple[int, int]:
    return int(finding.positive.sum()), int((~finding.positive).sum())


def _share(part: float, whole: int) -> float:
    return float(part) / whole if whole else float("nan")


def _calls_of(finding: Finding) -> NDArray[np.bool_]:
    """At the threshold; as somebody else called them where there is none."""
    if np.isnan(finding.threshold) and finding.called is not None:
        return finding.called
    return finding.scores >= finding.threshold


def _known(point: tuple[float, float], finding: Finding) -> tuple[float, float] | None:
    told = finding.called is not None or np.isfinite(finding.threshold)
    return point if told and np.isfinite(point).all() else None
