"""Batches cut from one tensor that holds the whole cohort: no worker, no collating."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from medcnn.errors import ConfigError


def derived_seed(*parts: int) -> int:
    """One seed from several numbers; unlike a sum, (7, 1) and (8, 0) give different seeds."""
    digest = hashlib.blake2b(repr(tuple(int(part) for part in parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class EachCaseOnce:
    """Which rows form each batch of one process, without padding.

    Evaluation deals every row to exactly one process and gives each process the same number of batches, none of them
    empty, so that collective calls stay in step and no case is weighed twice. Training (``shuffle``) deals a new order
    each epoch and leaves out what does not fill a batch on every process; the next epoch leaves out others.

    Args:
        rows: Rows of the cohort, int64 ``(n,)``.
        batch_size: Cases in a batch of one process.
        shuffle: True for training.
        seed: With the epoch, decides the order; equal on all processes.
        rank: Number of this process.
        world: Number of processes.
        split: Name of the split, for the error.
        draws: Rows dealt in an epoch of training, all processes together: some, or one order after another, so that
            each row comes equally often; each row once by default.

    Raises:
        ConfigError: If there are fewer cases than processes.
    """

    def __init__(
        self,
        rows: Tensor,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        split: str = "this split",
        draws: int | None = None,
    ) -> None:
        if len(rows) < world:
            raise ConfigError(f"{split} has {len(rows)} cases for {world} processes: use fewer devices, or more cases")
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}; expected 1 or more")
        self.rows, self.batch_size, self.shuffle, self.seed = rows, batch_size, shuffle, seed
        self.rank, self.world, self.epoch = rank, world, 0
        self.draws = len(rows) if draws is None else draws
        if self.draws < world:
            raise ConfigError(f"{split}: {self.draws} draws an epoch for {world} processes; expected one each or more")

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of ``epoch``; Lightning calls it, so a resumed run sees what an unbroken one would."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.shuffle:
            return max(1, self.draws // self.world // self.batch_size)
        least = len(self.rows) // self.world
        most = -(-len(self.rows) // self.world)
        # Never more batches than the poorest process has cases: an empty batch has no mean.
        return min(-(-most // self.batch_size), least)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._training() if self.shuffle else self._evaluation())

    def _training(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(derived_seed(self.seed, self.epoch))
        turns = -(-self.draws // len(self.rows))
        orders = [self.rows[torch.randperm(len(self.rows), generator=generator)] for _ in range(turns)]
        order = torch.cat(orders)[: self.draws]
        share = order[self.rank :: self.world][: self.draws // self.world]
        return list(share.split(self.batch_size))[: len(self)]

    def _evaluation(self) -> list[Tensor]:
        share = self.rows.tensor_split(self.world)[self.rank]
        return list(share.tensor_split(len(self)))


class BatchLoader(ABC):
    """An iterable of batches that this process makes itself, and that a resumed run takes up where it was left.

    Training batches carry ``"draw"`` besides: the seed of this batch's augmentation, made from seed, epoch, batch and
    process, so that what a batch looks like depends on nothing that went before.

    Args:
        order: Which rows form each batch.
    """

    # Lightning looks at these names: `sampler` gets set_epoch at the start of every epoch.
    batch_sampler = None

    def __init__(self, order: EachCaseOnce) -> None:
        self.sampler = order
        self._served, self._skip = 0, 0

    def __len__(self) -> int:
        return len(self.sampler)

    @abstractmethod
    def batch(self, rows: Tensor, seed: int = 0) -> dict[str, Any]:
        """The cases of these rows; ``seed`` decides what chance decides."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        # A generator: the order is made at the first batch, after Lightning has set the epoch.
        order, skip, self._skip = self.sampler, self._skip, 0
        for number, rows in enumerate(order):
            if number < skip:
                continue
            self._served = number + 1
            draw = derived_seed(order.seed, order.epoch, number, order.rank)
            batch = self.batch(rows, draw)
            if order.shuffle:
                batch["draw"] = draw
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Batches served of the running epoch: Lightning keeps it when it saves in the middle of one."""
        return {"served": self._served}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Leaves out, once, the batches that the saved run had already seen of its epoch."""
        served = int(state.get("served", 0))
        self._skip = served if served < len(self) else 0


class SlicingLoader(BatchLoader):
    """Batches ``{"image", "label", "case"}`` over one tensor of images.

    Args:
        images: ``(N, C, *spatial)``, in memory, memory-mapped, or on the device.
        labels: int64 ``(N,)`` or float32 ``(N, K)``.
        order: Which rows form each batch.
    """

    def __init__(self, images: Tensor, labels: Tensor, order: EachCaseOnce) -> None:
        super().__init__(order)
        self.images, self.labels = images, labels

    def batch(self, rows: Tensor, seed: int = 0) -> dict[str, Any]:
        """The cases of these rows, images as float32."""
        at = rows.to(self.images.device)
        # An index_select copies, so nobody can write into the cohort through a batch.
        return {
            "image": self.images.index_select(0, at).float(),
            "label": self.labels.index_select(0, rows),
            "case": rows,
        }
