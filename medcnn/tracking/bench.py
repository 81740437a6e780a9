"""A trained task and its test cases, laid out to be examined: chosen cases as batches, features, room for files."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from medcnn.explain.embedding import embed
from medcnn.tracking.results import batch_of

BATCH = 32
#: Cases whose features are compared, of the test and of the training.
MOST_EMBEDDED = 2000
#: What one part of the examination may take on this machine, by the pace of its first batch.
SECONDS = 90.0
FEWEST = 50
#: Seconds from which it is said how long a part may take.
LONG = 5.0


class Told(NamedTuple):
    """What a part of an examination found: figures for the run, and a line for whoever waits."""

    figures: Mapping[str, float]
    sentence: str


def _unheard(line: str) -> None:
    """Where nobody waits."""


@dataclass(eq=False)
class Bench:
    """What an examination needs of a test that is over.

    Attributes:
        folder: Where the files go.
        trainer: With the data module.
        task: With its net; in evaluation mode while it is asked.
        found: The evaluation, as ``outcome_of`` or ``scores_of`` read it.
        tell: Takes a line on what a part looks at and how long that may take.
    """

    folder: Path
    trainer: pl.Trainer
    task: Any
    found: Any
    tell: Callable[[str], object] = _unheard

    @cached_property
    def numbers(self) -> Tensor:
        """The data module's numbers of the test cases, in the order of ``found``."""
        return self.task.evaluated["test"]["cases"]

    def chosen(self, most: int) -> NDArray[np.int64]:
        """Up to ``most`` rows of ``found``, evenly spread over it: the same in every test of the same cases."""
        return spread(len(self.numbers), most)

    def batches(self, rows: NDArray[np.int64]) -> Iterator[dict[str, Tensor]]:
        """The test cases of these rows, on the device of the task.

        Raises:
            ValueError: Some are with another process.
        """
        for part in np.array_split(rows, -(-len(rows) // BATCH)) if len(rows) else ():
            batch = batch_of(self.trainer, self.numbers[part], "test")
            if batch is None:
                raise ValueError("some test cases are with another process: run `medcnn test` on one device")
            yield self._there(batch)

    def answer(self, images: Tensor) -> Tensor:
        """Calibrated probabilities of prepared images, float32."""
        was_training = self.task.training
        self.task.eval()
        with torch.no_grad(), torch.autocast(self.task.device.type, enabled=False):
            shares = self.task.answer(images.to(self.task.device, self.task.dtype)).float()
        self.task.train(was_training)
        return shares

    def answer_voxels(self, images: Tensor) -> Tensor:
        """Probabilities at every voxel of whole prepared images."""
        was_training = self.task.training
        self.task.eval()
        with torch.no_grad(), torch.autocast(self.task.device.type, enabled=False):
            shares = self.task.answer(images.to(self.task.device, self.task.dtype))
        self.task.train(was_training)
        return shares

    def affordable(self, most: int, passes: int) -> int:
        """How many cases can be asked ``passes`` times within ``SECONDS``: at most ``most``, at least ``FEWEST``."""
        images = next(self.batches(self.chosen(BATCH)))["image"]
        self.answer(images[:1])
        start = time.perf_counter()
        self.answer(images)
        each = (time.perf_counter() - start) / len(images)
        affordable = int(np.clip(SECONDS / max(each * passes, 1e-9), min(FEWEST, most), most))
        if (seconds := min(affordable, len(self.numbers)) * each * passes) > LONG:
            self.tell(f"  {self.share(affordable)}, about {seconds:.0f} s")
        return affordable

    def share(self, cases: int) -> str:
        """How many of the test cases are looked at: ``400 of 624 cases``."""
        whole = len(self.numbers)
        return f"{cases:,} of {whole:,} cases" if cases < whole else f"all {whole:,} cases"

    @cached_property
    def features(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows of test cases, and what the net makes of each before its last layer ``(n, D)``."""
        rows = self.chosen(self.affordable(MOST_EMBEDDED, 1))
        return rows, self._embedded(self.batches(rows))

    @cached_property
    def training(self) -> tuple[Tensor, NDArray[np.float64]]:
        """Numbers of training cases as they are, without augmentation, and their features.

        Raises:
            ValueError: The data module does not give them so.
        """
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        if not hasattr(data, "loader") or not hasattr(data, "split"):
            raise ValueError("the data module gives no training images without augmentation")
        numbers = data.split.rows("train")
        if not len(numbers):
            raise ValueError("there are no training cases in this cohort")
        numbers = numbers[spread(len(numbers), self.affordable(MOST_EMBEDDED, 1))]
        batches = (self._there(batch) for batch in data.loader(numbers, "train", training=False))
        return numbers, self._embedded(batches)

    def _there(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {**batch, "image": batch["image"].to(self.task.device, self.task.dtype)}

    def _embedded(self, batches: Iterator[Mapping[str, Tensor]]) -> NDArray[np.float64]:
        found = [embed(self.task.net, batch["image"]).cpu().double().numpy() for batch in batches]
        return np.concatenate(found)


def spread(n: int, most: int) -> NDArray[np.int64]:
    """Up to ``most`` of the numbers below ``n``, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64)) if n else np.zeros(0, np.int64)
