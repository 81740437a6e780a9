"""What every cohort has in common under Lightning: plain hyperparameters, loaders by split, chance by seed."""

import logging
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from monai.transforms import MapTransform
from pytorch_lightning.utilities.parsing import AttributeDict
from torch import Tensor, nn

from medcnn.data.cache import CachePlan, Store, own_cache
from medcnn.data.cohort import SplitCohort
from medcnn.data.leaks import OnLeak
from medcnn.data.loader import BatchLoader, EachCaseOnce, derived_seed
from medcnn.data.share import check_share
from medcnn.data.spec import spec_of, specs_of
from medcnn.errors import ConfigError

# Where things lie on this machine: paths carry names of patients and users, so no checkpoint holds them.
LOCAL = ("source", "root", "folder", "cache_dir")
_log = logging.getLogger("medcnn.data")


class CohortDataModule(pl.LightningDataModule):
    """Base of all cohorts: prepared once, split without a leak, cut into batches.

    A subclass sets ``classes`` and ``multilabel`` when built, and gives ``setup``, ``loader`` and ``augmented``.

    Args:
        preprocess: Fixed transforms of case dicts, run once and kept; part of the checkpoint.
        augment: ``forward(image, generator)`` on training batches, on their device.
        batch_size: Cases in a batch of one process.
        fractions: Shares of the cases for validation and test, where the cohort has no split of its own.
        seed: Decides the split. The order of training follows ``seed_everything`` besides.
        on_leak: What to do where a patient or the same pixels stand in two given splits.
        cache_mb: Memory that prepared images may take; a larger cohort is memory-mapped.
        cache_dir: Folder for prepared images, so that the next run finds them. By default those that do not
            fit into memory, or that several processes share, are in ``~/.cache/medcnn`` (or ``XDG_CACHE_HOME``).
        workers: Decoding processes; None for all cores, 0 for this process alone.
        allow_unreadable: Share of the files that may be unreadable.
        store: Number type of prepared images; refused where it would change a value.
        train_share: Share of the training cases to train on, by patient and stratified; a smaller share lies within a
            larger one. Validation and test stay whole.

    Attributes:
        classes: Names of the classes, known when built.
        multilabel: True where a case may have several, known when built.
        in_channels: Channels of an image.
    """

    classes: tuple[str, ...] = ()
    multilabel: bool = False
    in_channels: int = 1

    def __init__(
        self,
        preprocess: list[MapTransform] | None = None,
        augment: nn.Module | None = None,
        batch_size: int = 64,
        fractions: tuple[float, float] = (0.15, 0.15),
        seed: int = 0,
        on_leak: OnLeak = "refuse",
        cache_mb: float = 2048,
        cache_dir: Path | None = None,
        workers: int | None = None,
        allow_unreadable: float = 0.05,
        store: Store = "float32",
        train_share: float = 1.0,
    ) -> None:
        super().__init__()
        with warnings.catch_warnings():
            # Lightning would rather not store modules; what is stored here is how to build them.
            warnings.filterwarnings("ignore", message=".*is an instance of `nn.Module`")
            self.save_hyperparameters(ignore=LOCAL, logger=False)
        self.preprocess, self.augment = list(preprocess or []), augment
        self.batch_size, self.fractions, self.seed = batch_size, (fractions[0], fractions[1]), seed
        self.on_leak, self.train_share = on_leak, check_share(train_share)
        folder = None if cache_dir is None else Path(cache_dir)
        self.plan = CachePlan(store, cache_mb, folder, workers, allow_unreadable)
        self._specs = self._keep_plain_hyperparameters()
        self._split: SplitCohort | None = None

    @property
    def num_outputs(self) -> int:
        """Logits that a net gives for this cohort."""
        return len(self.classes)

    @property
    def cases(self) -> pd.DataFrame:
        """One row a case after ``setup``; its number is ``batch["case"]``. No path is in it."""
        return self.split.cases

    @property
    def split(self) -> SplitCohort:
        """The cases after ``setup``, split and checked."""
        if self._split is None:
            raise ValueError("the cohort is not prepared: call setup() first")
        return self._split

    @property
    def patients_told(self) -> bool:
        """Whether anything told the patients apart, after ``setup``; if not, each case has one of its own."""
        return self.split.patients_told

    @property
    def seen_names(self) -> list[str]:
        """Name of each case by its content, after ``setup``; the same on every machine."""
        return self.split.seen_names()

    @property
    def seen_patients(self) -> list[str]:
        """Name of each case's patient within the cohort, after ``setup``; "" where it is not known."""
        return self.split.seen_patients()

    def loader(self, rows: Tensor, split: str, training: bool) -> BatchLoader:
        """Batches of these rows."""
        raise NotImplementedError

    def augmented(self, batch: dict[str, Any], augment: nn.Module, generator: torch.Generator) -> dict[str, Any]:
        """A training batch after augmentation."""
        raise NotImplementedError

    def _keep_plain_hyperparameters(self) -> list[dict[str, Any]] | None:
        """Replaces live objects by how to build them; returns that of ``preprocess``, None where it cannot be told."""
        given = self._hparams.get("preprocess")
        # From YAML, Lightning hands over what was written there, defaults included: the better record.
        if isinstance(given, list) and all(isinstance(item, dict) for item in given):
            specs, silent = given, list[str]()
        else:
            specs, silent = specs_of(self.preprocess)
        if silent:
            _log.warning(
                "preprocess holds %s, which cannot tell how to build it: use medcnn.data.spec.described or YAML; "
                "a checkpoint of this run will not know its preprocessing",
                ", ".join(silent),
            )
        self._hparams["preprocess"] = None if silent else specs
        if isinstance(self._hparams.get("augment"), nn.Module):
            self._hparams["augment"] = spec_of(self.augment)
        self._hparams_initial = AttributeDict(self._hparams)
        return None if silent else specs

    def _shared_by_processes(self) -> bool:
        return self.trainer is not None and self.trainer.world_size > 1

    def _plan_for_files(self) -> CachePlan:
        """Where images decoded from files go: with several processes into a file, which all of them read."""
        shared = self._shared_by_processes() and self.plan.folder is None
        return replace(self.plan, folder=own_cache()) if shared else self.plan

    def train_dataloader(self) -> BatchLoader:
        """Batches of the training split, in a new order each epoch."""
        return self._loader("train", "there are no training cases; expected some with split train", training=True)

    def val_dataloader(self) -> BatchLoader | list[Any]:
        """Batches of the validation split; none where it is empty."""
        return self._loader("val", "") if len(self.split.rows("val")) else []

    def test_dataloader(self) -> BatchLoader:
        """Batches of the test split."""
        return self._loader(
            "test", "there are no test cases: mark some in the column split, or raise the test fraction"
        )

    def predict_dataloader(self) -> BatchLoader:
        """Batches of the test split."""
        return self._loader("test", "there are no test cases to predict: mark some in the column split")

    def _loader(self, split: str, if_empty: str, training: bool = False) -> BatchLoader:
        rows = self.split.rows(split)
        if not len(rows):
            raise ConfigError(if_empty)
        return self.loader(rows, split, training)

    def order(
        self, rows: Tensor, batch_size: int, split: str, training: bool, draws: int | None = None
    ) -> EachCaseOnce:
        """Which of these rows form each batch of this process."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)
        chance = derived_seed(self.seed, int(os.environ.get("PL_GLOBAL_SEED", "0")))
        return EachCaseOnce(
            rows, batch_size, shuffle=training, seed=chance, rank=rank, world=world, split=split, draws=draws
        )

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Augments training batches on their device, from the batch's own seed."""
        draw = batch.pop("draw", None)
        if draw is not None and self.augment is not None and self.trainer is not None and self.trainer.training:
            generator = torch.Generator().manual_seed(draw)
            return self.augmented(batch, self.augment.to(batch["image"].device), generator)
        return batch

    def class_counts(self, split: str) -> Tensor:
        """How much there is of each class in a split; a subclass says of what."""
        return self.split.class_counts(split)

    def describe(self) -> dict[str, Any]:
        """What a run records of its data: plain, without a path or an identifier."""
        share = {} if self.train_share == 1 else {"train_share": self.train_share, "left_out": self.split.left_out}
        return {**self.split.describe(), "on_leak": self.on_leak, **share}
