"""Images and labels read at the positions of a grid; volumes on a CPU in about half the time of ``grid_sample``."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Padding = Literal["border", "zeros"]


def read_linear(image: Tensor, grid: Tensor, padding: Padding) -> Tensor:
    """The images at the positions of the grid, linearly between pixels.

    In a volume on a CPU a position is known to some ``1e-7`` of all rows of all planes: 0.001 voxels for 128 of 128.

    Args:
        image: ``(B, C, *spatial)``, floating.
        grid: ``(B, d, *size)`` of the same type, in the [-1, 1] of each axis, last axis first.
        padding: What lies outside: the ``border`` repeated, or ``zeros``.

    Returns:
        ``(B, C, *size)``.
    """
    if not _volumes_on_cpu(image):
        return F.grid_sample(image, grid.movedim(1, -1), mode="bilinear", padding_mode=padding, align_corners=False)
    padded = _padded(image, padding)
    result = image.new_empty(*image.shape[:2], *grid.shape[2:])
    # Room that is kept over the batch: fresh memory costs more than the sums.
    _, channels, planes, rows, columns = padded.shape
    pairs = padded.new_empty(1, 2, channels, planes, rows, columns)
    flat_grid = grid.new_empty(1, *grid.shape[2:], 2)
    for volume, positions, out in zip(padded, grid, result, strict=True):
        pairs[0, 0] = volume
        pairs[0, 1, :, :-1], pairs[0, 1, :, -1] = volume[:, 1:], volume[:, -1]
        _between_planes(pairs, positions, flat_grid, int(padding == "zeros"), out)
    return result


def _between_planes(pairs: Tensor, positions: Tensor, flat_grid: Tensor, rim: int, out: Tensor) -> None:
    """One volume, from each plane beside the next ``(1, 2, C, planes, rows, columns)``, into ``out``.

    The planes lie below each other as one tall image, whose bilinear reading is vectorized; then between two planes.
    """
    _, _, channels, planes, rows, columns = pairs.shape
    x, y, z = positions
    part = _place(z, planes, rim)
    plane = part.floor().clamp_(max=max(planes - 2, 0))
    part -= plane
    row = _place(y, rows, rim).add_(plane, alpha=rows)
    tall = planes * rows
    torch.mul(x, (columns - 2 * rim) / columns, out=flat_grid[0, ..., 0])
    torch.add(row.mul_(2 / tall), 1 / tall - 1, out=flat_grid[0, ..., 1])
    read = F.grid_sample(
        pairs.view(1, 2 * channels, tall, columns), flat_grid.view(1, -1, x.shape[-1], 2),
        mode="bilinear", padding_mode="border", align_corners=False,
    ).view(2, channels, *x.shape)  # fmt: skip
    torch.lerp(read[0], read[1], part, out=out)


def read_nearest(labels: Tensor, grid: Tensor, padding: Padding) -> Tensor:
    """The labels of the nearest pixels; arguments as :func:`read_linear`, any type, which is kept."""
    if not _volumes_on_cpu(labels):
        known = labels.to(grid.dtype)
        read = F.grid_sample(known, grid.movedim(1, -1), mode="nearest", padding_mode=padding, align_corners=False)
        return read.to(labels.dtype)
    padded, rim = _padded(labels, padding), int(padding == "zeros")
    result = labels.new_empty(*labels.shape[:2], *grid.shape[2:])
    size = padded.shape[2:]
    for volume, positions, out in zip(padded, grid, result, strict=True):
        index = _index(
            [_place(p, n, rim).round_() for p, n in zip(reversed(positions.unbind()), size, strict=True)], size
        )
        for channel, values in zip(volume, out, strict=True):
            torch.index_select(channel.view(-1), 0, index, out=values.view(-1))
    return result


def _volumes_on_cpu(image: Tensor) -> bool:
    # grid_sample is vectorized in 2-D alone, and has a kernel of its own on a GPU.
    return image.ndim == 5 and image.device.type == "cpu"


def _padded(image: Tensor, padding: Padding) -> Tensor:
    return F.pad(image, [1] * 6) if padding == "zeros" else image.contiguous()


def _place(position: Tensor, length: int, rim: int) -> Tensor:
    """From [-1, 1] of an axis to its pixels, ``length`` of them with a rim of zeros on either side, held inside."""
    return position.mul((length - 2 * rim) / 2).add_((length - 1) / 2).clamp_(0, length - 1)


def _index(place: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """Where whole places lie in the flat image; in whole numbers, for float32 counts only to 2**24."""
    index = place[0].int()
    for axis, length in zip(place[1:], size[1:], strict=True):
        index.mul_(length).add_(axis.int())
    return index.view(-1)
