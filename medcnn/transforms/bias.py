"""The smooth shading that a receiving coil leaves in an MR image, estimated by N4 and taken out."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK
from monai.data import MetaTensor
from monai.transforms import MapTransform

from medcnn.transforms.carrier import flagged, like, pixels_of, spacing_mm, stacked
from medcnn.transforms.threshold import otsu

LEAST_VOXELS = 8  # along an axis of the shrunk image, for a spline needs four a cell
LEVELS, ITERATIONS = 4, 50


def log_bias(
    channel: np.ndarray, mask: np.ndarray, spacing: Sequence[float] | None = None, shrink: int = 4
) -> np.ndarray:
    """The logarithm of the smooth factor that makes the histogram inside the mask sharpest when it is divided out.

    Estimated on every ``shrink``-th voxel, fewer along an axis of coarse spacing, and read off the spline at all.

    Args:
        channel: ``(rows, columns)`` or ``(planes, rows, columns)``, finite.
        mask: Where to look, bool of the same shape; voxels of 0 or less are left out.
        spacing: Distance of neighbors along each axis.
        shrink: Factor between the grid of the image and the grid of the estimate.

    Returns:
        float32, the shape of ``channel``.

    References:
        Tustison et al., 2010, doi:10.1109/TMI.2010.2046908
    """
    spacing = spacing or (1.0,) * channel.ndim
    # SimpleITK names axes from the last to the first. Directions do not matter to a fit on the image's own grid.
    image, inside = (
        SimpleITK.GetImageFromArray(np.ascontiguousarray(array))
        for array in (channel.astype(np.float32, copy=False), (mask & (channel > 0)).astype(np.uint8))
    )
    for one in (image, inside):
        one.SetSpacing([float(step) for step in reversed(spacing)])
    factors = _shrink_factors(channel.shape, spacing, shrink)[::-1]
    n4 = SimpleITK.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([ITERATIONS] * LEVELS)
    n4.SetNumberOfThreads(1)  # the same sums on every machine
    n4.Execute(SimpleITK.Shrink(image, factors), SimpleITK.Shrink(inside, factors))
    return SimpleITK.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).astype(np.float32, copy=False)


def _shrink_factors(shape: Sequence[int], spacing: Sequence[float], shrink: int) -> list[int]:
    finest = min(spacing)
    wanted = [round(shrink * finest / step) for step in spacing]
    return [max(1, min(factor, size // LEAST_VOXELS)) for factor, size in zip(wanted, shape, strict=True)]


class N4Corrected(MapTransform):
    """Each channel divided by its smooth shading, estimated by N4 inside a mask; float32, on its own grid.

    Flags ``bias_uncorrected`` where a channel holds too little to estimate it and stays as it was.

    Args:
        keys: MR images ``(C, *spatial)`` as the scanner gave them: above 0 where there is tissue.
        mask_key: Mask ``(1 or C, *spatial)``, a brain for instance; None for what lies above Otsu's threshold.
        shrink: Every how many voxels the estimate looks; along an axis of coarse spacing less.
        allow_missing_keys: Skip a key that a case does not have.

    Raises:
        ValueError: If ``shrink`` is below 1, or the mask lies on another grid.

    References:
        Tustison et al., 2010, doi:10.1109/TMI.2010.2046908
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        mask_key: str | None = None,
        shrink: int = 4,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if shrink < 1:
            raise ValueError(f"shrink must be 1 or more, found {shrink}")
        self.mask_key, self.shrink = mask_key, shrink

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new case with the images corrected and the flags added."""
        case = dict(data)
        flags: list[str] = []
        mask = None if self.mask_key is None else pixels_of(case[self.mask_key]) != 0
        for key in self.key_iterator(case):
            pixels, spacing = pixels_of(case[key]), _spacing_of(case[key])
            if mask is not None and (mask.shape[1:] != pixels.shape[1:] or len(mask) not in (1, len(pixels))):
                raise ValueError(f"the mask of {key} must lie on its grid {pixels.shape}, found {mask.shape}")
            masks = [None] * len(pixels) if mask is None else np.broadcast_to(mask, pixels.shape)
            channels = [self._corrected(*pair, spacing, flags) for pair in zip(pixels, masks, strict=True)]
            case[key] = like(case[key], stacked(channels))
        return case | {"flags": flagged(case, flags)} if flags else case

    def _corrected(
        self, channel: np.ndarray, mask: np.ndarray | None, spacing: Sequence[float] | None, flags: list[str]
    ) -> np.ndarray:
        values = np.nan_to_num(channel.astype(np.float32), posinf=0, neginf=0)  # a copy, ours to write
        inside = (values > otsu(values) if mask is None else mask) & (values > 0)
        seen = values[inside]
        if not seen.size or seen.min() == seen.max():
            flags.append("bias_uncorrected")
            return values
        return values * np.exp(-log_bias(values, inside, spacing, self.shrink))


def _spacing_of(image: Any) -> tuple[float, ...] | None:
    return spacing_mm(image) if isinstance(image, MetaTensor) else None
