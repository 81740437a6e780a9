"""Exact percentiles of large arrays: by counting for integers, by selection between sampled bounds for floats."""

from collections.abc import Sequence

import numpy as np

CHUNK = 1 << 18  # a buffer that stays in the cache; the whole volume as int64 would cost more than the counting
MAX_SPAN = 1 << 20
SAMPLE = 1 << 14
LARGE = 1 << 18


def percentiles(values: np.ndarray, percents: Sequence[float]) -> list[float]:
    """Percentiles by linear interpolation, equal to ``numpy.percentile`` of the same values as float64.

    Args:
        values: Finite numbers of any shape, at least one.
        percents: Each in [0, 100].

    Raises:
        ValueError: If there are no values.
    """
    flat = values.reshape(-1)
    if not flat.size:
        raise ValueError("percentiles of no values; give at least one")
    places = [(flat.size - 1) * (percent / 100) for percent in percents]
    ranks = sorted({rank for place in places for rank in (int(place), min(int(place) + 1, flat.size - 1))})
    ordered = dict(zip(ranks, _order_statistics(flat, ranks), strict=True))
    return [_between(ordered[int(p)], ordered[min(int(p) + 1, flat.size - 1)], p - int(p)) for p in places]


def _between(low: float, high: float, part: float) -> float:
    # From the nearer end, as numpy does, so that part = 1 gives ``high`` itself.
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


def _order_statistics(flat: np.ndarray, ranks: list[int]) -> list[float]:
    """The values that would stand at ``ranks`` (ascending) if ``flat`` were sorted."""
    if flat.dtype.kind == "b":
        flat = flat.view(np.uint8)
    if flat.size >= LARGE:
        return _by_bounds(flat, ranks)
    return _by_order(flat, ranks)


def _by_order(flat: np.ndarray, ranks: list[int]) -> list[float]:
    if flat.dtype.kind in "iu":
        low, high = int(flat.min()), int(flat.max())
        if high - low < min(flat.size, MAX_SPAN):
            return _by_counting(flat, ranks, low, high - low + 1)
    parted = np.partition(flat, ranks)
    return [float(parted[rank]) for rank in ranks]


def _by_counting(flat: np.ndarray, ranks: list[int], low: int, span: int) -> list[float]:
    """From the exact histogram."""
    counts = np.zeros(span, dtype=np.intp)
    size = max(CHUNK, 4 * span)
    buffer = np.empty(min(size, flat.size), dtype=np.intp)
    for start in range(0, flat.size, size):
        chunk = flat[start : start + size]
        index = buffer[: chunk.size]
        np.copyto(index, chunk, casting="unsafe")
        index -= low
        counts += np.bincount(index, minlength=span)
    return [float(place + low) for place in np.searchsorted(np.cumsum(counts), ranks, side="right")]


def _by_bounds(flat: np.ndarray, ranks: list[int]) -> list[float]:
    """Order only what lies between two bounds that a sample suggests; counts prove the bounds, or all is ordered."""
    # An odd stride, so that the sample does not fall on one column of the image.
    sample = np.sort(flat[:: flat.size // SAMPLE | 1])
    found: dict[int, float] = {}
    for rank in ranks:
        if rank not in found:
            found |= _between_bounds(flat, ranks, *_bounds(flat, sample, rank / flat.size))
        if rank not in found:
            return _by_order(flat, ranks)
    return [found[rank] for rank in ranks]


def _bounds(flat: np.ndarray, sample: np.ndarray, part: float) -> tuple[float, float]:
    """Values around the sampled percentile, four standard deviations of its rank and a few places away."""
    slack = 4 * np.sqrt(sample.size * part * (1 - part)) + 8
    first, last = int(part * sample.size - slack), int(part * sample.size + slack)
    return (sample[first] if first >= 0 else flat.min()), (sample[last] if last < sample.size else flat.max())


def _between_bounds(flat: np.ndarray, ranks: list[int], low: float, high: float) -> dict[int, float]:
    """The order statistics at those ``ranks`` that turn out to lie from ``low`` to ``high``."""
    below, inside, kept = 0, 0, []
    for start in range(0, flat.size, CHUNK):
        chunk = flat[start : start + CHUNK]
        least = chunk >= low
        below += chunk.size - int(np.count_nonzero(least))
        np.logical_and(least, chunk <= high, out=least)
        inside += int(np.count_nonzero(least))
        if low < high:
            kept.append(chunk[least])
    proven = [rank for rank in ranks if 0 <= rank - below < inside]
    if not kept or not proven:
        return dict.fromkeys(proven, float(low))
    values = _by_order(np.concatenate(kept), [rank - below for rank in proven])
    return dict(zip(proven, values, strict=True))
