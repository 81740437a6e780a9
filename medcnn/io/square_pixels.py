"""Images whose pixels are not square, brought to square ones as a viewer shows them."""

import numpy as np

from medcnn.errors import ReadError
from medcnn.io.limits import check_pixels

#: Ratios closer to 1 are rounding of a header.
_TOLERANCE = 0.01
_MAX_RATIO = 16.0


def with_square_pixels(
    pixels: np.ndarray, spacing_mm: tuple[float, float] | None, aspect: float | None = None
) -> tuple[np.ndarray, tuple[float, float] | None, tuple[str, ...]]:
    """Resample the coarser axis to the spacing of the finer one, linearly between pixel centers.

    Args:
        pixels: ``(rows, columns)``.
        spacing_mm: Distance of rows and of columns, or None where it is unknown.
        aspect: Where it is unknown, height of a pixel as a multiple of its width.

    Returns:
        Pixels in the dtype given, spacing, and the flag ``non_square_pixels`` where they were resampled.

    Raises:
        ReadError: ``bad_header`` for a ratio beyond 16, ``too_large``.
    """
    ratio = spacing_mm[0] / spacing_mm[1] if spacing_mm else aspect or 1.0
    if abs(ratio - 1) <= _TOLERANCE:
        return pixels, spacing_mm, ()
    if not 1 / _MAX_RATIO <= ratio <= _MAX_RATIO:
        raise ReadError("bad_header", f"pixels {ratio:.3g} times as high as wide; correct the spacing in the header")
    axis = 0 if ratio > 1 else 1
    size = round(pixels.shape[axis] * max(ratio, 1 / ratio))
    check_pixels(size, pixels.shape[1 - axis])
    square = _resampled(pixels, axis, size)
    if spacing_mm is None:
        return square, None, ("non_square_pixels",)
    fine = min(spacing_mm)
    coarse = max(spacing_mm) * pixels.shape[axis] / size
    return square, (coarse, fine) if axis == 0 else (fine, coarse), ("non_square_pixels",)


def _resampled(pixels: np.ndarray, axis: int, size: int) -> np.ndarray:
    count = pixels.shape[axis]
    position = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
    low = np.floor(position).astype(np.intp)
    high = np.minimum(low + 1, count - 1)
    share = (position - low)[:, None] if axis == 0 else position - low
    first, second = np.take(pixels, low, axis), np.take(pixels, high, axis)
    values = first + (second.astype(np.float64) - first) * share
    return (np.rint(values) if pixels.dtype.kind in "iu" else values).astype(pixels.dtype)
