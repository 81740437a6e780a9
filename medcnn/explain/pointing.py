"""Whether a map points at what is known to be there: a planted square, or a lesion that somebody outlined."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor


class Planted(NamedTuple):
    """Images with a square each, and where it is.

    Attributes:
        images: A copy of the images ``(B, C, *spatial)``, the square in every channel.
        masks: Bool ``(B, *spatial)``, True inside the square.
    """

    images: Tensor
    masks: Tensor


class Pointing(NamedTuple):
    """How maps agree with masks, one entry a case.

    Attributes:
        hits: Whether the maximum of the map lies in the mask, or no farther from it than the tolerance; bool ``(B,)``.
        energy: Share of the map's sum inside the mask, float64 ``(B,)``; NaN where the map is zero everywhere.
        iou: Intersection over union of the mask and the highest part of the map; NaN where the map is zero everywhere.
        area: Share of the image that counts as a hit: what a point set down by chance would reach.
    """

    hits: NDArray[np.bool_]
    energy: NDArray[np.float64]
    iou: NDArray[np.float64]
    area: NDArray[np.float64]


def random_corners(count: int, spatial: Sequence[int], size: int, generator: torch.Generator) -> Tensor:
    """Where squares could go, each wholly inside its image: int64 ``(count, dims)``, their first index on each axis.

    Raises:
        ValueError: If the square is larger than the image.
    """
    if not 0 < size <= min(spatial):
        raise ValueError(f"a square of {size} pixels does not fit into an image of {tuple(spatial)}")
    drawn = [torch.randint(0, length - size + 1, (count,), generator=generator) for length in spatial]
    return torch.stack(drawn, dim=1)


def plant(images: Tensor, size: int, at: Tensor, value: float) -> Planted:
    """Images with a bright square (a cube in a volume) each.

    Args:
        images: ``(B, C, *spatial)``; stays as it is.
        size: Side of the square in pixels.
        at: Its first index on each axis, int ``(B, dims)``, as ``random_corners`` gives.
        value: Intensity of the square.

    Raises:
        ValueError: If a square would leave its image.
    """
    spatial = torch.tensor(images.shape[2:])
    if at.shape != (len(images), len(spatial)) or (at < 0).any() or (at.cpu() + size > spatial).any():
        raise ValueError(
            f"expected a place (B, {len(spatial)}) for each of {len(images)} images where {size} pixels fit into "
            f"{tuple(images.shape[2:])}, found {tuple(at.shape)}"
        )
    masks = torch.zeros(len(images), *images.shape[2:], dtype=torch.bool, device=images.device)
    for mask, corner in zip(masks, at.tolist(), strict=True):
        mask[tuple(slice(start, start + size) for start in corner)] = True
    return Planted(torch.where(masks[:, None], torch.as_tensor(value, dtype=images.dtype), images), masks)


def pointing(
    maps: Tensor,
    masks: Tensor,
    tolerance: float = 0.0,
    quantile: float = 0.95,
    spacing: Sequence[float] | None = None,
) -> Pointing:
    """The pointing game, and how much of each map lies inside its mask.

    A map whose maximum is taken at several places hits only where all of them do, so that a map that is the same
    everywhere does not hit by luck; a map that is zero everywhere misses.

    Args:
        maps: Relevance, not negative, ``(B, *spatial)``.
        masks: Bool ``(B, *spatial)``, some of each True.
        tolerance: How far from the mask the maximum may lie, in pixels, or in mm with ``spacing``; 0: inside.
        quantile: The highest part of a map are its values above zero from this quantile on.
        spacing: Size of a voxel along each axis in mm.

    Raises:
        ValueError: If the shapes differ, or a mask is empty.

    References:
        Wang et al., 2020, arXiv:1910.01279 (energy inside the mask)
    """
    if maps.shape != masks.shape or maps.ndim < 3:
        raise ValueError(
            f"expected maps and masks (B, *spatial) of one shape, found {tuple(maps.shape)} and {tuple(masks.shape)}"
        )
    values = np.asarray(maps.detach().as_subclass(Tensor).cpu().numpy(), np.float64)
    inside = np.asarray(masks.detach().as_subclass(Tensor).cpu().numpy(), bool)
    empty = np.flatnonzero(~inside.any(axis=tuple(range(1, inside.ndim))))
    if len(empty):
        raise ValueError(f"mask {empty[0]} is empty; leave out cases without a lesion: there is nothing to point at")
    found = [_one(value, mask, tolerance, quantile, spacing) for value, mask in zip(values, inside, strict=True)]
    hits, energy, iou, area = (np.array(part) for part in zip(*found, strict=True))
    return Pointing(hits, energy, iou, area)


def _one(
    value: NDArray[np.float64],
    mask: NDArray[np.bool_],
    tolerance: float,
    quantile: float,
    spacing: Sequence[float] | None,
) -> tuple[bool, float, float, float]:
    near = mask if tolerance <= 0 else distance_transform_edt(~mask, sampling=spacing) <= tolerance
    area = float(near.mean())
    if not value.any():
        return False, float("nan"), float("nan"), area
    hit = bool(near[value == value.max()].all())
    highest = (value >= np.quantile(value, quantile)) & (value > 0)
    iou = float((highest & mask).sum() / (highest | mask).sum())
    return hit, float(value[mask].sum() / value.sum()), iou, area
