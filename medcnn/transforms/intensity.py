"""Intensity to a common scale: by percentiles, by extremes, by mean and deviation, by a window; color to gray."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.transforms import MapTransform

from medcnn.transforms.carrier import EachImage, flagged, like, pixels_of, stacked
from medcnn.transforms.percentiles import percentiles
from medcnn.transforms.scaling import all_finite, grayscale, has_range, mean_and_deviation, rescaled


class _Rescaled(MapTransform):
    """Every channel of an image mapped linearly by two values that ``bounds`` finds; the result is float32.

    Flags ``non_finite`` where NaN or infinity was replaced by the lower end, ``no_variation`` where a channel has no
    range and became uniform, ``empty_mask`` where the mask holds no voxel.
    """

    low: float = 0.0
    high: float = 1.0
    clip: bool = True
    mask_key: str | None = None

    @abstractmethod
    def bounds(self, values: np.ndarray) -> tuple[float, float]:
        """The values that go to ``low`` and ``high``, from the finite values of a channel (at least one)."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new case with the images rescaled and the flags added."""
        case = dict(data)
        mask = None if self.mask_key is None else pixels_of(case[self.mask_key]) != 0
        flags = [] if mask is None or mask.any() else ["empty_mask"]
        for key in self.key_iterator(case):
            pixels = pixels_of(case[key])
            masks = [None] * len(pixels) if mask is None else _one_each(mask, pixels, str(key))
            channels = [self._channel(*pair, flags) for pair in zip(pixels, masks, strict=True)]
            case[key] = like(case[key], stacked(channels))
        return case | {"flags": flagged(case, flags)} if flags else case

    def _channel(self, channel: np.ndarray, mask: np.ndarray | None, flags: list[str]) -> np.ndarray:
        values = channel if mask is None else channel[mask]
        finite = all_finite(channel)
        if not finite:
            flags.append("non_finite")
            values = values[np.isfinite(values)]
        lower, upper = self.bounds(values) if values.size else (0.0, 0.0)
        if not has_range(lower, upper):
            flags.append("no_variation")
        return rescaled(channel, lower, upper, self.low, self.high, clip=self.clip, finite=finite)


def _one_each(mask: np.ndarray, pixels: np.ndarray, key: str) -> np.ndarray:
    if mask.shape[1:] != pixels.shape[1:] or len(mask) not in (1, len(pixels)):
        raise ValueError(
            f"the mask of {key} must be (1 or {len(pixels)}, {', '.join(map(str, pixels.shape[1:]))}), "
            f"found {mask.shape}; bring both onto one grid first"
        )
    return np.broadcast_to(mask, pixels.shape)


class PercentileNormalized(_Rescaled):
    """Two percentiles of each channel mapped onto a range; exact, equal to numpy's linear method.

    Args:
        keys: Images ``(C, *spatial)`` of whole or floating values.
        lower: Percentile that goes to ``low``.
        upper: Percentile that goes to ``high``.
        mask_key: Mask ``(1 or C, *spatial)`` inside which percentiles are taken; the whole image where ``None``.
        clip: Keep the result within the range.
        low: Lower end of the range; also for what is not finite, and for a channel without variation.
        high: Upper end of the range.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        lower: float = 0.5,
        upper: float = 99.5,
        mask_key: str | None = None,
        clip: bool = True,
        low: float = 0.0,
        high: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if not 0 <= lower < upper <= 100:
            raise ValueError(f"percentiles must be 0 <= lower < upper <= 100, found {lower} and {upper}")
        self.lower, self.upper = lower, upper
        self.mask_key, self.clip, self.low, self.high = mask_key, clip, low, high

    def bounds(self, values: np.ndarray) -> tuple[float, float]:
        """Both percentiles."""
        lower, upper = percentiles(values, (self.lower, self.upper))
        return lower, upper


class MinMaxNormalized(_Rescaled):
    """The least and the greatest value of each channel mapped onto a range.

    Args:
        keys: Images ``(C, *spatial)``.
        mask_key: Mask inside which the extremes are taken; values beyond them outside of it are clipped.
        low: Lower end of the range.
        high: Upper end of the range.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        mask_key: str | None = None,
        low: float = 0.0,
        high: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mask_key, self.low, self.high = mask_key, low, high

    def bounds(self, values: np.ndarray) -> tuple[float, float]:
        """Both extremes."""
        return float(values.min()), float(values.max())


class ZScored(_Rescaled):
    """Each channel less its mean, in units of its standard deviation; what is not finite takes the mean, 0.

    Args:
        keys: Images ``(C, *spatial)``.
        mask_key: Mask inside which mean and deviation are taken; the whole image where ``None``.
        allow_missing_keys: Skip a key that a case does not have.
    """

    clip = False

    def __init__(
        self, keys: Sequence[str] | str, mask_key: str | None = None, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mask_key = mask_key

    def bounds(self, values: np.ndarray) -> tuple[float, float]:
        """The mean, and one deviation above it."""
        # A constant float channel can leave a deviation of rounding alone.
        if values.min() == values.max():
            return 0.0, 0.0
        mean, deviation = mean_and_deviation(values)
        return mean, mean + deviation


class Windowed(_Rescaled):
    """Values of a window mapped onto a range, ``center - width / 2`` to its lower end; clipped outside.

    Args:
        keys: Images ``(C, *spatial)``.
        center: Middle of the window, in the unit of the image.
        width: Width of the window, more than 0.
        low: Lower end of the range.
        high: Upper end of the range.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        center: float,
        width: float,
        low: float = 0.0,
        high: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if not width > 0:
            raise ValueError(f"a window must be wider than 0, found {width}")
        self.center, self.width, self.low, self.high = center, width, low, high

    def bounds(self, values: np.ndarray) -> tuple[float, float]:
        """The ends of the window, whatever the image holds."""
        return self.center - self.width / 2, self.center + self.width / 2


class Grayscaled(EachImage):
    """Color to one channel of luma, float32; an image of one channel keeps its values.

    Args:
        keys: Images ``(1 or 3, *spatial)``.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def change(self, pixels: np.ndarray, image: Any) -> np.ndarray:
        """One gray channel."""
        return grayscale(pixels)
