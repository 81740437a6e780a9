"""Erosion, dilation, opening and closing of the masks of a case by a ball in voxels or millimeters."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np
from torch import Tensor

from medcnn.transforms.ball import closed, dilated, eroded, opened
from medcnn.transforms.carrier import EachImage, spacing_mm, stacked

Unit = Literal["voxel", "mm"]


class _ByBall(EachImage):
    """A step of morphology by a disk (2-D) or a ball (3-D) on every channel of a mask; the result is bool.

    Args:
        keys: Masks ``(C, *spatial)``; what is not 0 is foreground.
        radius: Radius of the ball.
        unit: ``voxel``, or ``mm`` by the spacing in the affine: an ellipsoid on an unequal grid.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(
        self, keys: Sequence[str] | str, radius: float, unit: Unit = "voxel", allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.radius, self.unit = radius, unit

    def change(self, pixels: np.ndarray, image: Tensor | np.ndarray) -> np.ndarray:
        """The new mask of every channel."""
        spacing = spacing_mm(image) if self.unit == "mm" else None
        return stacked([self.step(channel != 0, spacing) for channel in pixels])

    @abstractmethod
    def step(self, mask: np.ndarray, spacing: Sequence[float] | None) -> np.ndarray:
        """The new mask of one channel."""


class Dilated(_ByBall):
    """Masks grown by everything within a radius of them; see ``dilated``."""

    def step(self, mask: np.ndarray, spacing: Sequence[float] | None) -> np.ndarray:
        """One channel dilated."""
        return dilated(mask, self.radius, spacing)


class Eroded(_ByBall):
    """Masks with everything within a radius of the background taken away; see ``eroded``."""

    def step(self, mask: np.ndarray, spacing: Sequence[float] | None) -> np.ndarray:
        """One channel eroded."""
        return eroded(mask, self.radius, spacing)


class Opened(_ByBall):
    """Masks without what is too thin for the ball; see ``opened``."""

    def step(self, mask: np.ndarray, spacing: Sequence[float] | None) -> np.ndarray:
        """One channel opened."""
        return opened(mask, self.radius, spacing)


class Closed(_ByBall):
    """Masks with gaps closed that are too thin for the ball; see ``closed``.

    Args:
        keys: Masks ``(C, *spatial)``; what is not 0 is foreground.
        radius: Radius of the ball.
        unit: ``voxel``, or ``mm`` by the spacing in the affine.
        keep_border: Close as if the image went on as background, so that no foreground is lost at its border.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        radius: float,
        unit: Unit = "voxel",
        keep_border: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, radius, unit, allow_missing_keys)
        self.keep_border = keep_border

    def step(self, mask: np.ndarray, spacing: Sequence[float] | None) -> np.ndarray:
        """One channel closed."""
        return closed(mask, self.radius, spacing, keep_border=self.keep_border)
