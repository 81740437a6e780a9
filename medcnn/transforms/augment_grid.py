"""Where each place of an augmented image is read: an affine map and a smooth displacement in one grid."""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from medcnn.transforms.augment_draw import BEYOND, Draw


def sampling_matrix(size: Sequence[int], draw: Draw, voxel_size: Sequence[float] | None = None) -> Tensor:
    """Where each output position is read, as :func:`torch.nn.functional.affine_grid` defines it.

    The image is sheared, rotated and scaled about its center, then shifted. A rotation keeps distances where
    ``voxel_size`` says how far apart neighbors are; without it those of the pixel grid, also on an image that is not
    square.

    Args:
        size: Spatial size of the image, ``d`` numbers.
        draw: Its ``rotation`` turns in the direction of ``torch.rot90`` with the same axes; its ``shear`` moves the
            first axis with the second; a negative ``scale`` mirrors.
        voxel_size: Distance of neighbors along each axis in any unit; None where it is the same.

    Returns:
        Matrices ``(B, d, d + 1)``, last axis first, float64.
    """
    axes, dtype = len(size), draw.scale.dtype
    linear = torch.diag_embed(draw.scale)
    for plane, (first, second) in enumerate(combinations(range(axes), 2)):
        slant = torch.eye(axes, dtype=dtype).repeat(len(linear), 1, 1)
        slant[:, first, second] = draw.shear[:, plane].deg2rad().tan()
        angle = draw.rotation[:, plane].deg2rad()
        turn = torch.eye(axes, dtype=dtype).repeat(len(linear), 1, 1)
        turn[:, first, first] = turn[:, second, second] = angle.cos()
        turn[:, second, first] = angle.sin()
        turn[:, first, second] = -angle.sin()
        linear = turn @ slant @ linear
    half = torch.tensor(size, dtype=dtype) / 2
    if voxel_size is not None:
        half = half * torch.tensor(voxel_size, dtype=dtype)
    inverse = torch.linalg.inv(linear) * half / half[:, None]  # pixels to the [-1, 1] of each axis
    offset = inverse @ (-2 * draw.shift)[..., None]
    return torch.cat([inverse.flip(1, 2), offset.flip(1)], dim=2)


def sampling_grid(size: Sequence[int], matrix: Tensor, displacement: Tensor | None = None) -> Tensor:
    """Positions in the [-1, 1] of each axis, displaced and then mapped by ``matrix``, which folds nothing new.

    Args:
        size: Spatial size, ``d`` numbers.
        matrix: Matrices ``(B, d, d + 1)``, last axis first, on the device and of the type that the grid shall have.
        displacement: Control points ``(B, d, *points)`` in fractions of the size, first axis first.

    Returns:
        ``(B, d, *size)``, last axis first: coordinates before pixels, so that rows are contiguous.
    """
    axes = len(size)
    # Every axis adds its own share to the position: sums of small tensors. affine_grid multiplies a matrix with a
    # 3-vector at every pixel and takes longer than the reading.
    grid = matrix[..., -1].view(len(matrix), axes, *[1] * axes)
    for axis, length in enumerate(size):
        position = (2 * torch.arange(length, device=matrix.device, dtype=matrix.dtype) + 1) / length - 1
        share = matrix[..., axes - 1 - axis, None] * position
        grid = grid + share.view(len(matrix), axes, *[length if a == axis else 1 for a in range(axes)])
    if displacement is None:
        return grid
    # The field is linear in its control points: mapping those few maps it.
    points = (matrix[..., :-1] @ (2 * displacement.flip(1)).flatten(2)).view_as(displacement)
    return smooth_field(points, size, grid)


def smooth_field(points: Tensor, size: Sequence[int], base: Tensor | None = None) -> Tensor:
    """The uniform cubic B-spline of a grid of control points; it never exceeds them.

    Args:
        points: ``(B, K, *points)``, one for each cell and three more along every axis.
        size: Spatial size of the field.
        base: ``(B, K, *size)``, contiguous, to which the field is added in place.

    Returns:
        ``(B, K, *size)``.
    """
    for axis, length in enumerate(size[:-1], start=2):
        points = (points.movedim(axis, -1) @ _spline_weights(points, axis, length)).movedim(-1, axis)
    weights = _spline_weights(points, -1, size[-1])
    rows = points.reshape(-1, points.shape[-1])
    field = rows @ weights if base is None else base.view(-1, size[-1]).addmm_(rows, weights)
    return field.view(*points.shape[:2], *size)


def _spline_weights(points: Tensor, axis: int, length: int) -> Tensor:
    """How much each control point weighs at each pixel, ``(points, length)``."""
    count = points.shape[axis]
    place = (torch.arange(length, device=points.device, dtype=points.dtype) + 0.5) * ((count - BEYOND) / length)
    # Control point k stands at place k - 1.
    away = (place - torch.arange(-1, count - 1, device=points.device, dtype=points.dtype)[:, None]).abs()
    near = 2 / 3 - away**2 * (1 - away / 2)
    return torch.where(away < 1, near, (2 - away).clamp_(min=0) ** 3 / 6)
