"""A cohort of images of one shape, each with its labels, as Lightning wants it."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from medcnn.data.base import CohortDataModule
from medcnn.data.cache import Prepared, prepare
from medcnn.data.cohort import Cohort, split_cohort
from medcnn.data.images import ArrayImages
from medcnn.data.loader import SlicingLoader


class CaseDataModule(CohortDataModule):
    """Base of all cohorts whose cases are classified. A subclass sets ``classes`` and ``multilabel`` when built and
    gives ``cohort()``.

    Args:
        on_device: Keep the whole cohort on the accelerator.
        **common: What every cohort takes; see ``CohortDataModule``.
    """

    def __init__(self, on_device: bool = False, **common: Any) -> None:
        super().__init__(**common)
        self.on_device = on_device
        self._read: Cohort | None = None
        self._prepared: Prepared | None = None

    def cohort(self) -> Cohort:
        """The table of cases and their images; nothing is decoded yet."""
        raise NotImplementedError

    def prepare_data(self) -> None:
        """With several processes, decodes once for all of them, into a file."""
        if self._shared_by_processes():
            self._prepare()

    def setup(self, stage: str | None = None) -> None:
        """Prepares the images and the split, once, whatever the stage."""
        if self._prepared is not None:
            return
        cohort, prepared = self._prepare()
        self._split = split_cohort(
            cohort, prepared, self.classes, self.multilabel, self.fractions, self.seed, self.on_leak, self.train_share
        )
        self._prepared = prepared
        self.in_channels = int(prepared.images.shape[1])

    def _prepare(self) -> tuple[Cohort, Prepared]:
        self._read = self._read or self.cohort()
        plan = self.plan if isinstance(self._read.images, ArrayImages) else self._plan_for_files()
        return self._read, prepare(self._read.images, self.preprocess, self._specs, plan)

    def loader(self, rows: Tensor, split: str, training: bool) -> SlicingLoader:
        """Batches of these rows, cut from all images."""
        order = self.order(rows, self.batch_size, split, training)
        return SlicingLoader(self._images(), self.split.labels, order)

    def _images(self) -> Tensor:
        prepared = self._prepared
        assert prepared is not None
        if self.on_device and self.trainer is not None:
            prepared = replace(prepared, images=prepared.images.to(self.trainer.strategy.root_device))
            self._prepared = prepared
        return prepared.images

    def augmented(self, batch: dict[str, Any], augment: nn.Module, generator: torch.Generator) -> dict[str, Any]:
        """The batch with its images augmented."""
        return {**batch, "image": augment(batch["image"], generator)}

    def fixed_cases(self, split: str, n: int) -> dict[str, Tensor]:
        """The same few cases of a split in every run, the classes in turn: for pictures compared over time."""
        rows, images = self.split.fixed_rows(split, n), self._images()
        return {
            "image": images.index_select(0, rows.to(images.device)).float(),
            "label": self.split.labels[rows],
            "case": rows,
        }

    def class_counts(self, split: str) -> Tensor:
        """Cases of each class ``(K,)``, or negatives and positives of each finding ``(K, 2)``."""
        return super().class_counts(split)
