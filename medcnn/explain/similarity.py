"""How alike two maps of relevance are: by the order of their values, and by their structure."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from skimage.metrics import structural_similarity
from torch import Tensor

Array = NDArray[np.float64]
#: Side of the window of the structural similarity; less where a map is smaller.
WINDOW = 7


def rank_correlations(first: Tensor, second: Tensor) -> Array:
    """Spearman's rank correlation of each pair of maps, ties sharing their rank.

    Args:
        first: Maps ``(B, *spatial)``.
        second: Maps of the same shape.

    Returns:
        In [-1, 1], float64 ``(B,)``; 0 where one of the two has the same value everywhere and so orders nothing.

    Raises:
        ValueError: If the shapes differ.
    """
    _check(first, second)
    ranks = [rankdata(_rows(maps), axis=1) for maps in (first, second)]
    a, b = (one - one.mean(axis=1, keepdims=True) for one in ranks)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, out=np.zeros(len(a)), where=scale > 0)


def structural_similarities(first: Tensor, second: Tensor) -> Array:
    """Structural similarity (SSIM, by scikit-image) of each pair of maps in [0, 1], in two or three dimensions.

    Args:
        first: Maps ``(B, *spatial)``, each scaled to [0, 1].
        second: Maps of the same shape.

    Returns:
        At most 1, float64 ``(B,)``; 0 where one of the two is zero everywhere: a map that shows nothing is like none.

    Raises:
        ValueError: If the shapes differ.
    """
    _check(first, second)
    least = min(first.shape[1:])
    window = min(WINDOW, least - 1 + least % 2)
    pairs = zip(_plain(first), _plain(second), strict=True)
    return np.array([_structural(a, b, window) if a.any() and b.any() else 0.0 for a, b in pairs], np.float64)


def _structural(first: Array, second: Array, window: int) -> float:
    return float(structural_similarity(first, second, win_size=window, data_range=1.0, use_sample_covariance=False))


def _rows(maps: Tensor) -> Array:
    return _plain(maps).reshape(len(maps), -1)


def _plain(maps: Tensor) -> Array:
    return np.asarray(maps.detach().as_subclass(torch.Tensor).cpu().numpy(), np.float64)


def _check(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape or first.ndim < 2:
        raise ValueError(
            f"expected maps (B, *spatial) of one shape, found {tuple(first.shape)} and {tuple(second.shape)}"
        )
