"""Luminance of color pixels."""

import numpy as np

# BT.601 in 16-bit fixed point, as Pillow weighs it; the sum is 65536, so a grey pixel keeps its value exactly.
_RED, _GREEN, _BLUE = 19595, 38470, 7471
_ROWS_AT_ONCE = 64


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Brightness of RGB pixels.

    Args:
        rgb: uint8 or uint16 ``(..., 3)`` or more channels, of which the first three count.

    Returns:
        ``(...)`` in the dtype given.
    """
    gray = np.empty(rgb.shape[:-1], rgb.dtype)
    # Some rows at a time: sums of a whole image would take ten times the memory of its luminance.
    for start in range(0, len(rgb), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        gray[rows] = _weighted(rgb[rows])
    return gray


def _weighted(rgb: np.ndarray) -> np.ndarray:
    wide = np.dtype(np.uint32 if rgb.dtype == np.uint8 else np.uint64)
    total = np.full(rgb.shape[:-1], 0x8000, wide)
    for channel, weight in enumerate((_RED, _GREEN, _BLUE)):
        total += rgb[..., channel].astype(wide) * wide.type(weight)
    return (total >> wide.type(16)).astype(rgb.dtype)
