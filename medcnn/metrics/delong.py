"""The AUROC with an interval, and two of them on the same cases: DeLong's variance in the time of one sort."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit, logit

from medcnn.metrics.by_patient import Owners, covariances, owners, quantile, spread
from medcnn.metrics.estimate import NAN, Estimate

Array = NDArray[np.float64]
#: Patients of a class that must lose a pair before their spread is trusted alone.
FEWEST = 5
TINY = 1e-12


class Comparison(NamedTuple):
    """Two models on the same cases.

    Attributes:
        first: AUROC of the first.
        second: AUROC of the second.
        difference: First minus second.
        p: Two-sided, of the hypothesis that there is no difference; NaN where it cannot be tested.
        reason: Why p is NaN.
    """

    first: Estimate
    second: Estimate
    difference: Estimate
    p: float
    reason: str = ""


class _Shares(NamedTuple):
    """What each patient adds to the AUROC beyond its mean: through the positive and the negative cases, ``(2, G)``."""

    auroc: float
    of_patient: Array
    #: Patients that lose a pair, of the class in which fewer do: what there is to tell the spread from.
    losing: int = 0


def auroc_interval(
    scores: Array, positive: NDArray[np.bool_], patients: Sequence[object] | None = None, level: float = 0.95
) -> Estimate:
    """The AUROC with DeLong's interval, on the logit scale so that it stays within 0 and 1.

    Where patients have several cases, the structural components are summed by patient first. The quantile is
    Student's t with Welch's degrees of freedom by patients, so that a handful of patients gives a wide interval.

    Where fewer than five patients of a class lose a pair, their spread says next to nothing, and DeLong's interval
    alone is too short. It then reaches at least as far as Newcombe's, which takes the variance from the AUROC that is
    tested and from the number of patients, here as many in both classes as the smaller one has. At an AUROC of exactly
    0 or 1, where DeLong's variance is 0, that one stands alone and ``reason`` says so: a worse model near the edge
    never looks more certain than a perfect one. How often both hold the truth: benchmarks/results/intervals.md.
    With one patient in a class and wholly parted scores, the end is that of Clopper and Pearson for one of one.

    Args:
        scores: One number a case ``(n,)``, higher is more suspicious.
        positive: Whether the case has the finding ``(n,)``.
        patients: Whose each case is ``(n,)``; None: every case is its own patient.
        level: Coverage to aim at.

    Returns:
        NaN with a reason where a class is missing or a score is not finite; no interval where a class has one patient.

    Raises:
        ValueError: Shapes that do not fit, or a level outside (0, 1).

    References:
        DeLong et al., 1988, doi:10.2307/2531595
        Sun and Xu, 2014, doi:10.1109/LSP.2014.2337313 (the components without comparing all pairs)
        Obuchowski, 1997, doi:10.2307/2533958 (several cases a patient)
        Newcombe, 2006, Statistics in Medicine 25:559-573 (method 5)
        Perme and Manevski, 2018, doi:10.1177/0962280218814556 (why the logit, and why not at the edge)
    """
    scores, positive, of = checked(scores, positive, patients)
    about = _about(positive, of, level)
    reason = unknown(scores, positive)
    if reason:
        return about._replace(value=NAN, reason=reason)
    return _interval(_shares(scores, positive, of), positive, of, about)


def compare_auroc(
    first: Array,
    second: Array,
    positive: NDArray[np.bool_],
    patients: Sequence[object] | None = None,
    level: float = 0.95,
) -> Comparison:
    """Whether two models differ in AUROC on the same cases: the paired test of DeLong, clustered by patient.

    Args:
        first: Scores of one model ``(n,)``.
        second: Scores of the other on the same cases ``(n,)``.
        positive: Whether the case has the finding ``(n,)``.
        patients: Whose each case is ``(n,)``; None: every case is its own patient.
        level: Coverage to aim at.

    Raises:
        ValueError: Shapes that do not fit, or a level outside (0, 1).
    """
    alone = (auroc_interval(first, positive, patients, level), auroc_interval(second, positive, patients, level))
    first, positive, of = checked(first, positive, patients)
    about = _about(positive, of, level)
    reason = alone[0].reason if np.isnan(alone[0].value) else alone[1].reason if np.isnan(alone[1].value) else ""
    if reason:
        return Comparison(*alone, about._replace(reason=reason), NAN, reason)
    one, other = _shares(first, positive, of), _shares(np.asarray(second, np.float64), positive, of)
    # The variance of a difference is the variance of the differences: no covariance has to be kept.
    apart = _Shares(alone[0].value - alone[1].value, one.of_patient - other.of_patient)
    error, freedom, reason = _error(apart, positive, of)
    if reason or not error:
        reason = reason or "the two models differ in the same way in every case: there is no spread to test against"
        return Comparison(*alone, about._replace(value=apart.auroc, reason=reason), NAN, reason)
    p = float(2 * stats.t.sf(abs(apart.auroc) / error, freedom))
    reach = quantile(level, freedom) * error
    low, high = max(apart.auroc - reach, -1.0), min(apart.auroc + reach, 1.0)
    return Comparison(*alone, about._replace(value=apart.auroc, low=low, high=high), p)


def auroc_covariance(models: Array, positive: NDArray[np.bool_], patients: Sequence[object] | None = None) -> Array:
    """Variances and covariances of the AUROCs of several models on the same cases, after DeLong and Obuchowski.

    Args:
        models: Finite scores of each model ``(k, n)``.
        positive: Whether the case has the finding ``(n,)``.
        patients: Whose each case is ``(n,)``; None: every case is its own patient.

    Returns:
        ``(k, k)``; NaN where a class has fewer than two patients.

    Raises:
        ValueError: Shapes that do not fit.
    """
    models, of = np.asarray(models, dtype=np.float64), owners(patients, len(positive))
    for scores in models:
        checked(scores, positive, None)
    if too_few(positive, of):
        return np.full((len(models), len(models)), np.nan)
    alone, joint = covariances(np.stack([_shares(scores, positive, of).of_patient for scores in models]), positive, of)
    return alone.sum(axis=0) + joint


def checked(
    scores: Array, positive: NDArray[np.bool_], patients: Sequence[object] | None
) -> tuple[Array, NDArray[np.bool_], Owners]:
    """Scores and truth as arrays, and whose each case is.

    Raises:
        ValueError: If they are not of one length.
    """
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if scores.ndim != 1 or scores.shape != positive.shape:
        raise ValueError(f"scores {scores.shape} and truth {positive.shape}: give both as (n,)")
    return scores, positive, owners(patients, len(scores))


def unknown(scores: Array, positive: NDArray[np.bool_]) -> str:
    """Why these cases have no AUROC; "" where they have one."""
    if not len(scores):
        return "there is no case"
    if not np.isfinite(scores).all():
        return f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are not finite numbers"
    if positive.all() or not positive.any():
        return f"every case is {'positive' if positive.all() else 'negative'}: there is no pair to compare"
    return ""


def too_few(positive: NDArray[np.bool_], of: Owners) -> str:
    """Why there is no spread between patients; "" where there is one."""
    for name, some in (("positive", positive), ("negative", ~positive)):
        if of.having(some) < 2:
            return f"one patient alone has {name} cases: how patients differ cannot be told"
    return ""


def _about(positive: NDArray[np.bool_], of: Owners, level: float) -> Estimate:
    quantile(level)
    method = "DeLong, clustered by patient" if of.several else "DeLong"
    return Estimate(NAN, n=len(positive), patients=of.patients, events=int(positive.sum()), method=method, level=level)


def _shares(scores: Array, positive: NDArray[np.bool_], of: Owners) -> _Shares:
    auroc, placed = placements(scores, positive)
    beyond = placed - auroc
    sides = [of.sums(np.where(side, beyond, 0.0)) / side.sum() for side in (positive, ~positive)]
    lost = placed < 1 if auroc >= 0.5 else placed > 0
    return _Shares(auroc, np.stack(sides), min(of.having(side & lost) for side in (positive, ~positive)))


def placements(scores: Array, positive: NDArray[np.bool_]) -> tuple[float, Array]:
    """The AUROC, and for each case the share of the other class that it stands on the right side of ``(n,)``.

    A tie counts half. Both classes must be there.
    """
    order = np.argsort(scores)
    ordered, hits = scores[order], positive[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    hits_to = np.concatenate(([0], np.cumsum(hits)[last]))
    cases_to = np.concatenate(([0], last + 1))
    positives, negatives = int(hits_to[-1]), len(scores) - int(hits_to[-1])
    # Cases of one score stand in the middle of their group.
    hits_below = (hits_to[1:] + hits_to[:-1]) / 2
    misses_below = (cases_to[1:] + cases_to[:-1]) / 2 - hits_below
    auroc = float(np.dot(np.diff(hits_to), misses_below)) / (positives * negatives)
    group = np.repeat(np.arange(len(last)), np.diff(cases_to))
    placed = np.empty(len(scores))
    placed[order] = np.where(hits, (misses_below / negatives)[group], (1 - hits_below / positives)[group])
    return auroc, placed


def _error(shares: _Shares, positive: NDArray[np.bool_], of: Owners) -> tuple[float, float, str]:
    """Standard error, its degrees of freedom, and why there is none."""
    reason = too_few(positive, of)
    if reason:
        return NAN, NAN, reason
    return *spread(shares.of_patient, positive, of), ""


def _interval(shares: _Shares, positive: NDArray[np.bool_], of: Owners, about: Estimate) -> Estimate:
    about = about._replace(value=shares.auroc)
    error, freedom, reason = _error(shares, positive, of)
    if shares.auroc in (0.0, 1.0):
        return _parted(positive, of, about, alone=bool(reason))
    if reason or not error:
        reason = reason or "the variance is zero, as where all scores are equal"
        return about._replace(reason=reason)
    reach = quantile(about.level, freedom) * error / (shares.auroc * (1 - shares.auroc))
    low, high = expit(logit(shares.auroc) + np.array([-reach, reach]))
    if shares.losing < FEWEST:
        other_low, other_high = _newcombe(shares.auroc, _pairs(positive, of), about.level)
        low, high = min(low, other_low), max(high, other_high)
        about = about._replace(method=f"{about.method}; at least Newcombe")
    return about._replace(low=float(low), high=float(high))


def _pairs(positive: NDArray[np.bool_], of: Owners) -> int:
    """Pairs of a patient with a positive and one with a negative case, no patient in two."""
    return min(of.having(positive), of.having(~positive), of.patients // 2)


def _parted(positive: NDArray[np.bool_], of: Owners, about: Estimate, alone: bool) -> Estimate:
    """The interval of an AUROC of 0 or 1; ``alone`` where a class has one patient, whose spread nothing tells."""
    pairs = _pairs(positive, of)
    if not pairs:
        return about._replace(reason="one patient alone: how patients differ cannot be told")
    end, method = (1 - about.level) / 2, "exact, by pairs of patients"
    low, high = (end, 1.0) if about.value else (0.0, 1 - end)
    if not alone:
        (low, high), method = _newcombe(about.value, pairs, about.level), "Newcombe, by pairs of patients"
    told = f"{pairs} independent {'pair' if pairs == 1 else 'pairs'} of patients"
    reason = f"the scores part the classes wholly: the interval rests on {told}"
    return about._replace(low=low, high=high, method=method, reason=reason)


def _newcombe(auroc: float, pairs: int, level: float) -> tuple[float, float]:
    """The places from which the AUROC lies a quantile of Hanley and McNeil's standard errors, as they are there."""
    width = quantile(level) ** 2 / pairs**2

    def apart(place: float) -> float:
        alike = (1 - place) / (2 - place) + place / (1 + place)
        return (auroc - place) ** 2 - width * place * (1 - place) * (1 + (pairs - 1) * alike)

    low = brentq(apart, 0.0, auroc - TINY) if auroc > TINY else 0.0
    high = brentq(apart, auroc + TINY, 1.0) if auroc < 1 - TINY else 1.0
    return float(low), float(high)
