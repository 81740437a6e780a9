"""Values as volumes carry them: the narrowest kind that holds them, in memory order."""

import numpy as np

_WHOLE = (np.uint8, np.int16, np.uint16, np.int32)
_KEPT = frozenset(np.dtype(one) for one in _WHOLE)
_PLANES = 16


def narrowed(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values in a dtype of volumes: uint8, int16, uint16 and int32 for whole ones, else float32.

    Args:
        values: 3-D, whole numbers or floating point of any width, in native byte order.

    Returns:
        The values, not copied where their dtype is one of these, and flags: ``non_finite``; ``precision_lost`` where
        whole numbers are too large for any of them.
    """
    if values.dtype in _KEPT:
        return values, ()
    if values.dtype.kind == "f":
        return _narrowed_floats(values)
    dtype = _narrowest(values)
    if dtype is None:
        return values.astype(np.float32), ("precision_lost",)
    return values.astype(dtype), ()


def _narrowed_floats(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    # Plane by plane: an image with fractions shows one in the first that is not background.
    if all(np.array_equal(plane, np.rint(plane)) for plane in values):
        dtype = _narrowest(values)
        if dtype is not None:
            return values.astype(dtype), ()
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and flagged
        single = values.astype(np.float32, copy=False)
    return single, (() if all(np.isfinite(plane).all() for plane in single) else ("non_finite",))


def _narrowest(values: np.ndarray) -> type[np.generic] | None:
    low, high = values.min(), values.max()
    for dtype in _WHOLE:
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    return None


def turned_around(values: np.ndarray) -> np.ndarray:
    """``values`` with its three indices in reverse, C-contiguous: from a file's order to that of its header."""
    out = np.empty(values.shape[::-1], values.dtype)
    # Some planes at a time: their lines then stay in the cache, which is three times as fast.
    for start in range(0, len(values), _PLANES):
        out[:, :, start : start + _PLANES] = values[start : start + _PLANES].T
    return out
