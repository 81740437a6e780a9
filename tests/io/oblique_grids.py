"""Oblique grids of unequal spacing, in every orientation, and volumes that lie on them."""

from itertools import permutations, product

import numpy as np

ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
SPACING = (2.5, 0.9, 0.7)


def rotation(degrees: tuple[float, float, float]) -> np.ndarray:
    """About x, then y, then z."""
    turned = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[[one, other], [one, other]] = np.cos(angle)
        step[one, other], step[other, one] = -np.sin(angle), np.sin(angle)
        turned = step @ turned
    return turned


def grid(
    order: tuple[int, ...] = (2, 1, 0),
    signs: tuple[int, ...] = (1, -1, 1),
    spacing: tuple[float, ...] = SPACING,
    degrees: tuple[float, float, float] = (11.0, -7.0, 19.0),
    origin: tuple[float, ...] = (-31.5, 17.25, 8.125),
) -> np.ndarray:
    """An affine whose index n runs along world axis ``order[n]`` before it is turned by ``degrees``."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) @ np.eye(3)[:, list(order)] * signs * np.array(spacing)
    affine[:3, 3] = origin
    return affine


def marked(shape: tuple[int, int, int] = (4, 5, 6), at: tuple[int, int, int] = (2, 1, 4)) -> np.ndarray:
    """Values that tell every voxel from every other, the highest of them at ``at``."""
    voxels = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    voxels[at] = 1000
    return voxels


def place_of_mark(voxels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Where the highest voxel lies, in mm."""
    index = np.unravel_index(int(np.argmax(voxels)), voxels.shape)
    return affine[:3] @ [*index, 1.0]


def places(voxels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Value and position of every voxel, sorted by value: equal for two ways to hold one volume."""
    indices = np.indices(voxels.shape).reshape(3, -1)
    positions = (affine[:3, :3] @ indices + affine[:3, 3:]).T
    order = np.argsort(voxels.ravel(), kind="stable")
    return np.column_stack([voxels.ravel()[order], positions[order]])
