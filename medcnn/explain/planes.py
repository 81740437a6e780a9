"""Three planes of a volume as radiologists look at it: the patient's right on the left, head and front up."""

from itertools import permutations
from typing import NamedTuple

import numpy as np


class Planes(NamedTuple):
    """Axial, coronal and sagittal plane through one voxel.

    Attributes:
        images: ``(rows, columns)`` each; in the sagittal one the patient looks to the left.
        pixel_mm: Height and width of a pixel of each.
    """

    images: tuple[np.ndarray, ...]
    pixel_mm: tuple[tuple[float, float], ...]


def planes_through(values: np.ndarray, affine: np.ndarray, index: tuple[int, ...]) -> Planes:
    """The three planes of a volume through a voxel, along the axes of its grid that are nearest to the patient's.

    Args:
        values: ``(i, j, k)`` in any order and direction of axes.
        affine: ``(4, 4)`` from index to mm, RAS+.
        index: The voxel.
    """
    order, signs = _nearest_axes(affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)[list(order)]
    flips = tuple(slice(None, None, int(sign)) for sign in signs)
    upright = values.transpose(order)[flips]  # to the right, to the front, to the head
    at = [index[axis] if sign > 0 else values.shape[axis] - 1 - index[axis]
          for axis, sign in zip(order, signs, strict=True)]  # fmt: skip
    right, front, head = spacing.tolist()
    axial, coronal, sagittal = upright[:, :, at[2]], upright[:, at[1], :], upright[at[0], :, :]
    return Planes(
        (axial[::-1, ::-1].T, coronal[::-1, ::-1].T, sagittal[::-1, ::-1].T),
        ((front, right), (head, right), (head, front)),
    )


def fitted_to(plane: np.ndarray, pixel_mm: tuple[float, float], height: int) -> np.ndarray:
    """A plane with square pixels and ``height`` rows, interpolated linearly: float32 ``(height, columns)``."""
    import torch
    import torch.nn.functional as F

    rows, columns = plane.shape
    width = max(1, round(height * columns * pixel_mm[1] / (rows * pixel_mm[0])))
    values = torch.from_numpy(np.ascontiguousarray(plane, dtype=np.float32))
    return F.interpolate(values[None, None], size=(height, width), mode="bilinear")[0, 0].numpy()


def outlined(picture: np.ndarray, inside: np.ndarray, color: tuple[int, int, int] = (80, 255, 160)) -> np.ndarray:
    """The picture with a line of one pixel along the inner border of a region.

    Args:
        picture: uint8 ``(rows, columns, 3)``.
        inside: Bool ``(rows, columns)``.
        color: Of the line.
    """
    wide = np.pad(inside, 1)
    core = wide[1:-1, 1:-1] & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    out = picture.copy()
    out[inside & ~core] = color
    return out


def _nearest_axes(affine: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """For right, front and head, the axis of the grid nearest to each, and whether it grows that way."""
    steps = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    order = max(permutations(range(3)), key=lambda axes: sum(abs(steps[row, axis]) for row, axis in enumerate(axes)))
    return order, tuple(1 if steps[row, axis] >= 0 else -1 for row, axis in enumerate(order))
