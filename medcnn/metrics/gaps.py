"""Whether a group of cases fares otherwise than the rest: differences of figures, tested by patient.

A figure of a cohort moves by a little when a case is added; that little is the case's influence. The influences of
all cases of a patient, in the group and outside, are summed before they are squared. So a patient who has films in both
groups is one patient, and the variance is right.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit, logit

from medcnn.metrics.by_patient import Owners, quantile
from medcnn.metrics.delong import placements
from medcnn.metrics.estimate import NAN, Estimate

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
FIGURES = ("auroc", "sensitivity", "specificity", "calibration")
_METHOD = "influences summed by patient"
# An intercept is looked for within so many units of log odds.
_FARTHEST = 60.0


class Judged(NamedTuple):
    """Cases whose score, truth and call are known.

    Attributes:
        scores: Float ``(n,)``.
        positive: Whether the case has the finding ``(n,)``.
        called: Whether it was called ``(n,)``.
        of: Whose each case is.
        probable: Whether scores are probabilities, so that calibration can be told.
    """

    scores: Array
    positive: Mask
    called: Mask
    of: Owners
    probable: bool


class _Mean(NamedTuple):
    """A figure of one set of cases as a weighed mean; 0 for cases outside.

    Attributes:
        value: The figure.
        departure: Of each case from it ``(n,)``.
        weight: How far a departure of one moves the figure ``(n,)``.
        size: Usual departure of each case ``(n,)``; None where cases of a kind have one size.
    """

    value: float
    departure: Array
    weight: Array
    size: Array | None = None


Figure = Callable[[Judged, Mask], _Mean]


def gap(judged: Judged, inside: Mask, figure: str, level: float) -> tuple[Estimate, float]:
    """The figure of the cases ``inside`` minus that of the others, its interval, and its two-sided p.

    The variance is the larger of two: that of the influences as they are, and that which they would have if the cases
    of both sides spread alike. The first alone is zero by chance where a small group has no error. Student's t with
    Welch's degrees of freedom by patients gives the tails.

    Args:
        judged: The cohort; both sides need the cases that the figure is about.
        inside: The group ``(n,)``.
        figure: One of ``FIGURES``; calibration is the intercept on the scale of log odds.
        level: Coverage of the interval.
    """
    group, rest = (_FIGURES[figure](judged, side) for side in (inside, ~inside))
    difference = group.value - rest.value
    about = Estimate(difference, n=len(inside), patients=judged.of.patients, method=_METHOD, level=level)
    # Four parts, positive and negative cases of both sides; of calls only two have a weight.
    parts = [side & kind for side in (inside, ~inside) for kind in (judged.positive, ~judged.positive)]
    weight = group.weight - rest.weight
    departure = group.departure + rest.departure
    if group.size is None or rest.size is None:
        size = _rms_by_kind(departure, weight, judged)
    else:
        size = group.size + rest.size
    own, own_parts, patients = _own_variance(weight * departure, parts, weight, judged.of)
    expected, expected_parts = _alike_variance(weight, departure, size, parts, judged)
    variance = max(own, expected)
    if not variance:
        reason = "no case departs from the others: there is no spread to test against"
        return about._replace(reason=reason), NAN if difference else 1.0
    of_parts = np.maximum(own_parts, expected_parts)
    freedom = float(of_parts.sum() ** 2 / (of_parts**2 / (patients - 1)).sum())
    error = float(np.sqrt(variance))
    reach = quantile(level, freedom) * error
    p = float(2 * stats.t.sf(abs(difference) / error, freedom))
    return about._replace(low=difference - reach, high=difference + reach), p


def holm(p: Array) -> Array:
    """p adjusted for having looked so often ``(n,)``: the chance of any false alarm stays below the level."""
    order = np.argsort(p, kind="stable")
    worst = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(worst, 1.0)
    return adjusted


def calibration_of(judged: Judged, inside: Mask, level: float) -> tuple[Estimate, Estimate]:
    """Calibration intercept, and observed over expected cases with the finding, of the cases ``inside``.

    The intercept is what has to be added to the log odds of every case for the mean to be right: 0 is right, below 0
    the probabilities are too high. Observed over expected has its interval on the log scale.
    """
    of, positive = judged.of, judged.positive
    mean = _intercept(judged, inside)
    people, events = of.having(inside), int(positive[inside].sum())
    about = Estimate(NAN, n=int(inside.sum()), patients=people, events=events, method=_METHOD, level=level)
    reach, factor = quantile(level, max(people - 1, 1)), people / max(people - 1, 1)
    error = np.sqrt(factor * (of.sums(mean.weight * mean.departure) ** 2).sum())
    intercept = about._replace(value=mean.value, low=mean.value - reach * error, high=mean.value + reach * error)
    expected = float(judged.scores[inside].sum())
    ratio = events / expected
    added = np.where(inside, positive - ratio * judged.scores, 0.0) / expected
    log_error = np.sqrt(factor * (of.sums(added) ** 2).sum()) / ratio
    ends = ratio * np.exp([-reach * log_error, reach * log_error])
    return intercept, about._replace(value=ratio, low=float(ends[0]), high=float(ends[1]))


def _own_variance(influence: Array, parts: list[Mask], weight: Array, of: Owners) -> tuple[float, Array, Array]:
    """Variance by the influences themselves, that of each part, and how many patients each part has."""
    parts = [part for part in parts if weight[part].any()]
    patients = np.array([max(of.having(part), 2) for part in parts], dtype=np.float64)
    scaled = np.zeros_like(influence)
    for part, count in zip(parts, patients, strict=True):
        scaled[part] = influence[part] * np.sqrt(count / (count - 1))
    by_part = np.array([(of.sums(np.where(part, scaled, 0.0)) ** 2).sum() for part in parts])
    return float((of.sums(scaled) ** 2).sum()), by_part, patients


def _alike_variance(
    weight: Array, departure: Array, size: Array, parts: list[Mask], judged: Judged
) -> tuple[float, Array]:
    """Variance if both sides spread alike, and cases of one patient agree alike on both; that of each part."""
    moved, joint = weight * size, 0.0
    pairs = [_pairs(values, judged) for values in (departure, size, moved)]
    for of_departures, of_sizes, of_moved in zip(*pairs, strict=True):
        joint += of_moved * of_departures / of_sizes if of_sizes else 0.0
    by_part = np.array([(moved[part] ** 2).sum() for part in parts if weight[part].any()])
    return max(float((moved**2).sum()) + joint, 0.0), by_part


def _rms_by_kind(departure: Array, weight: Array, judged: Judged) -> Array:
    size = np.zeros_like(departure)
    for kind in (judged.positive, ~judged.positive):
        among = kind & (weight != 0)
        if among.any():
            size[among] = np.sqrt((departure[among] ** 2).mean())
    return size


def _pairs(values: Array, judged: Judged) -> tuple[float, float, float]:
    """Sums of products over ordered pairs of two cases of a patient: both positive, one of them, none."""
    if not judged.of.several:
        return 0.0, 0.0, 0.0
    split = [np.where(kind, values, 0.0) for kind in (judged.positive, ~judged.positive)]
    one, other = (judged.of.sums(part) for part in split)
    both, none = ((sums**2).sum() - (part**2).sum() for sums, part in zip((one, other), split, strict=True))
    return float(both), 2 * float(np.dot(one, other)), float(none)


def _auroc(judged: Judged, inside: Mask) -> _Mean:
    departure, weight = np.zeros((2, len(inside)))
    positive = judged.positive[inside]
    value, placed = placements(judged.scores[inside], positive)
    weight[inside] = np.where(positive, 1 / positive.sum(), 1 / (~positive).sum())
    departure[inside] = placed - value
    return _Mean(value, departure, weight)


def _share(right: Mask, among: Mask) -> _Mean:
    value = float(right[among].mean())
    return _Mean(value, np.where(among, right - value, 0.0), among / among.sum())


def _sensitivity(judged: Judged, inside: Mask) -> _Mean:
    return _share(judged.called, judged.positive & inside)


def _specificity(judged: Judged, inside: Mask) -> _Mean:
    return _share(~judged.called, ~judged.positive & inside)


def _intercept(judged: Judged, inside: Mask) -> _Mean:
    odds, positive = logit(np.clip(judged.scores[inside], 1e-9, 1 - 1e-9)), judged.positive[inside]
    events = positive.sum()
    value = float(brentq(lambda added: expit(odds + added).sum() - events, -_FARTHEST, _FARTHEST, xtol=1e-10))
    departure, weight, size = np.zeros((3, len(inside)))
    right = expit(odds + value)
    departure[inside], size[inside] = positive - right, np.sqrt(right * (1 - right))
    weight[inside] = 1 / (right * (1 - right)).sum()
    return _Mean(value, departure, weight, size)


_FIGURES: dict[str, Figure] = {
    "auroc": _auroc,
    "sensitivity": _sensitivity,
    "specificity": _specificity,
    "calibration": _intercept,
}
