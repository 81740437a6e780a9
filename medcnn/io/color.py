"""Luminance of color pixels."""

import numpy as np

# BT.601 in 16-bit fixed point, as Pillow weighs it; the sum is 65536, so a grey pixel keeps its value exactly.
_RED, _GREEN, _BLUE = 19595, 38470, 7471


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Brightness of RGB pixels.

    Args:
        rgb: uint8 or uint16 ``(..., 3)`` or more channels, of which the first three count.

    Returns:
        ``(...)`` in the dtype given.
    """
    wide = np.uint32 if rgb.dtype == np.uint8 else np.uint64
    red, green, blue = (rgb[..., channel].astype(wide) for channel in range(3))
    return ((red * _RED + green * _GREEN + blue * _BLUE + 0x8000) >> 16).astype(rgb.dtype)
