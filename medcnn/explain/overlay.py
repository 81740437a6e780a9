"""Maps laid over images, as arrays of bytes: nothing here opens a window or writes a file."""

from collections.abc import Sequence
from functools import cache

import numpy as np

# A caption of this many pixels reads well beside an image of a few hundred.
FONT_PIXELS, MARGIN = 15, 8


def overlay(image: np.ndarray, relevance: np.ndarray, strength: float = 0.6) -> np.ndarray:
    """The image in gray with its relevance in color: where nothing spoke, the image stays as it was.

    The colors are those of matplotlib's ``inferno``, whose steps look equal to the eye and keep their order in gray.

    Args:
        image: Intensities ``(rows, columns)`` of any range; shown from the 0.5th to the 99.5th percentile.
        relevance: In [0, 1], same shape.
        strength: Opacity of the color at relevance 1.

    Returns:
        uint8 ``(rows, columns, 3)``.

    Raises:
        ValueError: If the two are not 2-D and of one shape.
    """
    if image.ndim != 2 or image.shape != relevance.shape:
        raise ValueError(f"expected an image and a map (rows, columns) of one shape, found {image.shape} and "
                         f"{relevance.shape}; show a volume slice by slice")  # fmt: skip
    gray = in_gray(image).astype(np.float32)
    relevance = np.nan_to_num(relevance.astype(np.float32)).clip(0, 1)
    color = _palette()[np.rint(relevance * 255).astype(np.uint8)]
    opacity = strength * relevance[..., None]
    return np.rint(gray + opacity * (color - gray)).astype(np.uint8)


def in_gray(image: np.ndarray) -> np.ndarray:
    """An image ``(rows, columns)`` as uint8 ``(rows, columns, 3)``, the middle 99 % of its values black to white."""
    values = np.nan_to_num(image.astype(np.float32))
    least, greatest = np.percentile(values, (0.5, 99.5))
    if greatest <= least:  # a few bright pixels on one value
        least, greatest = values.min(), max(values.max(), values.min() + 1e-6)
    shown = np.rint((values - least).clip(0, greatest - least) * (255 / (greatest - least)))
    return np.repeat(shown.astype(np.uint8)[..., None], 3, axis=2)


def side_by_side(panels: Sequence[np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """Panels in a row on white, and lines of text under them.

    Args:
        panels: uint8 ``(rows, columns, 3)``, all of one height.
        captions: Lines; cut where they are wider than the picture.

    Returns:
        uint8 ``(rows, columns, 3)``.
    """
    from PIL import Image, ImageDraw, ImageFont

    gap = np.full((panels[0].shape[0], MARGIN, 3), 255, np.uint8)
    row = np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)
    line = FONT_PIXELS + 5
    sheet = Image.new("RGB", (row.shape[1], row.shape[0] + line * len(captions) + 2 * MARGIN), "white")
    sheet.paste(Image.fromarray(row), (0, 0))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_PIXELS)
    for number, caption in enumerate(captions):
        draw.text((MARGIN, row.shape[0] + MARGIN + number * line), caption, fill="black", font=font)
    return np.asarray(sheet)


@cache
def _palette() -> np.ndarray:
    import matplotlib

    return np.asarray(matplotlib.colormaps["inferno"](np.arange(256))[:, :3] * 255, dtype=np.float32)
