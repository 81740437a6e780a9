"""Probabilities beside what came true, and sums over draws of their patients."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcnn.metrics.bootstrap import bootstrap_weights
from medcnn.metrics.by_patient import Owners, owners

Array = NDArray[np.float64]

# More patients are drawn in groups: groups of patients are as independent as patients, and so many tell the spread.
_MOST_DRAWN = 20_000


class Forecasts(NamedTuple):
    """Cases that have a probability.

    Attributes:
        probability: In [0, 1] ``(n,)``.
        positive: Whether the case has the finding ``(n,)``.
        of: Whose each case is.
        left_out: What was left out and why; "" where nothing was.
    """

    probability: Array
    positive: NDArray[np.bool_]
    of: Owners
    left_out: str


def forecasts(probabilities: Any, positive: Any, patients: Sequence[object] | None = None) -> Forecasts:
    """Cases that have a probability, checked.

    Raises:
        ValueError: Shapes that do not fit, or a number outside [0, 1].
    """
    given, true = np.asarray(probabilities, dtype=np.float64), np.asarray(positive, dtype=bool)
    if given.shape != true.shape or given.ndim != 1:
        raise ValueError(f"probabilities {given.shape} and truth {true.shape}: give both as (n,)")
    known = ~np.isnan(given)
    held, missing = given[known], int((~known).sum())
    if len(held) and (held.min() < 0 or held.max() > 1):
        raise ValueError(f"probabilities range from {held.min():g} to {held.max():g}; expected 0 to 1, not logits")
    left_out = f"cases without a probability are left out: {missing}" if missing else ""
    return Forecasts(held, true[known], owners(patients, len(true)).among(known), left_out)


def gathered(of: Owners, seed: int) -> Owners:
    """Patients as they are drawn: many of them by chance in 20,000 groups, which spare time and keep the spread."""
    if of.patients <= _MOST_DRAWN:
        return of
    group = np.random.default_rng(seed).permutation(of.patients) % _MOST_DRAWN
    return Owners(group[of.number], _MOST_DRAWN)


def drawn_sums(columns: Array, of: Owners, draws: int, seed: int) -> Array:
    """Columns ``(n, C)`` summed over the cases of each draw of patients, ``(draws, C)``."""
    drawn = gathered(of, seed)
    # Summed by patient first: then a draw is one product of matrices, and as large as there are patients.
    sums = np.stack([drawn.sums(column) for column in columns.T], axis=1)
    return np.concatenate([times @ sums for times in bootstrap_weights(None, drawn.patients, draws, seed)])
