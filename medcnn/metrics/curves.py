"""Points of the curves by which thresholds are judged: every distinct score once, equal scores together."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Points(NamedTuple):
    """Points of a curve, from calling nothing to calling every case.

    Attributes:
        x: False alarm rate, or recall.
        y: Sensitivity, or precision.
        threshold: The least score that is called at each point; infinite where nothing is.
    """

    x: Array
    y: Array
    threshold: Array


def roc_curve(scores: Array, positive: NDArray[np.bool_]) -> Points:
    """Sensitivity over false alarm rate at every distinct score; NaN where a side is missing.

    Args:
        scores: One number a case ``(n,)``, higher is more suspicious.
        positive: Whether the case has the finding ``(n,)``.
    """
    hits, called, threshold = called_at_each_score(scores, positive)
    positives, negatives = hits[-1], called[-1] - hits[-1]
    return Points(_share(called - hits, negatives), _share(hits, positives), threshold)


def precision_recall_curve(scores: Array, positive: NDArray[np.bool_]) -> Points:
    """Precision over recall at every distinct score; recall is NaN where there is no positive.

    The first point calls nothing, and its precision is 1 by convention.

    Args:
        scores: One number a case ``(n,)``, higher is more suspicious.
        positive: Whether the case has the finding ``(n,)``.
    """
    hits, called, threshold = called_at_each_score(scores, positive)
    precision = np.divide(hits, called, out=np.ones_like(hits), where=called > 0)
    return Points(_share(hits, hits[-1]), precision, threshold)


def confusion(true: NDArray[np.int64], called: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Cases by truth (rows) and call (columns), ``(K, K)``; unknown truth (-1) is left out.

    Args:
        true: Class of each case ``(n,)``, -1 unknown.
        called: Class each case is called ``(n,)``.
        classes: K.
    """
    known = true >= 0
    cells = np.bincount(true[known] * classes + called[known], minlength=classes * classes)
    return cells.reshape(classes, classes)


def called_at_each_score(scores: Array, positive: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Positives and cases at or above each distinct score, and that score, from the highest down.

    The first entry calls nothing: 0, 0 and infinity.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(ordered) else np.zeros(0, np.int64)
    hits = np.concatenate(([0.0], np.cumsum(positive[order])[last]))
    return hits, np.concatenate(([0.0], last + 1.0)), np.concatenate(([np.inf], ordered[last]))


def _share(part: Array, whole: float) -> Array:
    return part / whole if whole else np.full_like(part, np.nan)
