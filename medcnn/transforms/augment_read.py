"""Images and labels read at the positions of a grid, on a CPU several times faster than ``grid_sample`` in 3-D."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Padding = Literal["border", "zeros"]


def read_linear(image: Tensor, grid: Tensor, padding: Padding) -> Tensor:
    """The images at the positions of the grid, linearly between pixels.

    Args:
        image: ``(B, C, *spatial)``, floating.
        grid: ``(B, d, *size)`` of the same type, in the [-1, 1] of each axis, last axis first.
        padding: What lies outside: the ``border`` repeated, or ``zeros``.

    Returns:
        ``(B, C, *size)``.
    """
    if not _by_gathering(image):
        return F.grid_sample(image, grid.movedim(1, -1), mode="bilinear", padding_mode=padding, align_corners=False)
    sources = _padded(image, padding)
    result = image.new_empty(*image.shape[:2], *grid.shape[2:])
    corners = image.new_empty(2, 2, 2, *grid.shape[2:])  # kept over the batch: fresh memory costs more than the sums
    for source, place, out in zip(sources, _places(image, grid, padding), result, strict=True):
        _trilinear(source, place, corners, out)
    return result


def read_nearest(labels: Tensor, grid: Tensor, padding: Padding) -> Tensor:
    """The labels of the nearest pixels; arguments as :func:`read_linear`, any type, which is kept."""
    if not _by_gathering(labels):
        places = grid.movedim(1, -1)
        return F.grid_sample(
            labels.to(grid.dtype), places, mode="nearest", padding_mode=padding, align_corners=False
        ).to(labels.dtype)
    sources = _padded(labels, padding)
    result = labels.new_empty(*labels.shape[:2], *grid.shape[2:])
    for source, place, out in zip(sources, _places(labels, grid, padding), result, strict=True):
        index = _index([axis.round_() for axis in place], source.shape[1:])
        for channel, values in zip(source, out, strict=True):
            torch.index_select(channel.view(-1), 0, index, out=values.view(-1))
    return result


def _by_gathering(image: Tensor) -> bool:
    # grid_sample is vectorized in 2-D, and has a kernel of its own on a GPU.
    return image.ndim == 5 and image.device.type == "cpu"


def _padded(image: Tensor, padding: Padding) -> Tensor:
    return F.pad(image, [1] * 6) if padding == "zeros" else image.contiguous()


def _places(image: Tensor, grid: Tensor, padding: Padding) -> Iterator[list[Tensor]]:
    """For each image the place along each axis of its padded pixels, held inside, first axis first; ours to change."""
    rim = int(padding == "zeros")
    for one in grid:
        yield [
            axis.mul(length / 2).add_((length - 1) / 2 + rim).clamp_(0, length - 1 + 2 * rim)
            for axis, length in zip(one.flip(0), image.shape[2:], strict=True)
        ]


def _index(place: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """Where whole places lie in the flat image; in whole numbers, for float32 counts only to 2**24."""
    index = place[0].int()
    for axis, length in zip(place[1:], size[1:], strict=True):
        index.mul_(length).add_(axis.int())
    return index.view(-1)


def _trilinear(source: Tensor, place: list[Tensor], corners: Tensor, out: Tensor) -> None:
    """One image ``(C, *spatial)`` read into ``out``; ``corners`` is room for eight values at every place."""
    size = source.shape[1:]
    # At the last pixel read the pair before it with weight 1, so that no corner lies outside.
    low = [axis.floor().clamp_(max=max(length - 2, 0)) for axis, length in zip(place, size, strict=True)]
    part = [axis.sub_(below) for axis, below in zip(place, low, strict=True)]
    index = _index(low, size)
    steps = [step if length > 1 else 0 for step, length in zip((size[1] * size[2], size[2], 1), size, strict=True)]
    for channel, values in zip(source, out, strict=True):
        flat = channel.view(-1)
        for corner in product((0, 1), repeat=3):
            first = sum(step for step, one in zip(steps, corner, strict=True) if one)
            torch.index_select(flat[first:], 0, index, out=corners[corner].view(-1))
        corners[:, :, 0].lerp_(corners[:, :, 1], part[2])
        corners[:, 0, 0].lerp_(corners[:, 1, 0], part[1])
        torch.lerp(corners[0, 0, 0], corners[1, 0, 0], part[0], out=values)
