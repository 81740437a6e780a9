"""The masks of a case labeled, reduced to their largest component, or with holes filled: 2-D and 3-D."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from medcnn.transforms.carrier import EachImage, stacked
from medcnn.transforms.labels import Connectivity, components, filled, largest_component


class ComponentsLabeled(EachImage):
    """Masks replaced by the labels of their components, int32 from 1, each channel by itself.

    Args:
        keys: Masks ``(C, *spatial)``; what is not 0 is foreground.
        connectivity: 4 or 8 in 2-D, 6, 18 or 26 in 3-D; the largest where ``None``.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        connectivity: Connectivity | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.connectivity = connectivity

    def change(self, pixels: np.ndarray, image: Tensor | np.ndarray) -> np.ndarray:
        """The labels of every channel."""
        return stacked([components(channel != 0, self.connectivity)[0] for channel in pixels])


class LargestComponent(EachImage):
    """Masks (bool) of the largest component of each channel, the first of equals.

    Args:
        keys: Masks ``(C, *spatial)``; what is not 0 is foreground.
        connectivity: 4 or 8 in 2-D, 6, 18 or 26 in 3-D; the largest where ``None``.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        connectivity: Connectivity | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.connectivity = connectivity

    def change(self, pixels: np.ndarray, image: Tensor | np.ndarray) -> np.ndarray:
        """The largest component of every channel."""
        return stacked([largest_component(channel != 0, self.connectivity) for channel in pixels])


class HolesFilled(EachImage):
    """Masks (bool) without holes, each channel by itself.

    Args:
        keys: Masks ``(C, *spatial)``; what is not 0 is foreground.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def change(self, pixels: np.ndarray, image: Tensor | np.ndarray) -> np.ndarray:
        """Every channel filled."""
        return stacked([filled(channel != 0) for channel in pixels])
