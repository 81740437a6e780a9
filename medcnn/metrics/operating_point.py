"""Where to set the threshold: for a sensitivity that was asked for, on data that was not trained on."""

from typing import Any, NamedTuple

import numpy as np


class OperatingPoint(NamedTuple):
    """A threshold and what it gave on the data it was chosen on.

    Attributes:
        threshold: A case is called at this score or above; NaN where it could not be chosen.
        sensitivity: Share of the positives that are called.
        specificity: Share of the negatives that are not; NaN where there is none.
        positives: Number of positives.
        reason: Why the threshold is NaN, "" otherwise.
    """

    threshold: float
    sensitivity: float
    specificity: float
    positives: int
    reason: str = ""


def threshold_for_sensitivity(scores: Any, positive: Any, target: float) -> OperatingPoint:
    """The highest threshold at which at least ``target`` of the positives are called.

    Any higher one that changes a call misses the target. Cases of one score are called together.

    Args:
        scores: One number a case ``(n,)``.
        positive: Whether the case has the finding ``(n,)``.
        target: Sensitivity to reach, in (0, 1].

    Raises:
        ValueError: A target outside (0, 1].
    """
    if not 0 < target <= 1:
        raise ValueError(f"the sensitivity to reach is {target}; give a share above 0 and up to 1")
    scores, positive = np.asarray(scores), np.asarray(positive, dtype=bool)
    hits = np.sort(scores[positive])[::-1]
    if not len(hits):
        nan = float("nan")
        return OperatingPoint(nan, nan, nan, 0, "no positive case to choose a threshold on")
    # A share as a float may lie a hair above the whole number it means: 0.07 * 100 is 7.000000000000001.
    needed = max(int(np.ceil(target * len(hits) - 1e-9)), 1)
    threshold = hits[needed - 1]
    negatives = scores[~positive]
    specificity = float((negatives < threshold).mean()) if len(negatives) else float("nan")
    return OperatingPoint(float(threshold), float((hits >= threshold).mean()), specificity, len(hits))


def widened(threshold: float, scores: Any) -> float:
    """A threshold moved half-way to the next lower score: every call stays, and rounding cannot change one.

    A score on another machine differs in its last digit; a threshold that equals a score would turn on it.

    Args:
        threshold: A threshold that is one of the scores, or NaN.
        scores: All scores ``(n,)`` it was chosen on.
    """
    scores = np.asarray(scores, dtype=np.float64)
    lower = scores[scores < threshold]
    return float((threshold + lower.max()) / 2) if len(lower) else threshold
