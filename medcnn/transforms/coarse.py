"""Between a volume in any orientation and a coarse grid in RAS order on which whole heads are cheap to search."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

STEP_MM = 2.0


@dataclass(frozen=True)
class CoarseGrid:
    """A grid of cubes along the axes of a volume, in RAS order, covering the same box about the same center.

    An oblique volume stays oblique: its axes are only reordered and reversed, never turned.

    Attributes:
        shape: Voxels of the volume along its own axes.
        spacing_mm: Spacing of the volume along its own axes.
        axes: The volume's axis that runs nearest to right, anterior and superior.
        reverse: For each of those whether it runs the other way.
        step_mm: Edge of a cube.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    axes: tuple[int, int, int]
    reverse: tuple[bool, bool, bool]
    step_mm: float = STEP_MM

    def averaged(self, voxels: np.ndarray) -> np.ndarray:
        """The mean of ``voxels`` over every cube (linear between voxels that are wider); float32, RAS order.

        What is not finite counts as 0: a single NaN would otherwise fill all that it is summed with.
        """
        first, second, third = (self._averaging(axis) for axis in range(3))
        out = np.zeros((len(first), len(second), len(third)), dtype=np.float32)
        # Plane by plane: the whole volume as float32 would be the largest array of all.
        for index, plane in enumerate(voxels):
            values = plane.astype(np.float32)
            if not np.isfinite(values).all():
                values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
            small = second @ values @ third.T
            for row in np.flatnonzero(first[:, index]):
                out[row] += first[row, index] * small
        return np.ascontiguousarray(self._to_ras(out))

    def above(self, level: np.ndarray, value: float) -> np.ndarray:
        """Where a level on the coarse grid, linear between the centers of the cubes, exceeds ``value``.

        Args:
            level: float32 in RAS order, as ``averaged`` gives.
            value: What to exceed.

        Returns:
            bool of the volume's shape.
        """
        source = self._from_ras(level)
        first, second, third = (self._interpolating(axis) for axis in range(3))
        out = np.zeros(self.shape, dtype=bool)
        occupied = np.flatnonzero((source > value).any(axis=(1, 2)))
        for index, weights in enumerate(first):
            rows = np.flatnonzero(weights)
            if not np.isin(rows, occupied).any():
                continue
            plane = np.tensordot(weights[rows], source[rows], 1)
            out[index] = second @ plane @ third.T > value
        return out

    def _to_ras(self, values: np.ndarray) -> np.ndarray:
        return values.transpose(self.axes)[tuple(slice(None, None, -1 if r else 1) for r in self.reverse)]

    def _from_ras(self, values: np.ndarray) -> np.ndarray:
        turned = values[tuple(slice(None, None, -1 if r else 1) for r in self.reverse)]
        return np.ascontiguousarray(turned.transpose(np.argsort(self.axes)))

    def _count(self, axis: int) -> int:
        return max(1, int(np.ceil(self.shape[axis] * self.spacing_mm[axis] / self.step_mm - 1e-6)))

    def _averaging(self, axis: int) -> np.ndarray:
        size, width = self.shape[axis], self.spacing_mm[axis]
        if width >= self.step_mm:
            return _linear(self._centers(axis) / width + (size - 1) / 2, size)
        edges = (np.arange(size + 1) - size / 2) * width
        centers = self._centers(axis)[:, None]
        low = np.maximum(edges[:-1], centers - self.step_mm / 2)
        high = np.minimum(edges[1:], centers + self.step_mm / 2)
        overlap = np.maximum(high - low, 0)
        return (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)

    def _interpolating(self, axis: int) -> np.ndarray:
        size, count = self.shape[axis], self._count(axis)
        positions = (np.arange(size) - (size - 1) / 2) * self.spacing_mm[axis]
        return _linear(positions / self.step_mm + (count - 1) / 2, count)

    def _centers(self, axis: int) -> np.ndarray:
        """Centers of the cubes in mm from the middle of the volume."""
        count = self._count(axis)
        return (np.arange(count) - (count - 1) / 2) * self.step_mm


def coarse_grid(shape: tuple[int, ...], affine: np.ndarray, step_mm: float = STEP_MM) -> CoarseGrid:
    """The grid of cubes for a volume of ``shape`` with its ``affine`` ``(4, 4)`` to RAS millimeters.

    Raises:
        ValueError: If the volume is not 3-D, or the affine is not finite or folds an axis.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    if len(shape) != 3 or matrix.shape != (4, 4):
        raise ValueError(f"needs a 3-D volume and an affine (4, 4), found {len(shape)}-D and {matrix.shape}")
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or not spacing.all() or abs(np.linalg.det(matrix[:3, :3] / spacing)) < 1e-3:
        raise ValueError(f"the affine must be finite and span space, found {matrix[:3, :3].tolist()}; check its header")
    cosines = matrix[:3, :3] / spacing
    _, axes = linear_sum_assignment(-np.abs(cosines))
    reverse = [bool(cosines[world, axis] < 0) for world, axis in enumerate(axes)]
    return CoarseGrid(tuple(shape), tuple(spacing.tolist()), tuple(axes.tolist()), tuple(reverse), step_mm)  # type: ignore[arg-type]


def _linear(places: np.ndarray, count: int) -> np.ndarray:
    """Weights ``(len(places), count)`` of linear interpolation; beyond the ends the end itself."""
    clipped = np.clip(places, 0, count - 1)
    below = np.minimum(clipped.astype(np.intp), max(count - 2, 0))
    weights = np.zeros((len(places), count), dtype=np.float32)
    rows = np.arange(len(places))
    weights[rows, below] = 1 - (clipped - below)
    if count > 1:
        weights[rows, below + 1] = clipped - below
    return weights
