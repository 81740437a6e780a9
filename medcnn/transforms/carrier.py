"""Between the carrier (MONAI's MetaTensor) and the plain arrays that the transforms compute on."""

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor


def pixels_of(image: Tensor | np.ndarray) -> np.ndarray:
    """The values of an image ``(C, *spatial)`` as an array that shares its memory; never write to it."""
    if isinstance(image, np.ndarray):
        return image
    # as_tensor first: every operation on a MetaTensor itself costs some 30 us of bookkeeping.
    plain = image.as_tensor() if isinstance(image, MetaTensor) else image
    if plain.requires_grad or plain.device.type != "cpu":
        plain = plain.detach().cpu()
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()


def like(image: Tensor | np.ndarray, pixels: np.ndarray) -> Tensor:
    """``pixels`` in the place of ``image``: its device, its affine and its other metadata."""
    out = torch.from_numpy(np.ascontiguousarray(pixels))
    if not isinstance(image, Tensor):
        return out
    out = out.to(image.device)
    return out.as_subclass(MetaTensor).copy_meta_from(image) if isinstance(image, MetaTensor) else out


def stacked(channels: Sequence[np.ndarray]) -> np.ndarray:
    """Channels as one array ``(C, *spatial)``; a single one is not copied, which would cost as much as the work."""
    return channels[0][None] if len(channels) == 1 else np.stack(channels)


def spacing_mm(image: Tensor | np.ndarray) -> tuple[float, ...]:
    """Distance between neighboring voxels along each spatial axis, from the affine.

    Raises:
        ValueError: If the image carries no affine, or one that folds an axis to a point.
    """
    if not isinstance(image, MetaTensor):
        raise ValueError(f"a length in mm needs a MetaTensor with an affine, found {type(image).__name__}; use voxels")
    affine = np.asarray(image.affine, dtype=np.float64)
    spacing = np.linalg.norm(affine[:-1, : image.ndim - 1], axis=0)
    if not (np.isfinite(spacing).all() and spacing.all()):
        raise ValueError(f"spacing must be positive along every axis, found {spacing.tolist()}; check the affine")
    return tuple(spacing.tolist())


def flagged(case: Mapping[Any, Any], flags: Iterable[str]) -> list[str]:
    """The flags of a case with ``flags`` added, each once; a new list, for the caller's is not ours to change."""
    return list(dict.fromkeys([*case.get("flags", ()), *flags]))


class EachImage(MapTransform):
    """A transform that changes the values of every image by itself and leaves its place alone.

    Args:
        keys: Images ``(C, *spatial)``.
        allow_missing_keys: Skip a key that a case does not have.
    """

    def __init__(self, keys: Sequence[str] | str, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    @abstractmethod
    def change(self, pixels: np.ndarray, image: Tensor | np.ndarray) -> np.ndarray:
        """New values for ``pixels``, which are those of ``image``: read both, write neither."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new case with the images changed."""
        case = dict(data)
        for key in self.key_iterator(case):
            case[key] = like(case[key], self.change(pixels_of(case[key]), case[key]))
        return case
