"""Is acting on the model worth more than acting on everybody, or on nobody? Over what a false alarm is worth."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from medcnn.metrics.bootstrap import bootstrap_weights
from medcnn.metrics.by_patient import Owners
from medcnn.metrics.forecasts import Forecasts, forecasts, gathered

Array = NDArray[np.float64]


class DecisionCurve(NamedTuple):
    """Net benefit over the threshold probability: positives found for each case, less what the false alarms cost.

    Treating nobody has a net benefit of 0. All are shares of cases: 0.05 is as good as finding 5 positives in 100
    cases with no false alarm.

    Attributes:
        threshold: Probability from which on a case is treated ``(T,)``, in (0, 1).
        model: Net benefit of treating the cases at or above it; NaN where there is no case.
        low: Lower end of its 95 % interval over draws of patients.
        high: Upper end.
        treat_all: Net benefit of treating every case.
        reason: What is missing and why; "" where nothing is.
    """

    threshold: Array
    model: Array
    low: Array
    high: Array
    treat_all: Array
    reason: str = ""

    @property
    def harm_to_benefit(self) -> Array:
        """How many positives found one false alarm costs: the odds of the threshold.

        Who treats from 10 % on takes nine false alarms for one positive: 1 / 9.
        """
        return self.threshold / (1 - self.threshold)


def decision_curve(
    probabilities: Any,
    positive: Any,
    patients: Sequence[object] | None = None,
    thresholds: Any = None,
    draws: int = 200,
    seed: int = 0,
) -> DecisionCurve:
    """Net benefit of a model: ``(true positives - false positives * t / (1 - t)) / cases`` at each threshold t.

    It takes probabilities that mean what they say; a threshold on miscalibrated ones is not the one that was meant.

    Args:
        probabilities: Of the finding, ``(n,)``; NaN is left out.
        positive: Whether the case has the finding ``(n,)``.
        patients: Whose each case is ``(n,)``; every case is its own patient where it is not told.
        thresholds: Threshold probabilities ``(T,)`` in (0, 1); 0.01 to 0.99 where they are not told.
        draws: How often as many patients are drawn as there are.
        seed: The same seed gives the same interval.

    Raises:
        ValueError: A threshold outside (0, 1); shapes that do not fit; a number outside [0, 1] as a probability.

    References:
        Vickers and Elkin, 2006, doi:10.1177/0272989X06295361
    """
    given = np.arange(1, 100) / 100 if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    if given.ndim != 1 or not ((given > 0) & (given < 1)).all():
        raise ValueError(
            "thresholds of a decision curve are probabilities; give numbers between 0 and 1, both excluded"
        )
    order = np.argsort(given, kind="stable")
    cases = forecasts(probabilities, positive, patients)
    of = gathered(cases.of, seed)
    sums = _sums_by_patient(cases, of, given[order])
    model, everybody = _net_benefits(sums.sum(axis=0)[None], given[order])
    low = high = np.full(len(given), np.nan)
    reason = cases.left_out if len(cases.positive) else "no case has a probability"
    if cases.of.patients < 2:
        reason = "; ".join(filter(None, ["one patient alone gives no interval" * cases.of.patients, reason]))
    else:
        drawn = [_net_benefits(w @ sums, given[order])[0] for w in bootstrap_weights(None, of.patients, draws, seed)]
        low, high = np.percentile(np.concatenate(drawn), [2.5, 97.5], axis=0)
    back = np.argsort(order, kind="stable")
    return DecisionCurve(given, model[0][back], low[back], high[back], everybody[0][back], reason)


def _sums_by_patient(cases: Forecasts, of: Owners, ascending: Array) -> csr_array:
    """Cases of each patient by the thresholds they reach and by finding, ``(patients, 2 * (T + 1))``."""
    # A case at a threshold is treated there, as one above it.
    reached = np.searchsorted(ascending, cases.probability, side="right")
    columns = reached + np.where(cases.positive, 0, len(ascending) + 1)
    shape = of.patients, 2 * (len(ascending) + 1)
    return csr_array((np.ones(len(columns)), (of.number, columns)), shape=shape)


def _net_benefits(sums: Array, ascending: Array) -> tuple[Array, Array]:
    """Net benefit of the model and of treating everybody, ``(draws, T)`` each, from sums of ``_sums_by_patient``."""
    positives, negatives = np.split(sums, 2, axis=1)
    n = sums.sum(axis=1, keepdims=True)
    harm = ascending / (1 - ascending)
    # From the highest threshold down: who reaches the next one reaches this one.
    hits, alarms = (np.cumsum(side[:, :0:-1], axis=1)[:, ::-1] for side in (positives, negatives))
    everybody = positives.sum(axis=1, keepdims=True) - harm * negatives.sum(axis=1, keepdims=True)
    empty = np.full_like(everybody, np.nan)
    return tuple(np.divide(part, n, out=empty.copy(), where=n > 0) for part in (hits - harm * alarms, everybody))
