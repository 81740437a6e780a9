"""Distances between the surfaces of two regions, in millimeters, on any spacing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree

Mask = NDArray[np.bool_]

#: Above so many border voxels a search tree over noise takes longer than distances of every voxel of the box.
_MANY = 200_000


@dataclass(frozen=True)
class SurfaceDistances:
    """How far each border voxel of one region is from the nearest of the other.

    A border voxel belongs to the region and has a neighbor along an axis that does not; outside the image nothing
    belongs. Distances run from center to center. This is MONAI's surface (without subvoxels), found in the box around
    both regions alone; DeepMind's ``surface-distance`` weighs by area and gives other figures, most of all where voxels
    are of unequal sides.

    Attributes:
        found: Of each border voxel of the prediction to the truth, in mm.
        true: Of each border voxel of the truth to the prediction, in mm.
    """

    found: NDArray[np.float64]
    true: NDArray[np.float64]

    @classmethod
    def between(cls, prediction: Mask, truth: Mask, spacing_mm: tuple[float, ...]) -> "SurfaceDistances":
        """Measure two regions ``(*spatial)``, neither of them empty.

        Raises:
            ValueError: A region is empty, the shapes differ, or the spacing is not one length for each axis.
        """
        if prediction.shape != truth.shape or len(spacing_mm) != truth.ndim:
            raise ValueError(f"regions {prediction.shape} and {truth.shape} with spacing {spacing_mm} do not fit")
        if not prediction.any() or not truth.any():
            raise ValueError("a region without a voxel has no surface: there is no distance to it")
        box = box_around(prediction | truth)
        borders = border(prediction[box]), border(truth[box])
        if max(np.count_nonzero(part) for part in borders) > _MANY:
            to_found, to_true = (distance_transform_edt(~part, sampling=spacing_mm) for part in borders)
            return cls(to_true[borders[0]], to_found[borders[1]])
        found, true = (np.argwhere(part) * np.asarray(spacing_mm, dtype=np.float64) for part in borders)
        return cls(KDTree(true).query(found)[0], KDTree(found).query(true)[0])

    def within(self, tolerance_mm: float) -> float:
        """Normalized surface distance: the share of both surfaces that is no farther than ``tolerance_mm`` from the
        other, in [0, 1].

        References:
            Nikolov et al., 2018, arXiv:1809.04430, with border voxels in place of areas
        """
        # A spacing read from an oblique affine is off by rounding; one voxel's distance must not fall beyond one voxel.
        reach = tolerance_mm * (1 + 1e-4)
        close = np.concatenate((self.found, self.true)) <= reach
        return float(close.mean())

    def hausdorff(self, percentile: float = 95.0) -> float:
        """The larger of both directions' ``percentile`` of distances, in mm; linear between ranks, as MONAI's."""
        return float(max(np.percentile(self.found, percentile), np.percentile(self.true, percentile)))


def border(region: Mask) -> Mask:
    """The voxels of a region with a neighbor along an axis that is outside of it, or outside the image."""
    padded = np.pad(region, 1)
    inner = (slice(1, -1),) * region.ndim
    inside = region.copy()
    for axis, size in enumerate(region.shape):
        for start in (0, 2):
            inside &= padded[(*inner[:axis], slice(start, start + size), *inner[axis + 1 :])]
    return region & ~inside


def box_around(region: Mask) -> tuple[slice, ...]:
    """The smallest box that holds a region, which must not be empty."""
    slices = []
    for axis in range(region.ndim):
        occupied = np.flatnonzero(region.any(axis=tuple(other for other in range(region.ndim) if other != axis)))
        slices.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(slices)
