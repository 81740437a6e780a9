"""Sets of classes that hold the true one as often as was asked for, and what it means to call only the sure cases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcnn.metrics.by_patient import owners
from medcnn.metrics.estimate import NAN, Estimate
from medcnn.metrics.forecasts import drawn_sums
from medcnn.metrics.rates import share

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Labels = NDArray[np.int64]

# Points of a curve of selective accuracy.
_POINTS = 50


@dataclass(frozen=True)
class Conformal:
    """How improbable a class may be and still stand in the set.

    Attributes:
        quantiles: Of 1 minus the probability of the true class, one a class ``(K,)``; infinite where there were too
            few cases to leave the class out of any set.
        alpha: Share of cases whose set may miss the true class.
        classes_counts: Cases of each class that it was calibrated on ``(K,)``.
    """

    quantiles: Array
    alpha: float
    classes_counts: Labels

    def sets(self, probabilities: Any) -> Bools:
        """The classes that cannot be excluded, bool ``(n, K)``; all of them where a probability is NaN."""
        given = _by_class(probabilities)
        if given.shape[1] != len(self.quantiles):
            raise ValueError(f"{given.shape[1]} probabilities a case, calibrated on {len(self.quantiles)} classes")
        return ~(1 - given > self.quantiles)


class Selective(NamedTuple):
    """Accuracy of the cases that a model is most sure of, from all of them to the surest few.

    Attributes:
        kept_share: Share of cases that are kept ``(T,)``, ascending.
        accuracy: Share of these that are right.
        low: Lower end of its interval.
        high: Upper end.
        threshold: The least confidence that is kept.
    """

    kept_share: Array
    accuracy: Array
    low: Array
    high: Array
    threshold: Array


def fit_conformal(probabilities: Any, labels: Any, alpha: float = 0.1, by_class: bool = True) -> Conformal:
    """Calibrate sets by split conformal prediction on cases that were not trained on, here validation cases.

    The score of a case is 1 minus the probability of its true class. A class stands in a set where its score is at
    most the ``ceil((n + 1) * (1 - alpha))``-th smallest of n: then a new case like these has its true class in its set
    with probability at least ``1 - alpha``, whatever the model is. By class this holds for the cases of each class by
    themselves; otherwise a rare finding may be missed far more often. It holds on average over validation sets, and
    for one case of each patient: where patients have several, validation and test patients must be like each other.

    Args:
        probabilities: ``(n, K)``; a case with NaN is left out.
        labels: int ``(n,)``, -1 unknown, which is left out.
        alpha: Share of cases that the sets may miss, in (0, 1).
        by_class: Whether each class has its own quantile (Mondrian).

    Raises:
        ValueError: An alpha outside (0, 1), shapes that do not fit, a label that is no class.

    References:
        Angelopoulos and Bates, 2021, arXiv:2107.07511
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; give the share of cases that sets may miss, between 0 and 1")
    given, true = _by_class(probabilities), np.asarray(labels, dtype=np.int64)
    classes = given.shape[1]
    if true.shape != given.shape[:1] or (len(true) and (true.min() < -1 or true.max() >= classes)):
        raise ValueError(f"labels {true.shape} for probabilities {given.shape}: give one a case, of 0 to {classes - 1}")
    known = (true >= 0) & ~np.isnan(given).any(axis=1)
    true = true[known]
    scores = 1 - given[known, true]
    if by_class:
        quantiles = np.array([_quantile(scores[true == k], alpha) for k in range(classes)])
    else:
        quantiles = np.full(classes, _quantile(scores, alpha))
    return Conformal(quantiles, alpha, np.bincount(true, minlength=classes))


def conformal_figures(sets: Any, labels: Any, patients: Sequence[object] | None = None) -> dict[str, Estimate]:
    """How often sets hold the true class, how often they leave it open, and how often they are right where they do not.

    Args:
        sets: Classes that could not be excluded, bool ``(n, K)``.
        labels: int ``(n,)``, -1 unknown, which is left out.
        patients: Whose each case is ``(n,)``; every case is its own patient where it is not told.

    Returns:
        ``coverage`` and ``coverage/<k>`` (of the cases of class k), ``abstained`` (sets of no class or of several),
        ``accuracy_when_sure`` (of sets of one class) and ``size`` (classes a set, on average), with intervals by
        patients; NaN with a reason where there is no such case.

    Raises:
        ValueError: Shapes that do not fit.
    """
    given, true = np.asarray(sets, dtype=bool), np.asarray(labels, dtype=np.int64)
    if given.ndim != 2 or true.shape != given.shape[:1]:
        raise ValueError(f"sets {given.shape} and labels {true.shape}: give (n, K) and (n,)")
    of, known = owners(patients, len(true)).number, true >= 0
    given, true, of = given[known], true[known], of[known]
    held, sizes = given[np.arange(len(true)), true], given.sum(axis=1)

    def of_cases(hits: Bools, some: Bools, missing: str) -> Estimate:
        found = share(hits[some], of[some].tolist())
        return found if some.any() else found._replace(reason=missing)

    every, sure = np.ones(len(true), dtype=bool), sizes == 1
    figures = {"coverage": of_cases(held, every, "there is no case")}
    for k in range(given.shape[1]):
        figures[f"coverage/{k}"] = of_cases(held, true == k, f"there is no case of class {k}")
    figures["abstained"] = of_cases(~sure, every, "there is no case")
    figures["accuracy_when_sure"] = of_cases(held, sure, "no set is of one class")
    figures["size"] = _mean_size(sizes, of)
    return figures


def selective_accuracy(confidence: Any, right: Any, patients: Sequence[object] | None = None) -> Selective:
    """Accuracy over the share of cases kept, when the least sure go to a second reader first.

    Args:
        confidence: How sure the model is of its call, for each case ``(n,)``; a case with NaN is never kept.
        right: Whether the call is right ``(n,)``.
        patients: Whose each case is ``(n,)``; every case is its own patient where it is not told.

    Returns:
        At most 50 points; cases of one confidence are kept together. Empty where there is no case.

    Raises:
        ValueError: Shapes that do not fit.

    References:
        El-Yaniv and Wiener, 2010, JMLR 11:1605 (the curve of risk over coverage)
    """
    sure, hits = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=bool)
    if sure.ndim != 1 or sure.shape != hits.shape:
        raise ValueError(f"confidence {sure.shape} and right {hits.shape}: give both as (n,)")
    of = owners(patients, len(sure)).number
    order = np.argsort(-sure, kind="stable")[: int((~np.isnan(sure)).sum())]
    ordered, hits, of = sure[order], hits[order], of[order]
    # Each confidence's last case; of these as many as make a curve, evenly spread over the cases.
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1 if len(ordered) else np.zeros(0, np.int64)
    wanted = np.ceil(np.arange(1, _POINTS + 1) / _POINTS * len(ordered))
    kept = np.unique(ends[np.searchsorted(ends, wanted)]) if len(ends) else ends
    found = [share(hits[:count], of[:count].tolist()) for count in kept]
    accuracy, low, high = (np.array([getattr(one, end) for one in found]) for end in ("value", "low", "high"))
    return Selective(kept / max(len(sure), 1), accuracy, low, high, ordered[kept - 1])


def _by_class(probabilities: Any) -> Array:
    given = np.asarray(probabilities, dtype=np.float64)
    if given.ndim != 2:
        raise ValueError(f"probabilities {given.shape}: give (n, K), one column a class")
    return given


def _quantile(scores: Array, alpha: float) -> float:
    """The score that new ones of the same kind reach at most, with probability at least ``1 - alpha``."""
    # A share as a float may lie a hair above the whole number it means.
    place = int(np.ceil((len(scores) + 1) * (1 - alpha) - 1e-9))
    return float(np.sort(scores)[place - 1]) if place <= len(scores) else float("inf")


def _mean_size(sizes: Labels, patients: Labels) -> Estimate:
    of = owners(patients.tolist(), len(sizes))
    about = Estimate(NAN, n=len(sizes), patients=of.patients, method="bootstrap over patients")
    if not len(sizes):
        return about._replace(reason="there is no case")
    about = about._replace(value=float(sizes.mean()))
    if of.patients < 2 or sizes.min() == sizes.max():
        return about._replace(reason="the patients do not differ: their spread cannot be told")
    drawn = drawn_sums(np.stack([sizes, np.ones(len(sizes))], axis=1), of, draws=1000, seed=0)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    return about._replace(low=float(low), high=float(high))
