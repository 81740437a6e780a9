"""The surface of the brain, moved along its normals to where tissue ends in the dark of fluid and skull."""

import numpy as np
from scipy import ndimage, sparse
from scipy.spatial import cKDTree
from scipy.special import ndtri

from medcnn.transforms.labels import filled, largest_component

SMOOTH_MM = 2.5  # what is finer than this is no shape of a brain's hull
INSIDE_MM = 14  # how far inwards the tissue's own level is looked for
INWARDS_MM, OUTWARDS_MM = 6, 10  # how far a point may move in one go
HALF = 0.6  # a point is dark below this part of the tissue inside of it
TOP = 8  # of the places inside, as many as are the tissue's own level: about a half
FAT = 1.2  # brighter than so many times the white matter is fat of the orbits or the scalp, where T1 shows it
DROP_MM = 0.6  # a ray ends where it met so much darkness, in mm of level
NEIGHBORS, NEIGHBOR_MM = 12, 5.0


def smooth_level(mask: np.ndarray, step_mm: float) -> np.ndarray:
    """About the distance in mm from the smoothed border of ``mask``, positive inside, up to 15 mm away; float32.

    A step smoothed by a Gaussian is the normal distribution of the distance: its inverse is the distance, for a
    seventh of what an exact distance transform costs.
    """
    part = ndimage.gaussian_filter(mask.astype(np.float32), SMOOTH_MM / step_mm, truncate=5)
    return SMOOTH_MM * ndtri(np.clip(part, 3e-7, 1 - 3e-7))


def refined(image: np.ndarray, mask: np.ndarray, step_mm: float) -> tuple[np.ndarray, float]:
    """Move the surface of ``mask`` to the edge of the tissue that it holds.

    Every point of the surface looks along its normal. It takes as its own level the tissue inside of it, and goes out
    as long as what it meets is bright, past a sulcus but not past a skull. Points are moved together with their
    neighbors; one that meets no darkness at all stays, so that the mask does not run down a neck.

    Args:
        image: float32, on a grid of cubes.
        mask: bool, the first guess; not empty.
        step_mm: Spacing of the grid.

    Returns:
        Distance inside of the new surface in mm, float32 of the shape of ``mask``; and the part of points that saw
        no edge.
    """
    box = tuple(slice(max(0, i.min() - 9), i.max() + 10) for i in np.nonzero(mask))
    level = smooth_level(mask[box], step_mm)
    voxels = np.argwhere(np.abs(level) < step_mm / 2)
    # A quarter of them, evenly: 4 mm apart is closer than a surface that moves together over 5 mm needs.
    voxels = voxels[voxels @ (1, 2, 3) % 4 == 0]
    points, normals = _on_surface(level, voxels, step_mm)
    near = _neighbors(points * step_mm)
    profiles, offsets = _profiles(_tissue(image[box], level), points, normals, step_mm)
    moves, lost = _moves(profiles, offsets, near)
    out = np.full(mask.shape, -np.float32(50))
    out[box] = level + _spread(moves, voxels, level.shape)
    return out, lost


def _tissue(image: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The image with fat as dark as bone: both end a brain."""
    deep = level > 4 if (level > 4).any() else level > 0
    white = np.percentile(image[deep], 90)
    return np.where(image > FAT * white, 0, image)


def largest_solid(level: np.ndarray, value: float) -> np.ndarray:
    """The largest piece above ``value``, without holes."""
    return filled(largest_component(level > value))


def _on_surface(level: np.ndarray, voxels: np.ndarray, step_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Points in voxels where ``level`` is 0, and normals outwards of length 1."""
    at = tuple(voxels.T)
    gradient = np.stack([_beside(level, voxels, axis, 1) - _beside(level, voxels, axis, -1) for axis in range(3)], 1)
    normals = -gradient / (np.linalg.norm(gradient, axis=1, keepdims=True) + 1e-6)
    return voxels + level[at][:, None] * normals / step_mm, normals


def _beside(level: np.ndarray, voxels: np.ndarray, axis: int, by: int) -> np.ndarray:
    moved = voxels.copy()
    moved[:, axis] = np.clip(moved[:, axis] + by, 0, level.shape[axis] - 1)
    return level[tuple(moved.T)]


def _neighbors(points: np.ndarray) -> sparse.csr_matrix:
    """The average over near points of the surface, as a matrix."""
    count = min(NEIGHBORS, len(points))
    distances, indices = cKDTree(points).query(points, k=count)
    weights = np.exp(-0.5 * (distances / NEIGHBOR_MM) ** 2).reshape(len(points), count)
    weights /= weights.sum(axis=1, keepdims=True)
    starts = np.arange(0, len(points) * count + 1, count)
    return sparse.csr_matrix((weights.astype(np.float32).ravel(), indices.ravel(), starts), shape=(len(points),) * 2)


def _profiles(
    image: np.ndarray, points: np.ndarray, normals: np.ndarray, step_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Brightness ``(points, offsets)`` along the normals, and the offsets in mm, outwards."""
    offsets = np.arange(-INSIDE_MM, OUTWARDS_MM + 1.0, dtype=np.float32)
    places = points.T[:, :, None] + normals.T[:, :, None] * (offsets / step_mm)
    values = ndimage.map_coordinates(image, places.reshape(3, -1), order=1, mode="nearest")
    return values.reshape(len(points), len(offsets)), offsets


def _moves(profiles: np.ndarray, offsets: np.ndarray, near: sparse.csr_matrix) -> tuple[np.ndarray, float]:
    own = np.sort(profiles[:, offsets <= -2], axis=1)[:, -TOP:].mean(axis=1)
    for _ in range(3):
        own = near @ own
    # Averaged over near rays, a sulcus is a shade and a skull is still dark.
    bright = (near @ profiles)[:, offsets >= -INWARDS_MM] / np.maximum(own, 1e-6)[:, None] - HALF
    steps = offsets[offsets >= -INWARDS_MM]
    gain = np.cumsum(np.where(bright < 0, 1.5 * bright, np.minimum(bright, 0.4)), axis=1)
    ended = np.maximum.accumulate(np.maximum.accumulate(gain, axis=1) - gain > DROP_MM, axis=1)
    lost = ~ended[:, -1]
    cost = np.where(ended, 1e3, -gain)
    stay = gain[:, steps == 0] - gain
    cost[lost] = np.where(steps > 0, 0.02 * steps**2, stay)[lost]
    moves = steps[np.argmin(cost, axis=1)]
    for turn in range(1, 7):
        together = near @ (near @ moves)
        moves = steps[np.argmin(cost + 0.05 * turn * (steps - together[:, None]) ** 2, axis=1)]
    return near @ moves, float(lost.mean())


def _spread(moves: np.ndarray, voxels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Moves of the points carried to all voxels near them."""
    amount, count = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    at = tuple(voxels.T)
    amount[at], count[at] = moves, 1
    amount, count = (ndimage.gaussian_filter(part, 2.5, truncate=5) for part in (amount, count))
    return np.where(count > 1e-9, amount / np.maximum(count, 1e-12), 0)
