"""How well scores put positives before negatives: exact, ties included, in the time of one sort."""

import numpy as np
from numpy.typing import NDArray

from medcnn.metrics.curves import called_at_each_score

Array = NDArray[np.float64]


def auroc(scores: Array, positive: NDArray[np.bool_]) -> float:
    """The share of pairs in which the positive scores higher; a tie counts half.

    Args:
        scores: One number a case ``(n,)``, higher is more suspicious.
        positive: Whether the case has the finding ``(n,)``.

    Returns:
        In [0, 1]; NaN where either side is missing.
    """
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    order = np.argsort(scores)
    ordered, hits = scores[order], positive[order]
    # Cases of one score share the mean of their places.
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ends = np.append(starts[1:], len(ordered))
    hits_before = np.concatenate(([0], np.cumsum(hits)))
    hits_inside = hits_before[ends] - hits_before[starts]
    twice_places = (starts + ends + 1).astype(np.float64)
    rank_sum = float((hits_inside * twice_places).sum()) / 2
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def average_precision(scores: Array, positive: NDArray[np.bool_]) -> float:
    """The precision at each distinct score, weighed by the recall it adds: no interpolation.

    Args:
        scores: One number a case ``(n,)``, higher is more suspicious.
        positive: Whether the case has the finding ``(n,)``.

    Returns:
        In [0, 1]; NaN where there is no positive.
    """
    positives = int(positive.sum())
    if not positives:
        return float("nan")
    hits, called, _ = called_at_each_score(scores, positive)
    return float((np.diff(hits) * hits[1:] / called[1:]).sum() / positives)
