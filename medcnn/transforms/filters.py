"""Median, Gaussian and unsharp filters on every channel; the image is mirrored at its border, as in scipy."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import ndimage
from torch import Tensor

from medcnn.transforms.carrier import EachImage, spacing_mm, stacked

Unit = Literal["voxel", "mm"]


def median(channel: np.ndarray, radius: int) -> np.ndarray:
    """The median of the box of ``2 * radius + 1`` voxels a side around every voxel; the type of ``channel``."""
    if radius < 0:
        raise ValueError(f"radius must be 0 or more voxels, found {radius}")
    return ndimage.median_filter(channel, size=2 * radius + 1)


def gaussian(channel: np.ndarray, sigma: float, spacing: Sequence[float] | None = None) -> np.ndarray:
    """Smoothed by a Gaussian that is cut at four deviations.

    Args:
        channel: ``(rows, columns)`` or ``(planes, rows, columns)``, finite.
        sigma: Standard deviation in voxels, or in the unit of ``spacing``.
        spacing: Distance of neighbors along each axis.

    Returns:
        float32, the shape of ``channel``.
    """
    if not sigma >= 0:
        raise ValueError(f"sigma must be 0 or more, found {sigma}")
    sigmas = [sigma / step for step in spacing or (1.0,) * channel.ndim]
    return ndimage.gaussian_filter(channel.astype(np.float32), sigmas)


def unsharp(channel: np.ndarray, sigma: float, amount: float, spacing: Sequence[float] | None = None) -> np.ndarray:
    """``channel + amount * (channel - gaussian(channel))``: edges made steeper; float32, not clipped."""
    plain = channel.astype(np.float32)
    return plain + np.float32(amount) * (plain - gaussian(channel, sigma, spacing))


class MedianFiltered(EachImage):
    """Each channel by the median of a box around every voxel; float32.

    Args:
        keys: Images ``(C, *spatial)``, finite.
        radius: The box has ``2 * radius + 1`` voxels a side.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(self, keys: Sequence[str] | str, radius: int = 1, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.radius = radius

    def change(self, pixels: np.ndarray, image: Tensor | np.ndarray) -> np.ndarray:
        """Every channel filtered."""
        return stacked([median(channel, self.radius) for channel in pixels]).astype(np.float32, copy=False)


class GaussianFiltered(EachImage):
    """Each channel smoothed by a Gaussian; float32.

    Args:
        keys: Images ``(C, *spatial)``, finite.
        sigma: Standard deviation.
        unit: ``voxel``, or ``mm`` by the spacing in the affine.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(
        self, keys: Sequence[str] | str, sigma: float = 1.0, unit: Unit = "voxel", allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.sigma, self.unit = sigma, unit

    def change(self, pixels: np.ndarray, image: Tensor | np.ndarray) -> np.ndarray:
        """Every channel filtered."""
        spacing = spacing_mm(image) if self.unit == "mm" else None
        return stacked([gaussian(channel, self.sigma, spacing) for channel in pixels])


class UnsharpMasked(EachImage):
    """Each channel with its edges made steeper by what a Gaussian takes away; float32, not clipped.

    Args:
        keys: Images ``(C, *spatial)``, finite.
        sigma: Standard deviation of the Gaussian.
        amount: How much of the difference is added; 1 doubles the fine detail.
        unit: ``voxel``, or ``mm`` by the spacing in the affine.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        sigma: float = 1.0,
        amount: float = 1.0,
        unit: Unit = "voxel",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.sigma, self.amount, self.unit = sigma, amount, unit

    def change(self, pixels: np.ndarray, image: Tensor | np.ndarray) -> np.ndarray:
        """Every channel filtered."""
        spacing = spacing_mm(image) if self.unit == "mm" else None
        return stacked([unsharp(channel, self.sigma, self.amount, spacing) for channel in pixels])
