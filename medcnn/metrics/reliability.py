"""Do probabilities mean what they say? The reliability curve, and what it comes to in single figures.

``intercept``: of the logistic regression with slope 1, 0 is right. ``slope``: of the logistic regression on the
logit, 1 is right. ``observed_over_expected``: positives over the sum of probabilities.

``brier``: the mean squared error of the probabilities as they are. Its parts are those of the binned forecast:
``brier_reliability - brier_resolution + brier_uncertainty`` is the Brier score of the means of the bins, exactly,
and ``brier_within_bins`` is what the cases add that differ from the mean of their bin (their variance less twice
their covariance with the finding): the four make up ``brier``.

``ece``: the mean gap between probability and share over bins, cases weighed alike. Chance alone makes it positive,
the more so the fewer the cases. What it would be by chance is told by how far the gaps of the draws lie from those
observed; ``ece_debiased`` is the root of its square less the square of that mean, and not below 0. The interval of
both starts at 0 where by chance at least one draw in 40 reaches the observed error; so does ``brier_reliability``'s.

Intercept and slope take one Newton step for each draw, from the line of all cases.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcnn.metrics.estimate import NAN, Estimate
from medcnn.metrics.forecasts import Forecasts, drawn_sums, forecasts
from medcnn.metrics.rates import share
from medcnn.metrics.recalibration import CLIP, calibration_intercept, calibration_line, logits_of, probability_of

Array = NDArray[np.float64]


class ReliabilityBin(NamedTuple):
    """Cases of about one probability.

    Attributes:
        low: Lower edge, outside but for 0.
        high: Upper edge, inside.
        mean_probability: What the model said on average.
        share: How many of these cases have the finding, with its interval.
        cases: Their number.
    """

    low: float
    high: float
    mean_probability: float
    share: Estimate
    cases: int


def reliability(
    probabilities: Any,
    positive: Any,
    patients: Sequence[object] | None = None,
    bins: int = 10,
    equal_counts: bool = False,
) -> list[ReliabilityBin]:
    """The share of positives among cases of about one probability, bin by bin.

    Args:
        probabilities: Of the finding, ``(n,)``; NaN is left out.
        positive: Whether the case has the finding ``(n,)``.
        patients: Whose each case is ``(n,)``; every case is its own patient where it is not told.
        bins: How many; those without a case are left out.
        equal_counts: Whether bins hold equal numbers of cases instead of being equally wide; cases of one
            probability stay together.

    Raises:
        ValueError: As in ``forecasts``.
    """
    cases = forecasts(probabilities, positive, patients)
    edges = _edges(cases.probability, bins, equal_counts)
    place = _place(cases.probability, edges)
    found = []
    for index in np.unique(place):
        inside = place == index
        observed = share(cases.positive[inside], cases.of.number[inside].tolist())
        mean = float(cases.probability[inside].mean())
        found.append(ReliabilityBin(float(edges[index]), float(edges[index + 1]), mean, observed, int(inside.sum())))
    return found


def calibration_figures(
    probabilities: Any,
    positive: Any,
    patients: Sequence[object] | None = None,
    bins: int = 10,
    draws: int = 1000,
    seed: int = 0,
    equal_counts: bool = False,
) -> dict[str, Estimate]:
    """Calibration in single figures, each with a 95 % interval by drawing patients again.

    What each figure is stands at the head of this module.

    Args:
        probabilities: Of the finding, ``(n,)``; NaN is left out.
        positive: Whether the case has the finding ``(n,)``.
        patients: Whose each case is ``(n,)``; every case is its own patient where it is not told.
        bins: As in ``reliability``.
        draws: How often as many patients are drawn as there are.
        seed: The same seed gives the same intervals.
        equal_counts: As in ``reliability``.

    Returns:
        The ten figures by name; NaN with a reason where one cannot be told.

    Raises:
        ValueError: As in ``forecasts``.

    References:
        Van Calster et al., 2019, doi:10.1186/s12916-019-1466-7 (intercept, slope);
        Stephenson et al., 2008, doi:10.1175/2007WAF2006116.1 (the part within bins);
        Kumar et al., 2019, arXiv:1909.10155 (the bias of the calibration error)
    """
    cases = forecasts(probabilities, positive, patients)
    if not len(cases.positive):
        names = (*_of_sums(np.zeros((1, 3 * bins + 1))), "ece_debiased", "intercept", "slope")
        return {name: Estimate(NAN, reason=_joined("no case has a probability", cases.left_out)) for name in names}
    columns = _binned(cases, bins, equal_counts)
    lines = _Lines(cases)
    of_draws = drawn_sums(np.hstack([columns, lines.columns]), cases.of, draws, seed)
    values = {name: float(value[0]) for name, value in _of_sums(columns.sum(axis=0)[None]).items()}
    binned = of_draws[:, : columns.shape[1]]
    drawn, chance = _of_sums(binned), _by_chance(binned, columns.sum(axis=0))
    found = {name: _estimate(values[name], drawn[name], cases) for name in values}
    for name, alone in chance.items():
        found[name] = _above_chance(found[name], drawn[name], alone)
    found["ece_debiased"] = _debiased(found["ece"], chance["ece"])
    for name, value, reason, steps in lines.fits(of_draws[:, columns.shape[1] :]):
        found[name] = _estimate(value, steps, cases, reason)
    return found


class _Lines:
    """Intercept and slope, and the sums over cases that move them from one draw to the next."""

    def __init__(self, cases: Forecasts) -> None:
        logits, true = logits_of(cases.probability), cases.positive
        self.intercept, self.no_intercept = calibration_intercept(logits, true)
        start, self.slope, self.no_slope = calibration_line(logits, true)
        at_intercept = probability_of(logits + np.nan_to_num(self.intercept))
        at_line = probability_of(np.nan_to_num(start) + np.nan_to_num(self.slope) * logits)
        weight, rest = at_line * (1 - at_line), true - at_line
        flat = [true - at_intercept, at_intercept * (1 - at_intercept)]
        self.columns = np.stack([*flat, rest, rest * logits, weight, weight * logits, weight * logits**2], axis=1)
        held = int(((cases.probability < CLIP) | (cases.probability > 1 - CLIP)).sum())
        self.held = f"probabilities held {CLIP:g} away from 0 or 1: {held}" if held else ""

    def fits(self, sums: Array) -> list[tuple[str, float, str, Array]]:
        """Name, value, reason and the values of the draws."""
        gain, weight, rest, rest_x, w, w_x, w_xx = sums.T
        # A draw that hardly tells the intercept must not throw it to infinity.
        intercepts = self.intercept + _over(gain, np.maximum(weight, 0.1 * weight.mean()))
        slopes = self.slope + _over(w * rest_x - w_x * rest, w * w_xx - w_x**2)
        return [
            ("intercept", self.intercept, _joined(self.no_intercept, self.held), intercepts),
            ("slope", self.slope, _joined(self.no_slope, self.held), slopes),
        ]


def _edges(probability: Array, bins: int, equal_counts: bool) -> Array:
    if not equal_counts or not len(probability):
        return np.linspace(0, 1, bins + 1)
    return np.quantile(probability, np.linspace(0, 1, bins + 1))


def _place(probability: Array, edges: Array) -> NDArray[np.int64]:
    """The bin of each case: a probability on an edge belongs below it, as scikit-learn has it."""
    return np.searchsorted(edges[1:-1], probability, side="left")


def _binned(cases: Forecasts, bins: int, equal_counts: bool) -> Array:
    """What of each case is summed up: one, its probability and its finding, each in its bin, and its squared error."""
    place = _place(cases.probability, _edges(cases.probability, bins, equal_counts))
    rows, columns = np.arange(len(place)), np.zeros((len(place), 3 * bins + 1))
    columns[rows, place] = 1
    columns[rows, bins + place] = cases.probability
    columns[rows, 2 * bins + place] = cases.positive
    columns[:, -1] = (cases.probability - cases.positive) ** 2
    return columns


def _of_sums(sums: Array) -> dict[str, Array]:
    """The figures that follow from sums over bins, ``(draws, 3 * bins + 1)``."""
    cases, said, true = np.split(sums[:, :-1], 3, axis=1)
    n, positives = cases.sum(axis=1), true.sum(axis=1)
    base = _over(positives, n)
    brier = _over(sums[:, -1], n)
    apart = _over(_over((said - true) ** 2, cases, 0.0).sum(axis=1), n)
    resolved = _over((cases * (_over(true, cases, 0.0) - base[:, None]) ** 2).sum(axis=1), n)
    return {
        "observed_over_expected": _over(positives, said.sum(axis=1)),
        "brier": brier,
        "brier_reliability": apart,
        "brier_resolution": resolved,
        "brier_uncertainty": base * (1 - base),
        "brier_within_bins": brier - (apart - resolved + base * (1 - base)),
        "ece": _over(np.abs(said - true).sum(axis=1), n),
    }


def _by_chance(drawn: Array, observed: Array) -> dict[str, Array]:
    """What errors the draws would show if there were none: by how far their gaps lie from those observed."""
    cases, said, true = np.split(drawn[:, :-1], 3, axis=1)
    all_cases, all_said, all_true = np.split(observed[:-1], 3)
    n = cases.sum(axis=1)
    gaps = said - true - np.outer(n / all_cases.sum(), all_said - all_true)
    return {
        "ece": _over(np.abs(gaps).sum(axis=1), n),
        "brier_reliability": _over(_over(gaps**2, cases, 0.0).sum(axis=1), n),
    }


def _over(part: Array, whole: Array, empty: float = NAN) -> Array:
    return np.divide(part, whole, out=np.full_like(part, empty), where=np.nan_to_num(whole) > 0)


def _estimate(value: float, drawn: Array, cases: Forecasts, reason: str = "") -> Estimate:
    """A value with the percentiles of its draws."""
    low = high = NAN
    if np.isnan(value):
        reason = reason or "no positive is expected: every probability is 0"
    elif cases.of.patients < 2:
        reason = _joined(reason, "one patient alone gives no interval")
    elif np.nanstd(drawn) < 1e-12:
        reason = _joined(reason, "every draw of patients gives the same: their spread cannot be told")
    else:
        low, high = (float(end) for end in np.nanpercentile(drawn, [2.5, 97.5]))
    counts = len(cases.positive), cases.of.patients, int(cases.positive.sum())
    return Estimate(value, low, high, *counts, "bootstrap over patients", _joined(reason, cases.left_out))


def _above_chance(error: Estimate, drawn: Array, chance: Array) -> Estimate:
    """An error that chance makes grow: its interval is what is left of the ends without chance, and holds the value."""
    if np.isnan(error.low):
        return error
    # The draws lie higher than the value, by what chance adds once more: their spread counts, not their place.
    moved = error.value - float(np.nanmean(drawn))
    low, high = _without(error.low + moved, chance), _without(error.high + moved, chance)
    if error.value <= np.nanpercentile(chance, 97.5):
        low = 0.0
    reason = error.reason if low else _joined("chance alone may make up all of it", error.reason)
    return error._replace(low=low, high=max(high, error.value), reason=reason)


def _debiased(ece: Estimate, chance: Array) -> Estimate:
    if np.isnan(ece.low):
        return ece._replace(value=NAN, reason=_joined("what chance adds cannot be told", ece.reason))
    return ece._replace(value=_without(ece.value, chance))


def _without(error: float, chance: Array) -> float:
    return float(np.sqrt(max(max(error, 0.0) ** 2 - float(np.nanmean(chance)) ** 2, 0.0)))


def _joined(*reasons: str) -> str:
    return "; ".join(filter(None, reasons))
