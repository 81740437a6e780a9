"""Masks by threshold: a fixed value, Otsu's, or a percentile."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.transforms import MapTransform
from skimage.filters import threshold_otsu

from medcnn.transforms.carrier import flagged, like, pixels_of, stacked
from medcnn.transforms.percentiles import percentiles
from medcnn.transforms.scaling import all_finite


def otsu(values: np.ndarray) -> float:
    """The value that best parts ``values`` into two classes; the value itself where there is only one.

    Whole numbers are counted one by one, floating ones in 256 bins, as in scikit-image.

    Args:
        values: Finite numbers of any shape, at least one.
    """
    return float(threshold_otsu(values.view(np.uint8) if values.dtype == bool else values))


class _Thresholded(MapTransform):
    """Masks (bool) of what lies above a value that ``threshold`` finds in each channel; NaN is never above.

    Flags ``no_variation`` where all of a channel falls on one side.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new case with masks in place of the images."""
        case = dict(data)
        flags: list[str] = []
        for key in self.key_iterator(case):
            masks = stacked([self._above(channel) for channel in pixels_of(case[key])])
            if any(mask.all() or not mask.any() for mask in masks):
                flags.append("no_variation")
            case[key] = like(case[key], masks)
        return case | {"flags": flagged(case, flags)} if flags else case

    def _above(self, channel: np.ndarray) -> np.ndarray:
        values = channel if all_finite(channel) else channel[np.isfinite(channel)]
        if not values.size:
            return np.zeros(channel.shape, dtype=bool)
        # In double precision: a threshold of 0.1 must not be rounded to the image's own type.
        return channel > np.float64(self.threshold(values))

    @abstractmethod
    def threshold(self, values: np.ndarray) -> float:
        """The value that foreground exceeds, from the finite values of a channel (at least one)."""


class Thresholded(_Thresholded):
    """Masks of what lies above a fixed value.

    Args:
        keys: Images ``(C, *spatial)``.
        value: The value that foreground exceeds, in the unit of the image.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(self, keys: Sequence[str] | str, value: float, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.value = value

    def threshold(self, values: np.ndarray) -> float:
        """The given value."""
        return self.value


class OtsuThresholded(_Thresholded):
    """Masks of what lies above Otsu's threshold, which is found for each channel.

    Args:
        keys: Images ``(C, *spatial)``.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(self, keys: Sequence[str] | str, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def threshold(self, values: np.ndarray) -> float:
        """Otsu's threshold."""
        return otsu(values)


class PercentileThresholded(_Thresholded):
    """Masks of what lies above a percentile of each channel.

    Args:
        keys: Images ``(C, *spatial)``.
        percent: The percentile that foreground exceeds, in [0, 100].
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(self, keys: Sequence[str] | str, percent: float, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if not 0 <= percent <= 100:
            raise ValueError(f"a percentile lies in 0 to 100, found {percent}")
        self.percent = percent

    def threshold(self, values: np.ndarray) -> float:
        """The percentile."""
        return percentiles(values, [self.percent])[0]
