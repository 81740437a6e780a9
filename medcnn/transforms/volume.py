"""Several sequences of one head as the channels of one image, on the grid of the first."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor

from medcnn.transforms.carrier import flagged
from medcnn.transforms.home import resampled

SAME_VOXELS = 1e-3  # headers keep places as float32 or as text
PARTLY = 0.9  # of the first field of view
PLACES = 24  # looked at along each axis to tell how far two fields of view overlap


class ChannelsJoined(MapTransform):
    """Images of one patient stacked as channels on the grid of the first, by what the affines say of their place.

    The values of a later image are computed where its grid differs, and are 0 where its field of view does not reach.
    Images that were taken in different sessions must be registered before: an affine knows the scanner alone.

    Flags ``resampled`` where an image lay on another grid, ``partial_overlap`` where one does not reach over nine
    tenths of the first.

    Args:
        keys: Images ``(C, *spatial)`` with an affine, the one that keeps its grid first; they leave the case.
        into: Key of the joined image, which carries the first one's affine and metadata.
        mode: ``linear`` between voxels, or ``nearest``.
        allow_missing_keys: Skip a key that a case does not have: its channels are then missing.

    Raises:
        ValueError: If an image lies wholly outside the first, has no affine, or another number of axes.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        into: str = "image",
        mode: Literal["linear", "nearest"] = "linear",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if mode not in ("linear", "nearest"):
            raise ValueError(f"mode must be linear or nearest, found {mode}")
        self.into, self.mode = into, mode

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new case with the joined image in place of its parts."""
        case = dict(data)
        images = {key: case.pop(key) for key in self.key_iterator(data)}
        (first_name, first), *later = images.items()
        flags: list[str] = []
        channels = [_plain(first)]
        for key, image in later:
            _check_pair(first, image, f"{key} beside {first_name}")
            channels.append(self._onto(first, image, f"{key} beside {first_name}", flags))
        joined = torch.cat(channels)
        case[self.into] = (
            joined.as_subclass(MetaTensor).copy_meta_from(first) if isinstance(first, MetaTensor) else joined
        )
        return case | {"flags": flagged(case, flags)} if flags else case

    def _onto(self, first: MetaTensor, image: MetaTensor, pair: str, flags: list[str]) -> Tensor:
        shape = first.shape[1:]
        between = np.linalg.inv(_affine_of(image)) @ _affine_of(first)
        reach = np.abs(between - np.eye(4)) @ [*shape, *[0] * (3 - len(shape)), 1]
        if image.shape[1:] == shape and reach.max() < SAME_VOXELS:
            return _plain(image)
        covered = _covered(between, shape, image.shape[1:])
        if not covered:
            raise ValueError(
                f"{pair}: their fields of view do not meet; they are not of one session, or an affine is wrong"
            )
        flags.extend(["resampled"] if covered >= PARTLY else ["resampled", "partial_overlap"])
        return resampled(_plain(image), image.affine, shape, first.affine, self.mode)


def _check_pair(first: Tensor, image: Tensor, pair: str) -> None:
    if not (isinstance(first, MetaTensor) and isinstance(image, MetaTensor)):
        raise ValueError(f"{pair}: joining needs to know where both lie; give MetaTensors with an affine")
    if first.ndim != image.ndim:
        raise ValueError(f"{pair}: {image.ndim - 1} axes beside {first.ndim - 1}; give images of one kind")


def _plain(image: Tensor) -> Tensor:
    return image.as_tensor() if isinstance(image, MetaTensor) else torch.as_tensor(image)


def _affine_of(image: MetaTensor) -> np.ndarray:
    return np.asarray(image.affine.cpu(), dtype=np.float64)


def _covered(between: np.ndarray, shape: Sequence[int], other: Sequence[int]) -> float:
    """Share of places of a grid that lie inside another one; ``between`` leads from its index to the other's."""
    places = [np.unique(np.linspace(0, size - 1, PLACES).round()) for size in shape]
    index = np.stack([axis.ravel() for axis in np.meshgrid(*places, indexing="ij")])
    found = between[: len(other), : len(shape)] @ index + between[: len(other), -1:]
    return float((np.abs(found - (np.array(other)[:, None] - 1) / 2) <= np.array(other)[:, None] / 2).all(0).mean())
