"""Intensities mapped linearly onto a range, without a NaN whatever comes in."""

from typing import Any

import numpy as np

CHUNK = 1 << 16  # float32 values that stay in the cache between the passes over them
EXACT_IN_FLOAT32 = 1 << 24
LUMA = (0.299, 0.587, 0.114)


def rescaled(
    values: np.ndarray,
    lower: float,
    upper: float,
    low: float = 0.0,
    high: float = 1.0,
    *,
    clip: bool = True,
    finite: bool = False,
) -> np.ndarray:
    """``lower`` to ``upper`` mapped linearly onto ``low`` to ``high``; ``low`` everywhere where that is no range.

    Args:
        values: Finite or not; what is not finite becomes ``low``.
        lower: Goes to ``low``.
        upper: Goes to ``high``.
        low: Lower end of the result.
        high: Upper end of the result.
        clip: Keep the result within ``low`` and ``high``.
        finite: The caller knows that every value is finite: saves looking.

    Returns:
        float32, contiguous, the shape of ``values``, never NaN.
    """
    if not has_range(lower, upper):
        return np.full(values.shape, low, dtype=np.float32)
    scale = (high - low) / (upper - lower)
    out = np.empty(values.shape, dtype=_working_type(values, scale))
    flat, target = np.ascontiguousarray(values).reshape(-1), out.reshape(-1)
    # The rounding error of lower goes into the constant: a narrow range far from zero keeps its digits.
    origin = out.dtype.type(lower)
    constant = out.dtype.type(low - (lower - float(origin)) * scale)
    for start in range(0, flat.size, CHUNK):
        part = target[start : start + CHUNK]
        np.copyto(part, flat[start : start + CHUNK], casting="unsafe")
        np.subtract(part, origin, out=part)
        np.multiply(part, out.dtype.type(scale), out=part)
        np.add(part, constant, out=part)
        if clip:
            np.clip(part, min(low, high), max(low, high), out=part)
    if not finite and not all_finite(values):
        out[~np.isfinite(values)] = low
    return out.astype(np.float32, copy=False)


def has_range(lower: float, upper: float) -> bool:
    """Whether values from ``lower`` to ``upper`` can be told apart: not equal, not NaN, no denormal gap."""
    return bool(upper - lower > np.finfo(np.float64).tiny)


def all_finite(values: np.ndarray) -> bool:
    """Whether no value is NaN or infinite, from two fast passes that write nothing."""
    return values.dtype.kind != "f" or not values.size or bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def _working_type(values: np.ndarray, scale: float) -> type[np.floating[Any]]:
    if values.dtype.itemsize > 2 and values.dtype.kind in "iu":
        exact = not values.size or max(abs(int(values.min())), abs(int(values.max()))) <= EXACT_IN_FLOAT32
    else:
        exact = values.dtype != np.float64
    return np.float32 if exact and abs(scale) < float(np.finfo(np.float32).max) else np.float64


def mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation (of the population) in double precision, chunk by chunk and combined exactly."""
    flat = values.reshape(-1)
    sizes, means, squares = [], [], []
    for start in range(0, flat.size, CHUNK):
        chunk = flat[start : start + CHUNK].astype(np.float64)
        sizes.append(chunk.size)
        means.append(chunk.mean())
        chunk -= means[-1]
        squares.append(float(chunk @ chunk))
    mean = float(np.average(means, weights=sizes))
    between = float(np.dot(sizes, (np.array(means) - mean) ** 2))
    return mean, float(np.sqrt((sum(squares) + between) / flat.size))


def grayscale(pixels: np.ndarray) -> np.ndarray:
    """The luma ``0.299 R + 0.587 G + 0.114 B`` of an image ``(3, *spatial)`` as float32 ``(1, *spatial)``.

    An image of one channel keeps its values.

    Raises:
        ValueError: For any other number of channels.
    """
    if len(pixels) == 1:
        return pixels.astype(np.float32)
    if len(pixels) != 3:
        raise ValueError(f"grayscale needs 1 channel or 3 (red, green, blue), found {len(pixels)}")
    return np.tensordot(np.array(LUMA), pixels, axes=1)[None].astype(np.float32)
