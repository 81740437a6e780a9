"""Maps laid over images, as arrays of bytes: nothing here opens a window or writes a file."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

# A caption of this many pixels reads well beside an image of a few hundred.
FONT_PIXELS, MARGIN = 15, 8
#: Opacity of the color at relevance 1.
STRENGTH = 0.6


def overlay(image: np.ndarray, relevance: np.ndarray, strength: float = STRENGTH) -> np.ndarray:
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


def side_by_side(panels: Sequence[np.ndarray], captions: Sequence[str], scale: str = "") -> np.ndarray:
    """Panels in a row on white, under them a bar of the colors where one is asked for, and lines of text.

    Args:
        panels: uint8 ``(rows, columns, 3)``, all of one height.
        captions: Lines; broken where they are wider than the picture.
        scale: What the bar of colors means; no bar where empty.

    Returns:
        uint8 ``(rows, columns, 3)``.
    """
    from PIL import Image, ImageDraw, ImageFont

    gap = np.full((panels[0].shape[0], MARGIN, 3), 255, np.uint8)
    row = np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)
    font = ImageFont.load_default(FONT_PIXELS)
    line, wide = FONT_PIXELS + 5, row.shape[1] - 2 * MARGIN
    bar = _bar(min(140, max(wide // 3, 1)), FONT_PIXELS) if scale else None
    offset = 0 if bar is None else bar.shape[1] + MARGIN
    told = _broken([scale] if scale else [], wide - offset, font.getlength)
    lines = [(offset, one) for one in told] + [(0, one) for one in _broken(captions, wide, font.getlength)]
    sheet = Image.new("RGB", (row.shape[1], row.shape[0] + line * len(lines) + 2 * MARGIN), "white")
    sheet.paste(Image.fromarray(row), (0, 0))
    draw, top = ImageDraw.Draw(sheet), row.shape[0] + MARGIN
    if bar is not None:
        sheet.paste(Image.fromarray(bar), (MARGIN, top + 2))
    for number, (left, text) in enumerate(lines):
        draw.text((MARGIN + left, top + number * line), text, fill="black", font=font)
    return np.asarray(sheet)


def _broken(lines: Sequence[str], wide: int, length: Callable[[str], float]) -> list[str]:
    """Lines broken between words so that each is at most so wide; a longer word stands alone."""
    out: list[str] = []
    for text in lines:
        fresh = True
        for word in text.split():
            if fresh or length(f"{out[-1]} {word}") > wide:
                out.append(word)
            else:
                out[-1] += f" {word}"
            fresh = False
    return out


def _bar(wide: int, high: int) -> np.ndarray:
    """The colors from 0 to 1 as ``overlay`` lays them over a middle gray."""
    relevance = np.linspace(0, 1, wide, dtype=np.float32)
    color = _palette()[np.rint(relevance * 255).astype(np.uint8)]
    shades = np.rint(128 + STRENGTH * relevance[:, None] * (color - 128)).astype(np.uint8)
    return np.repeat(shades[None], high, axis=0)


@cache
def _palette() -> np.ndarray:
    import matplotlib

    return np.asarray(matplotlib.colormaps["inferno"](np.arange(256))[:, :3] * 255, dtype=np.float32)
