"""A first mask of the brain on a coarse grid: many thresholds and ball radii, and the most compact result of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import cc3d
import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from medcnn.transforms.ball import closed, dilated, opened
from medcnn.transforms.labels import filled, largest_component

# Lengths in mm, volumes in ml, levels as parts of the white level. None was fitted: they are sizes of heads.
BRAIN_DEPTH_MM = 160.0  # from the vertex of the scalp to the foramen magnum, with some to spare
CENTER_DEPTH_MM = 76.0
BIAS_MM = 20.0
VOLUMES_ML = (700.0, 2300.0)
LEAST_ML = 200.0  # before its sulci are closed
LEVELS = (0.5, 0.56, 0.62, 0.68, 0.74, 0.8)
RADII_MM = (2.0, 3.0, 4.0, 6.0)


@dataclass(frozen=True)
class Candidate:
    """One mask that may be the brain.

    Attributes:
        mask: bool, on the coarse grid.
        level: Its threshold as a part of the white level.
        radius_mm: Radius of the ball that parted it from the rest of the head.
        volume_ml: Its volume.
        compactness: 36 pi V^2 / S^3, 1 for a ball.
        leak: Part of the 4 mm around it that is as bright as itself.
    """

    mask: np.ndarray
    level: float
    radius_mm: float
    volume_ml: float
    compactness: float
    leak: float

    @property
    def merit(self) -> float:
        """Compact, with a dark rim."""
        return self.compactness * (1 - self.leak)


def head_mask(image: np.ndarray, step_mm: float) -> tuple[np.ndarray, float]:
    """The head without air, and the level that parts air from tissue.

    Args:
        image: float32, on the coarse grid.
        step_mm: Spacing of the grid.
    """
    level = float(threshold_otsu(np.minimum(image, np.percentile(image, 99))))
    spacing = (step_mm,) * 3
    tissue = largest_component(opened(image > 0.5 * level, 4.0, spacing))
    return filled(closed(tissue, 10.0, spacing, keep_border=True)), level


def flattened(image: np.ndarray, head: np.ndarray, level: float, step_mm: float) -> np.ndarray:
    """``image`` divided by its own wide average over tissue: an even brightness, good enough for one threshold."""
    tissue = (image > 0.6 * level) & head
    if not tissue.any():
        return image
    ceiling = np.percentile(image[tissue], 90)
    # At half the resolution: what is wider than 20 mm needs no 2 mm grid.
    weight = _halved(tissue.astype(np.float32))
    amount = _halved(np.where(tissue, np.minimum(image, ceiling), 0).astype(np.float32))
    sigma = BIAS_MM / (2 * step_mm)
    amount, weight = (ndimage.gaussian_filter(part, sigma, truncate=2.5) for part in (amount, weight))
    mean = float(np.minimum(image[tissue], ceiling).mean())
    field = (amount / mean + 0.02) / (weight + 0.02)
    return image / _doubled(field)[tuple(slice(n) for n in image.shape)]


def _halved(values: np.ndarray) -> np.ndarray:
    """Means of two by two by two."""
    even = np.pad(values, [(0, n % 2) for n in values.shape], mode="edge")
    for axis in range(3):
        parts = np.moveaxis(even, axis, 0)
        even = np.moveaxis((parts[::2] + parts[1::2]) / 2, 0, axis)
    return np.ascontiguousarray(even)


def _doubled(values: np.ndarray) -> np.ndarray:
    """Twice as many along each axis, linear between centers."""
    for axis in range(3):
        parts = np.pad(np.moveaxis(values, axis, 0), [(1, 1), (0, 0), (0, 0)], mode="edge")
        near, out = 0.75 * parts[1:-1], np.empty((2 * (len(parts) - 2), *parts.shape[1:]), dtype=np.float32)
        out[::2], out[1::2] = near + 0.25 * parts[:-2], near + 0.25 * parts[2:]
        values = np.moveaxis(out, 0, axis)
    return values


def search_box(head: np.ndarray, step_mm: float) -> tuple[slice, slice, slice]:
    """The box of the head from its vertex down to where no brain is any more; the last axis points up."""
    if not head.any():
        return (slice(None),) * 3
    top = int(np.flatnonzero(head.any(axis=(0, 1)))[-1])
    bottom = max(0, top - round(BRAIN_DEPTH_MM / step_mm))
    across, along = (np.flatnonzero(head[:, :, bottom:].any(axis=other)) for other in ((1, 2), (0, 2)))
    return slice(across[0], across[-1] + 1), slice(along[0], along[-1] + 1), slice(bottom, top + 1)


def candidates(image: np.ndarray, head: np.ndarray, step_mm: float) -> Iterator[Candidate]:
    """Masks by every threshold and radius, from a flattened image whose last axis points up."""
    top = int(np.flatnonzero(head.any(axis=(0, 1)))[-1])
    center = np.argwhere(head[:, :, max(0, top - round(140 / step_mm)) :]).mean(axis=0)
    center[2] = max(top - CENTER_DEPTH_MM / step_mm, 0)
    white = _white_level(image, center, step_mm)
    nearness = _nearness(image.shape, center, step_mm)
    for level in LEVELS:
        bright = (image > level * white) & head
        for radius in RADII_MM:
            mask = _nearest_piece(bright, radius, nearness, step_mm)
            if mask is not None:
                yield _measured(mask, bright, level, radius, step_mm)


def chosen(found: list[Candidate]) -> Candidate | None:
    """The candidate of a brain's volume with the greatest merit; of any volume where none has a brain's."""
    plausible = [c for c in found if VOLUMES_ML[0] < c.volume_ml < VOLUMES_ML[1]] or found
    return max(plausible, key=lambda c: c.merit, default=None)


def _white_level(image: np.ndarray, center: np.ndarray, step_mm: float) -> float:
    reach = round(25 / step_mm)
    box = tuple(slice(max(0, int(c) - reach), int(c) + reach + 1) for c in center)
    return float(np.percentile(image[box], 85))


def _nearness(shape: tuple[int, ...], center: np.ndarray, step_mm: float) -> np.ndarray:
    """1 at the center and 1/e at 50 mm, on every second voxel."""
    parts = [np.exp(-(((np.arange(0, n, 2) - c) * step_mm / 50) ** 2)) for n, c in zip(shape, center, strict=True)]
    return np.einsum("i,j,k->ijk", *parts)


def _nearest_piece(bright: np.ndarray, radius: float, nearness: np.ndarray, step_mm: float) -> np.ndarray | None:
    """The large piece near the center that a ball can reach, grown back, its sulci closed and its ventricles filled."""
    spacing = (step_mm,) * 3
    labels = cc3d.connected_components(opened(bright, radius, spacing), connectivity=6, binary_image=True)
    weights = np.bincount(labels[::2, ::2, ::2].ravel(), nearness.ravel())
    if len(weights) < 2:
        return None
    core = labels == 1 + int(np.argmax(weights[1:]))
    if not LEAST_ML < core.sum() * step_mm**3 / 1000 < VOLUMES_ML[1]:
        return None
    grown = dilated(core, radius + 1, spacing) & bright
    return filled(closed(grown, 8.0, spacing, keep_border=True))


def _measured(mask: np.ndarray, bright: np.ndarray, level: float, radius: float, step_mm: float) -> Candidate:
    shell = dilated(mask, 4.0, (step_mm,) * 3) & ~mask
    leak = float((bright & shell).sum() / max(int(shell.sum()), 1))
    volume = float(mask.sum()) * step_mm**3 / 1000
    return Candidate(mask, level, radius, volume, compactness(mask), leak)


def compactness(mask: np.ndarray) -> float:
    """36 pi V^2 / S^3 on a grid of cubes: 1 for a ball, less for anything else; 0 for an empty mask."""
    padded = np.pad(mask, 1).view(np.int8)
    # Faces overstate a curved surface by 3/2 on average over all directions.
    surface = sum(np.count_nonzero(np.diff(padded, axis=axis)) for axis in range(3)) / 1.5
    return float(36 * np.pi * mask.sum(dtype=np.float64) ** 2 / surface**3) if surface else 0.0
