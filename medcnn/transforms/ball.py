"""Exact erosion, dilation, opening and closing of masks by a disk, a ball or, on an unequal grid, an ellipsoid."""

from collections.abc import Callable, Sequence

import numpy as np

from medcnn.transforms import bits

# An affine carries the rounding of single precision: without this a ball of 5 mm on a 0.1 mm grid loses its poles.
ROUNDING = 1e-6

Step = Callable[[bits.Packed, bits.Profiles], bits.Packed]


def ball(radius: float, spacing: Sequence[float]) -> np.ndarray:
    """The offsets within ``radius`` of a voxel's center: a disk, a ball, or an ellipsoid where spacings differ.

    Args:
        radius: Radius in the unit of ``spacing``, not negative.
        spacing: Distance of neighbors along each axis; ones for a radius in voxels.

    Returns:
        bool, of odd size along every axis, true where ``sum((index * spacing) ** 2) <= radius ** 2`` (1e-6 relative).
    """
    extents = _extents(radius, spacing)
    return _within(radius, spacing, [range(-extent, extent + 1) for extent in extents])


def _extents(radius: float, spacing: Sequence[float]) -> list[int]:
    if not 0 <= radius < np.inf:
        raise ValueError(f"radius must be 0 or more, found {radius}")
    return [int(radius * np.sqrt(1 + ROUNDING) / step) for step in spacing]


def _within(radius: float, spacing: Sequence[float], ranges: Sequence[range]) -> np.ndarray:
    squares = [(np.array(indices) * step) ** 2 for indices, step in zip(ranges, spacing, strict=True)]
    total: np.ndarray = sum(np.ix_(*squares))  # type: ignore[assignment]
    return total <= radius**2 * (1 + ROUNDING)


def dilated(mask: np.ndarray, radius: float, spacing: Sequence[float] | None = None) -> np.ndarray:
    """Every voxel within ``radius`` of foreground; equal to ``scipy.ndimage.binary_dilation`` by the same ball.

    Args:
        mask: bool ``(rows, columns)`` or ``(planes, rows, columns)``.
        radius: In voxels, or in the unit of ``spacing``.
        spacing: Distance of neighbors along each axis of ``mask``.

    Returns:
        bool, the shape of ``mask``.
    """
    return _by_bits(mask, radius, spacing, (bits.dilate,))


def eroded(mask: np.ndarray, radius: float, spacing: Sequence[float] | None = None) -> np.ndarray:
    """Every voxel with no background within ``radius``, outside of the image being background, as in scipy."""
    return _by_bits(mask, radius, spacing, (bits.erode,))


def opened(mask: np.ndarray, radius: float, spacing: Sequence[float] | None = None) -> np.ndarray:
    """Erosion, then dilation: what a ball that stays inside the foreground can reach."""
    return _by_bits(mask, radius, spacing, (bits.erode, bits.dilate))


def closed(
    mask: np.ndarray, radius: float, spacing: Sequence[float] | None = None, *, keep_border: bool = False
) -> np.ndarray:
    """Dilation, then erosion; as in scipy this wears foreground away at the border unless ``keep_border``."""
    if not keep_border:
        return _by_bits(mask, radius, spacing, (bits.dilate, bits.erode))
    margins = _extents(radius, _or_ones(spacing, mask))
    wide = _by_bits(np.pad(mask, [(m, m) for m in margins]), radius, spacing, (bits.dilate, bits.erode))
    return wide[tuple(slice(m, m + n) for m, n in zip(margins, mask.shape, strict=True))]


def _or_ones(spacing: Sequence[float] | None, mask: np.ndarray) -> Sequence[float]:
    return (1.0,) * mask.ndim if spacing is None else spacing


def _by_bits(mask: np.ndarray, radius: float, spacing: Sequence[float] | None, steps: Sequence[Step]) -> np.ndarray:
    profiles = _profiles(radius, _or_ones(spacing, mask), mask.shape)
    packed = bits.pack(mask if mask.ndim == 3 else mask[None], profiles)
    for step in steps:
        packed = step(packed, profiles)
    return bits.unpack(packed).reshape(mask.shape)


def _profiles(radius: float, spacing: Sequence[float], shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Half-widths of the ball's runs for the offsets ``dz, dy`` from 0 on."""
    # An offset by the whole image leaves it from every voxel: a longer one adds nothing.
    extents = [min(extent, size) for extent, size in zip(_extents(radius, spacing), shape, strict=True)]
    octant = _within(radius, spacing, [range(extent + 1) for extent in extents])
    halves = octant.sum(axis=-1).reshape(-1, octant.shape[-2]) - 1
    return [tuple(int(half) for half in row if half >= 0) for row in halves]
