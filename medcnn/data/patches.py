"""Batches cut from whole volumes: patches about structures and elsewhere for training, one whole case for judging."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from medcnn.data.loader import BatchLoader, EachCaseOnce, derived_seed
from medcnn.data.ripe import Ripe

Padding = Literal["zeros", "minimum"]


class PatchLoader(BatchLoader):
    """Batches ``{"image", "mask", "case", "draw"}`` of one patch a case, cut at random.

    A share of the patches is centered on a voxel of a structure, as far as the image reaches: the structure is chosen
    evenly among those that the case has, then the voxel evenly in it, so that a small structure is seen as often as a
    large one. The others lie anywhere. An image that is smaller than the patch stands in its middle. Where a patch
    lies follows from seed, epoch, batch and process alone.

    Args:
        cases: Prepared cases.
        order: Which cases form each batch.
        patch_size: Voxels along each axis.
        foreground_share: Share of the patches of every batch that is centered on a structure, in [0, 1].
        padding: What surrounds an image that is smaller than the patch: zeros, or each channel's least value.
    """

    def __init__(
        self,
        cases: Sequence[Ripe],
        order: EachCaseOnce,
        patch_size: Sequence[int],
        foreground_share: float = 0.5,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__(order)
        self.cases, self.patch_size = cases, tuple(patch_size)
        self.foreground_share, self.padding = foreground_share, padding

    def batch(self, rows: Tensor, seed: int = 0) -> dict[str, Any]:
        """One patch of each of these cases: image float32 ``(B, C, *patch)``, mask uint8 ``(B, *patch)``."""
        cases = [self.cases[row] for row in rows.tolist()]
        # Not the seed of the augmentation: both would draw the same numbers.
        chance = np.random.default_rng(derived_seed(seed, 1))
        images = np.zeros((len(cases), len(cases[0].image), *self.patch_size), np.float32)
        masks = np.zeros((len(cases), *self.patch_size), np.uint8)
        centered = shared_evenly(len(cases), self.foreground_share, chance.random())
        for at, (case, wanted) in enumerate(zip(cases, centered, strict=True)):
            take, put = windows(self._start(case, wanted, chance), self.patch_size, case.mask.shape)
            if self.padding == "minimum" and case.mask.shape != masks[at][put].shape:
                images[at] = case.image.min(axis=tuple(range(1, case.image.ndim)), keepdims=True)
            images[at][(slice(None), *put)] = case.image[(slice(None), *take)]
            masks[at][put] = case.mask[take]
        return {"image": torch.from_numpy(images), "mask": torch.from_numpy(masks), "case": rows}

    def _start(self, case: Ripe, wanted: bool, chance: np.random.Generator) -> np.ndarray:
        """Index of the patch's first voxel; negative where the image is smaller than the patch."""
        room = np.array(case.mask.shape) - self.patch_size
        within = np.maximum(room, 0)
        present = [places for places in case.places if len(places)] if wanted else []
        if present:
            places = present[chance.integers(len(present))]
            center = np.unravel_index(int(places[chance.integers(len(places))]), case.mask.shape)
            start = np.clip(np.array(center) - np.array(self.patch_size) // 2, 0, within)
        else:
            start = chance.integers(within + 1)
        return np.where(room < 0, -(-room // 2), start)


class WholeCaseLoader(BatchLoader):
    """One whole case at a time: ``{"image", "mask", "case", "affine"}``.

    Args:
        cases: Prepared cases.
        order: Which case comes when; of one case a batch.
    """

    def __init__(self, cases: Sequence[Ripe], order: "EachCaseAlone") -> None:
        super().__init__(order)
        self.cases = cases

    def batch(self, rows: Tensor, seed: int = 0) -> dict[str, Any]:
        """Image float32 ``(1, C, *spatial)``, mask uint8 ``(1, *spatial)``, affine float64 ``(1, 4, 4)``."""
        case = self.cases[int(rows)]
        return {
            "image": torch.from_numpy(case.image.astype(np.float32)[None]),
            "mask": torch.from_numpy(np.array(case.mask)[None]),
            "case": rows,
            "affine": torch.from_numpy(case.affine.copy())[None],
        }


class EachCaseAlone(EachCaseOnce):
    """Every case once, alone in its batch. A process may get one batch more than another, since cases of different
    shapes share no batch.

    Args:
        rows: Rows of the cohort, int64 ``(n,)``.
        rank: Number of this process.
        world: Number of processes.
        split: Name of the split, for the error.
    """

    def __init__(self, rows: Tensor, *, rank: int = 0, world: int = 1, split: str = "this split") -> None:
        super().__init__(rows, 1, rank=rank, world=world, split=split)

    def __len__(self) -> int:
        return len(self.rows.tensor_split(self.world)[self.rank])

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.rows.tensor_split(self.world)[self.rank].split(1))


def shared_evenly(count: int, share: float, offset: float) -> list[bool]:
    """True for a share of ``count``, rounded down or up as ``offset`` in [0, 1) has it, and spread evenly."""
    steps = np.floor(np.arange(count + 1) * share + offset)
    return (np.diff(steps) > 0).tolist()


def windows(
    start: Sequence[int] | np.ndarray, size: Sequence[int], shape: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """What of an image to take, and where in the patch to put it, for a patch that may reach beyond the image."""
    take, put = [], []
    for first, length, whole in zip(start, size, shape, strict=True):
        low, high = max(0, int(first)), min(whole, int(first) + length)
        take.append(slice(low, high))
        put.append(slice(low - int(first), high - int(first)))
    return tuple(take), tuple(put)
