"""Sheets of small pictures: filters, feature maps, patches, steps. Arrays of bytes, nothing is opened or written."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medcnn.explain.overlay import in_gray

Picture = NDArray[np.uint8]
GAP = 3


def feature_sheet(maps: Tensor, limit: int = 64, side: int = 96) -> Picture:
    """The maps of one image, each in gray scaled by itself; of a volume the plane where its map is greatest.

    Args:
        maps: ``(units, *layer_spatial)``; those that vary most over the image come first, at most ``limit``.
        limit: Maps to show.
        side: Pixels of the longer side of each.
    """
    chosen = strongest_units(maps, limit)
    return grid_of([in_gray(enlarged(_plane(maps[int(unit)]), side)) for unit in chosen])


def strongest_units(maps: Tensor, limit: int = 64) -> Tensor:
    """The units whose maps vary most, in the order in which ``feature_sheet`` shows them."""
    spread = maps.detach().float().flatten(1).std(1, unbiased=False)
    return spread.argsort(descending=True, stable=True)[:limit].cpu()


def filter_sheet(filters: Tensor, side: int = 64) -> Picture:
    """Filters on one scale, gray for 0, black and white for the greatest weight of all; of a cube the middle plane.

    Args:
        filters: ``(filters, C, *kernel)``; a row of the sheet's grid holds the channels of one filter side by side
            where there are several.
        side: Pixels of the longer side of each.
    """
    greatest = max(float(filters.abs().max()), 1e-12)
    middle = filters if filters.ndim == 4 else filters[:, :, filters.shape[2] // 2]
    shades = ((middle / greatest + 1) * 127.5).round().to(torch.uint8).numpy()
    tiles = [np.repeat(enlarged(plane, side)[..., None], 3, axis=2) for one in shades for plane in one]
    return grid_of(tiles, columns=None if filters.shape[1] == 1 else int(filters.shape[1]))


def patch_sheet(patches: Tensor, side: int = 96) -> Picture:
    """Patches ``(n, C, *size)`` in gray, each scaled by itself: the first channel, of a volume the middle plane."""
    planes = [patch[0] if patch.ndim == 3 else patch[0, patch.shape[1] // 2] for patch in patches]
    return grid_of([in_gray(enlarged(plane.cpu().numpy(), side)) for plane in planes])


def grid_of(tiles: Sequence[Picture], columns: int | None = None) -> Picture:
    """Pictures ``(rows, columns, 3)`` of one shape on white, by rows; about as wide as high where not told."""
    rows, wide = tiles[0].shape[:2]
    across = columns or max(1, math.ceil(math.sqrt(len(tiles) * rows / wide)))
    down = math.ceil(len(tiles) / across)
    sheet = np.full((down * (rows + GAP) - GAP, across * (wide + GAP) - GAP, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // across * (rows + GAP), number % across * (wide + GAP)
        sheet[top : top + rows, left : left + wide] = tile
    return sheet


def enlarged(plane: NDArray[np.generic], side: int) -> NDArray[np.generic]:
    """Every pixel repeated, so that its borders stay sharp and nothing is invented: the longer side about ``side``."""
    times = max(1, side // max(plane.shape))
    return plane.repeat(times, axis=0).repeat(times, axis=1)


def _plane(one: Tensor) -> NDArray[np.float32]:
    values = one.detach().float().cpu().numpy()
    if values.ndim == 3:
        values = values[int(np.unravel_index(values.argmax(), values.shape)[0])]
    return np.asarray(values, np.float32)
