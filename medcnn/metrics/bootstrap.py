"""Intervals by drawing patients again."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def bootstrap_mean(
    figures: Array, patients: Sequence[object] | None = None, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """A percentile interval of the mean over classes of the mean over cases.

    Patients are drawn with replacement, each with all of its cases: cases of one patient are no independent evidence.

    Args:
        figures: One number a case and class ``(n, K)``; NaN is left out.
        patients: Whose each case is ``(n,)``; every case is its own patient where it is not told.
        draws: How often as many patients are drawn as there are.
        level: How much of the draws lies in the interval.
        seed: The same seed gives the same interval.

    Returns:
        Its ends; NaN where fewer than two patients have a figure.
    """
    known = ~np.isnan(figures)
    owners = np.arange(len(figures)) if patients is None else np.unique(np.asarray(patients), return_inverse=True)[1]
    sums, counts = np.zeros((2, int(owners.max(initial=-1)) + 1, figures.shape[1]))
    np.add.at(sums, owners, np.where(known, figures, 0))
    np.add.at(counts, owners, known)
    some = counts.any(axis=1)
    sums, counts, n = sums[some], counts[some], int(some.sum())
    if n < 2:
        return float("nan"), float("nan")
    # How often each patient is in each draw: then a draw's sums are one product of matrices.
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
    drawn = times @ counts
    means = np.divide(times @ sums, drawn, out=np.full_like(drawn, np.nan), where=drawn > 0)
    present = (drawn > 0).sum(axis=1)
    of_draws = np.nansum(means, axis=1)[present > 0] / present[present > 0]
    low, high = np.percentile(of_draws, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
