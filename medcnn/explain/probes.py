"""Parts of an image that hold no disease: corners and border, to be marked or hidden."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

MARKER = 1 / 7  # side of a marker, as a share of each side of the image
MARGIN = 1 / 28  # between marker and edge
CORNER = 1 / 4  # side of a corner that is hidden
BORDER = 1 / 14  # width of the border on each side
# What tells the side on a film: rows from the top.
LETTERS = {
    "L": ("X....", "X....", "X....", "X....", "XXXXX"),
    "R": ("XXXX.", "X...X", "XXXX.", "X..X.", "X...X"),
}
SIDES = (("upper", "lower"), ("left", "right"))

Corner = tuple[int, ...]


def corners(axes: int) -> dict[str, Corner]:
    """Name to the end of each axis, 0 for its start and 1 for its end: four in a picture, eight in a volume.

    Left and right are those of the picture as it is stored, not of the patient. A volume's corners are named by the
    first axis, then by the picture of the other two.
    """
    named = {}
    for ends in itertools.product((0, 1), repeat=axes):
        upper, left = (side[end] for side, end in zip(SIDES, ends[-2:], strict=True))
        depth = f" of the {('first', 'last')[ends[0]]} slices" if axes == 3 else ""
        named[f"{upper} {left} corner{depth}"] = ends
    return named


def marked(images: Tensor, corner: Corner, letter: str = "L") -> Tensor:
    """Images with a bright letter in one corner, as bright as each image's brightest place.

    Args:
        images: ``(B, C, *spatial)``.
        corner: As in ``corners``.
        letter: One of ``LETTERS``.
    """
    spatial = images.shape[2:]
    form = _form(letter, [min(n, max(len(LETTERS[letter]), round(n * MARKER))) for n in spatial]).to(images.device)
    starts = [_start(n, m, end) for n, m, end in zip(spatial, form.shape, corner, strict=True)]
    where: tuple[Any, ...] = (..., *(slice(start, start + m) for start, m in zip(starts, form.shape, strict=True)))
    out = images.clone()
    brightest = images.flatten(1).amax(1).view(-1, *[1] * (images.ndim - 1))
    out[where] = torch.where(form, brightest, images[where])
    return out


def in_corner(shape: Sequence[int], corner: Corner) -> Tensor:
    """Which pixels lie in a corner, bool ``shape``."""
    inside = torch.ones(tuple(shape), dtype=torch.bool)
    for axis, (n, end) in enumerate(zip(shape, corner, strict=True)):
        width = max(1, math.ceil(n * CORNER))
        place = torch.arange(n) >= n - width if end else torch.arange(n) < width
        inside &= place.view([-1 if a == axis else 1 for a in range(len(shape))])
    return inside


def in_border(shape: Sequence[int]) -> Tensor:
    """Which pixels lie in the border, bool ``shape``."""
    center = torch.ones(tuple(shape), dtype=torch.bool)
    for axis, n in enumerate(shape):
        width, place = max(1, round(n * BORDER)), torch.arange(n)
        center &= ((place >= width) & (place < n - width)).view([-1 if a == axis else 1 for a in range(len(shape))])
    return ~center


def hidden(images: Tensor, where: Tensor, mean: Tensor) -> Tensor:
    """Images whose pixels at ``where`` are those of the mean image: nothing of the case is left there.

    A fill by the image's own mean would still tell whether the hidden part was bright.

    Args:
        images: ``(B, C, *spatial)``.
        where: Bool ``spatial``.
        mean: Of all images, ``(C, *spatial)``.
    """
    return torch.where(where.to(images.device), mean.to(images), images)


def _form(letter: str, sizes: Sequence[int]) -> Tensor:
    rows = torch.tensor([[mark == "X" for mark in line] for line in LETTERS[letter]])
    row, column = (torch.arange(n) * len(rows) // n for n in sizes[-2:])
    form = rows[row][:, column]
    return form if len(sizes) == 2 else form.expand(sizes[0], -1, -1)


def _start(length: int, marker: int, end: int) -> int:
    margin = round(length * MARGIN)
    return max(length - margin - marker, 0) if end else min(margin, length - marker)
