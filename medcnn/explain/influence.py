"""A figure with what each case adds to it: from that follow its error by patient, and the error of any ratio."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from medcnn.metrics.by_patient import Owners
from medcnn.metrics.delong import placements

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Figure:
    """A figure and the first-order influence of each case on it.

    Sums, differences and quotients of figures over the same cases carry their influence along (the delta method), so
    that what they share cancels.

    Attributes:
        value: The figure.
        influence: ``(n,)``; sums to 0.
    """

    value: float
    influence: Array

    def __sub__(self, other: "Figure | float") -> "Figure":
        if isinstance(other, Figure):
            return Figure(self.value - other.value, self.influence - other.influence)
        return Figure(self.value - other, self.influence)

    def __truediv__(self, other: "Figure") -> "Figure":
        value = self.value / other.value if other.value else math.nan
        with np.errstate(all="ignore"):
            return Figure(value, (self.influence - value * other.influence) / other.value)

    def error(self, of: Owners) -> tuple[float, float]:
        """Standard error with patients as the units, and its degrees of freedom; NaN below two patients.

        The degrees of freedom are those of a variance that some patients carry more of than others.
        """
        squares = of.sums(self.influence) ** 2
        count = np.count_nonzero(squares)
        if of.patients < 2 or not math.isfinite(self.value):
            return math.nan, math.nan
        total = float(squares.sum())
        freedom = total**2 / float((squares**2).sum()) if total else float(count)
        return math.sqrt(of.patients / (of.patients - 1) * total), max(min(freedom, of.patients) - 1, 1.0)


def mean_of(values: Array, some: Mask | None = None) -> Figure:
    """The mean over ``some`` of the cases."""
    some = np.ones(len(values), bool) if some is None else some
    if not some.any():
        return Figure(math.nan, np.full(len(values), math.nan))
    value = float(values[some].mean())
    return Figure(value, np.where(some, values - value, 0) / some.sum())


def spread_of(values: Array) -> Figure:
    """The standard deviation over all cases."""
    apart = values - values.mean()
    value = math.sqrt(float((apart**2).mean()))
    return Figure(value, (apart**2 - value**2) / (2 * value * len(values)) if value else np.zeros(len(values)))


def auroc_of(scores: Array, positive: Mask) -> Figure:
    """The AUROC; NaN where a class is missing. The influences are DeLong's structural components."""
    sides = (positive, ~positive)
    if not all(side.any() for side in sides):
        return Figure(math.nan, np.full(len(scores), math.nan))
    value, placed = placements(scores, positive)
    shares = np.where(positive, 1 / sides[0].sum(), 1 / sides[1].sum())
    return Figure(value, (placed - value) * shares)


def beyond(figure: Figure, margin: float, of: Owners) -> float:
    """P of the hypothesis that the figure lies within ``margin`` of 0, against that it lies outside."""
    error, freedom = figure.error(of)
    if not math.isfinite(error):
        return math.nan
    excess = abs(figure.value) - margin
    if not error:
        return float(excess <= 0)
    # Both tails, at the edge of the hypothesis: with a margin of 0 this is the usual two-sided test.
    return float(stats.t.sf(excess / error, freedom) + stats.t.sf((abs(figure.value) + margin) / error, freedom))
