"""Two models that called the same cases: do they differ in a share, or only in which cases they get wrong?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from medcnn.metrics.by_patient import owners, quantile
from medcnn.metrics.estimate import NAN, Estimate

Truth = NDArray[np.bool_]


class PairedShares(NamedTuple):
    """Two shares of the same cases.

    Attributes:
        difference: Share of the first minus that of the second.
        first_only: Cases that the first alone got.
        second_only: Cases that the second alone got.
        p: Two-sided, of the hypothesis that there is no difference; NaN where it cannot be tested.
        method: How p was made.
    """

    difference: Estimate
    first_only: int
    second_only: int
    p: float
    method: str


def paired_shares(
    first: Truth, second: Truth, patients: Sequence[object] | None = None, level: float = 0.95
) -> PairedShares:
    """The difference of two shares of the same cases, by McNemar's exact test or clustered by patient.

    Where every case is its own patient, p is that of the exact test: of the cases that one model alone got, each is as
    likely to be the first's. Where patients have several cases, the differences are summed by patient and tested by
    Student's t. The interval is that of the mean difference over patients in both cases.

    Args:
        first: Whether the first model was right, or called it ``(n,)``.
        second: The same of the second on the same cases ``(n,)``.
        patients: Whose each case is ``(n,)``; None: every case is its own patient.
        level: Coverage of the interval.

    Raises:
        ValueError: Shapes that do not fit, or a level outside (0, 1).
    """
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"two calls of shapes {first.shape} and {second.shape}: give both as (n,)")
    of = owners(patients, len(first))
    ones, others = int((first & ~second).sum()), int((~first & second).sum())
    method = "clustered by patient" if of.several else "exact McNemar"
    about = Estimate(NAN, n=len(first), patients=of.patients, method="mean over patients", level=level)
    if not len(first):
        return PairedShares(about._replace(reason="there is no case"), 0, 0, NAN, method)
    value = (ones - others) / len(first)
    about = about._replace(value=value)
    if not ones + others:
        return PairedShares(about._replace(reason="the two agree in every case"), 0, 0, 1.0, method)
    if of.patients < 2:
        reason = "one patient alone: how patients differ cannot be told"
        return PairedShares(about._replace(reason=reason), ones, others, NAN, method)
    sums = of.sums(first.astype(np.float64) - second) - value * of.sums(np.ones(len(first)))
    error = float(np.sqrt(of.patients / (of.patients - 1) * (sums**2).sum())) / len(first)
    if not error:
        reason = "the two differ in the same way in every case"
        return PairedShares(
            about._replace(reason=reason), ones, others, NAN if of.several else _exact(ones, others), method
        )
    reach = quantile(level, of.patients - 1) * error
    about = about._replace(low=max(value - reach, -1.0), high=min(value + reach, 1.0))
    p = float(2 * stats.t.sf(abs(value) / error, of.patients - 1)) if of.several else _exact(ones, others)
    return PairedShares(about, ones, others, p, method)


def _exact(ones: int, others: int) -> float:
    return float(stats.binomtest(ones, ones + others).pvalue)
