"""How far two measurements of one quantity lie apart: bias, limits of agreement, concordance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from medcnn.metrics.by_patient import owners
from medcnn.metrics.estimate import NAN, Estimate

Array = NDArray[np.float64]
#: 95 % of the differences lie within this many standard deviations of the bias.
_WITHIN = 1.959963984540054
_FEW = "fewer than three patients with both measurements"


@dataclass(frozen=True)
class BlandAltman:
    """How two measurements of the same cases agree.

    Attributes:
        bias: Mean of the differences, first minus second; each patient counts once.
        lower: Below it lie 2.5 % of the differences.
        upper: Above it lie 2.5 %.
        slope: Change of the difference for a step of one in the mean: zero where the bias is the same for small and
            large quantities. The limits hold at every size only where it is.
        concordance: Lin's correlation with the line of identity, of the values themselves.
        means: Mean of the two measurements ``(m,)``.
        differences: First minus second ``(m,)``, in percent of the mean where that was asked for.
        sd_within: Standard deviation of the differences of one patient's cases; NaN where no patient has two.
        sd_between: Standard deviation of the patients' own biases; what is left of the spread where every patient has
            one case.
        n: Cases with both measurements.
        patients: Patients they belong to.
        left_out: Cases without one of the measurements, or without a mean to take the percentage of.
        percent: Whether differences are in percent of the mean.
    """

    bias: Estimate
    lower: Estimate
    upper: Estimate
    slope: Estimate
    concordance: Estimate
    means: Array
    differences: Array
    sd_within: float
    sd_between: float
    n: int
    patients: int
    left_out: int
    percent: bool = False


def bland_altman(
    first: Array,
    second: Array,
    patients: Sequence[object] | None = None,
    level: float = 0.95,
    percent: bool = False,
) -> BlandAltman:
    """Bias and 95 % limits of agreement, where patients may have several cases each.

    The spread of the differences is that of one further case: the variance between patients plus that within. The
    intervals of the limits recover their variance from those of both parts.

    Args:
        first: One quantity a case ``(n,)``, such as a volume that was predicted; NaN is left out and counted.
        second: The same quantity by the other method ``(n,)``, such as the reference.
        patients: Whose each case is ``(n,)``; every case is its own patient where it is not told.
        level: Coverage of the intervals; the limits of agreement are those of 95 % whatever it is.
        percent: Whether to judge differences in percent of the mean of both, as for volumes of very unequal size.

    Raises:
        ValueError: If the lengths differ.

    References:
        Bland and Altman, 1999, Statistical Methods in Medical Research 8:135-160;
        Zou, 2013, Statistical Methods in Medical Research 22(6):630-642
    """
    x, y, number, left_out = _paired(first, second, patients, percent)
    means = (x + y) / 2
    differences = 100 * (x - y) / means if percent else x - y
    (bias, lower, upper), within, between = _limits(differences, number, level)
    return BlandAltman(
        bias=bias,
        lower=lower,
        upper=upper,
        slope=_slope(means, differences, number, level),
        concordance=_concordance(x, y, number, level),
        means=means,
        differences=differences,
        sd_within=within,
        sd_between=between,
        n=len(x),
        patients=_count(number),
        left_out=left_out,
        percent=percent,
    )


def _paired(
    first: Array, second: Array, patients: Sequence[object] | None, percent: bool
) -> tuple[Array, Array, NDArray[np.int64], int]:
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or (patients is not None and len(patients) != len(x)):
        raise ValueError(f"measurements are {x.shape} and {y.shape}; expected one number a case, and its patient")
    known = np.isfinite(x) & np.isfinite(y)
    if percent:
        known &= x + y != 0
    people, rows = None if patients is None else list(patients), np.flatnonzero(known).tolist()
    of = owners(None if people is None else [people[row] for row in rows], len(rows))
    return x[known], y[known], of.number, len(x) - len(rows)


def _count(number: NDArray[np.int64]) -> int:
    return int(number.max(initial=-1)) + 1


def _limits(differences: Array, number: NDArray[np.int64], level: float) -> tuple[list[Estimate], float, float]:
    """Bias, lower and upper limit; standard deviation within and between patients."""
    n, patients = len(differences), _count(number)
    blank = Estimate(NAN, n=n, patients=patients, level=level)
    if patients < 3:
        return [blank._replace(reason=_FEW)] * 3, NAN, NAN
    cases = np.bincount(number)
    own = np.bincount(number, differences) / cases
    bias, of_means = float(own.mean()), float(own.var(ddof=1))
    degrees = n - patients
    within = float(((differences - own[number]) ** 2).sum() / degrees) if degrees else 0.0
    # The mean of a patient's cases spreads by the variance between patients and a part of that within.
    rest = 1 - float((1 / cases).mean())
    total, step = of_means + rest * within, stats.t.ppf((1 + level) / 2, patients - 1) * np.sqrt(of_means / patients)
    less, more = _ends_of_sum([(of_means, patients - 1), (rest * within, degrees)], level)
    sd = np.sqrt(total)
    inner = float(np.hypot(step, _WITHIN * (sd - np.sqrt(less))))
    outer = float(np.hypot(step, _WITHIN * (np.sqrt(more) - sd)))
    low, high = float(bias - _WITHIN * sd), float(bias + _WITHIN * sd)
    made = [
        blank._replace(value=bias, low=bias - float(step), high=bias + float(step), method="t over patients"),
        blank._replace(value=low, low=low - outer, high=low + inner, method="variances recovered"),
        blank._replace(value=high, low=high - inner, high=high + outer, method="variances recovered"),
    ]
    between = max(of_means - float((1 / cases).mean()) * within, 0.0)
    return made, float(np.sqrt(within)) if degrees else NAN, float(np.sqrt(between))


def _ends_of_sum(parts: list[tuple[float, int]], level: float) -> tuple[float, float]:
    """An interval of a sum of independent variances, each with its degrees of freedom (MOVER)."""
    total, below, above = 0.0, 0.0, 0.0
    for variance, degrees in parts:
        if degrees:
            low, high = variance * degrees / stats.chi2.ppf([(1 + level) / 2, (1 - level) / 2], degrees)
            total, below, above = total + variance, below + (variance - low) ** 2, above + (high - variance) ** 2
    return max(total - float(np.sqrt(below)), 0.0), total + float(np.sqrt(above))


def _slope(means: Array, differences: Array, number: NDArray[np.int64], level: float) -> Estimate:
    def slope(sums: Array) -> Array:
        n, x, y, xx, _, xy = sums
        spread = xx - x * x / n
        return np.divide(xy - x * y / n, spread, out=np.full_like(spread, NAN), where=spread > 1e-12 * (1 + xx))

    return _jackknife(means, differences, number, slope, level, "all cases have one mean")


def _concordance(x: Array, y: Array, number: NDArray[np.int64], level: float) -> Estimate:
    def on_fishers_scale(sums: Array) -> Array:
        n, a, b, aa, bb, ab = sums
        spread = (aa - a * a / n) + (bb - b * b / n) + (a - b) ** 2 / n
        ratio = np.divide(2 * (ab - a * b / n), spread, out=np.full_like(spread, NAN), where=spread > 0)
        return np.arctanh(np.clip(ratio, -1 + 1e-15, 1 - 1e-15))

    found = _jackknife(x, y, number, on_fishers_scale, level, "all values are one value")
    value, low, high = np.tanh([found.value, found.low, found.high])
    return found._replace(value=float(value), low=float(low), high=float(high))


def _jackknife(
    x: Array, y: Array, number: NDArray[np.int64], figure: Callable[[Array], Array], level: float, if_none: str
) -> Estimate:
    """A figure of sums over cases, with an interval from leaving out each patient in turn.

    Args:
        figure: From sums ``(6, ...)``: 1, x, y, xx, yy, xy.
        if_none: Why there is none where it is NaN.
    """
    patients = _count(number)
    blank = Estimate(NAN, n=len(x), patients=patients, level=level)
    if patients < 3:
        return blank._replace(reason=_FEW)
    # Around one common place, which no figure here depends on: squares of large numbers lose their differences.
    x, y = x - (place := float(np.mean((x + y) / 2))), y - place
    of_patient = np.stack([np.bincount(number, part) for part in (np.ones_like(x), x, y, x * x, y * y, x * y)])
    whole = of_patient.sum(axis=1)
    value, without = float(figure(whole)), figure(whole[:, None] - of_patient)
    if not np.isfinite(value) or not np.isfinite(without).all():
        return blank._replace(reason=if_none)
    error = np.sqrt((patients - 1) / patients * ((without - without.mean()) ** 2).sum())
    step = float(stats.t.ppf((1 + level) / 2, patients - 1) * error)
    return blank._replace(value=value, low=value - step, high=value + step, method="jackknife over patients")
