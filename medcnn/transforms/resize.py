"""To another number of pixels by the mean over the area that each new pixel covers."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor

from medcnn.transforms.carrier import like, pixels_of, stacked


def area_mean(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The mean of ``image`` over the area of each new pixel; edges that cut a pixel weigh it by the part they hold.

    Args:
        image: ``(*spatial)``, whole or floating values.
        size: New number of pixels along each axis.

    Returns:
        float32 ``(*size)``. Whole values are summed as such, several times faster than a resampling in floats.
    """
    for axis, (old, new) in enumerate(zip(image.shape, size, strict=True)):
        if old != new:
            moved = _mean_of_rows(np.ascontiguousarray(np.moveaxis(image, axis, 0)), new)
            image = np.moveaxis(moved, 0, axis)
    return np.ascontiguousarray(image, dtype=np.float32)


def _mean_of_rows(image: np.ndarray, new: int) -> np.ndarray:
    """``(old, ...)`` to ``(new, ...)``: whole rows are summed first, the parts of rows at both edges added to that."""
    old = len(image)
    whole = _sum_type(image)
    result = np.empty((new, *image.shape[1:]), np.float32)
    for k in range(new):
        # In units of 1/new of an old row, so that the edges are exact: new row k covers [k * old, (k + 1) * old).
        first, last = -(-k * old // new), (k + 1) * old // new
        if first > last:  # inside one old row
            result[k] = image[last]
            continue
        total = np.add.reduce(image[first:last], axis=0, dtype=whole).astype(np.float32)
        if before := first * new - k * old:
            total += np.float32(before / new) * image[first - 1]
        if after := (k + 1) * old - last * new:
            total += np.float32(after / new) * image[last]
        result[k] = total * np.float32(new / old)
    return result


def _sum_type(image: np.ndarray) -> type[np.generic]:
    """A type that holds the sum of any rows of ``image`` exactly, the narrow one where it does: it is twice as fast."""
    if image.dtype.kind not in "iub":
        return np.float32
    largest = max(abs(int(image.max())), abs(int(image.min()))) if image.dtype.itemsize > 2 else 1 << 16
    return np.int32 if largest * len(image) < 1 << 31 else np.int64


def resized_affine(affine: np.ndarray, old: Sequence[int], new: Sequence[int]) -> np.ndarray:
    """The affine of an image that fills the same space with another number of pixels."""
    change = np.eye(len(affine))
    for axis, (before, after) in enumerate(zip(old, new, strict=True)):
        change[axis, axis] = before / after
        change[axis, -1] = (before / after - 1) / 2  # the center of the first pixel moves, its outer edge does not
    return affine @ change


class AreaResized(MapTransform):
    """Each image at another size, the affine with it; float32.

    MONAI's ``Resized(mode="area")`` gives the same where the old size is a multiple of the new one. Elsewhere its areas
    overlap, while here each old pixel counts once; and a large film of whole values is done several times faster.

    Args:
        keys: Images ``(C, *spatial)``.
        spatial_size: New number of pixels along each axis, or one number for all.
        allow_missing_keys: Skip a key that a case does not have.

    Raises:
        ValueError: If the size is not positive, or names another number of axes than an image has.
    """

    def __init__(
        self, keys: Sequence[str] | str, spatial_size: Sequence[int] | int, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.spatial_size = spatial_size if isinstance(spatial_size, int) else tuple(spatial_size)
        if min([self.spatial_size] if isinstance(self.spatial_size, int) else self.spatial_size, default=0) < 1:
            raise ValueError(f"spatial_size must be 1 or more along each axis, found {spatial_size}")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new case with the images resized."""
        case = dict(data)
        for key in self.key_iterator(case):
            case[key] = self._resized(case[key])
        return case

    def _resized(self, image: Tensor | np.ndarray) -> Tensor:
        pixels = pixels_of(image)
        old = pixels.shape[1:]
        size = (self.spatial_size,) * len(old) if isinstance(self.spatial_size, int) else self.spatial_size
        if len(size) != len(old):
            raise ValueError(f"spatial_size {size} names {len(size)} axes, the image has {len(old)}: {old}")
        result = like(image, stacked([area_mean(channel, size) for channel in pixels]))
        if isinstance(result, MetaTensor):
            affine = resized_affine(result.affine.numpy().astype(np.float64), old, size)
            result.affine = torch.from_numpy(affine).to(result.affine.dtype)
        return result
