"""A cohort as Lightning wants it: prepared once, split without a leak, cut into batches."""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from monai.transforms import MapTransform
from torch import Tensor, nn

from medcnn.data.cache import CachePlan, Prepared, Store, prepare, tally
from medcnn.data.images import FilmFiles, Images
from medcnn.data.leaks import OnLeak, label_conflicts, settle_leaks
from medcnn.data.loader import EachCaseOnce, SlicingLoader, derived_seed
from medcnn.data.spec import spec_of, specs_of
from medcnn.data.split import SPLITS, split_cases
from medcnn.errors import ConfigError

# Where things lie on this machine: paths carry names of patients and users, so no checkpoint holds them.
LOCAL = ("source", "root", "folder", "cache_dir")
_log = logging.getLogger("medcnn.data")


@dataclass(frozen=True)
class Cohort:
    """What a data module reads before anything is decoded.

    Attributes:
        table: One row a case: ``case``, ``patient``, ``split`` ("" where none is given), ``label`` or one column a class,
            then subgroups.
        images: The images, row by row.
        subgroups: Names of the columns that describe groups.
        digest: Name of this table's content; "" derives it from the pixels.
    """

    table: pd.DataFrame
    images: Images
    subgroups: tuple[str, ...] = ()
    digest: str = ""


class CaseDataModule(pl.LightningDataModule):
    """Base of all cohorts. A subclass sets ``classes`` and ``multilabel`` when built and gives ``cohort()``.

    Args:
        preprocess: Fixed transforms of case dicts, run once and kept; part of the checkpoint.
        augment: ``forward(image, generator)`` on training batches, on their device.
        batch_size: Cases in a batch of one process.
        fractions: Shares of the cases for validation and test, where the cohort has no split of its own.
        seed: Decides the split. The order of training follows ``seed_everything`` besides.
        on_leak: What to do where a patient or the same pixels stand in two given splits.
        cache_mb: Memory that prepared images may take; a larger cohort is memory-mapped.
        cache_dir: Folder for prepared images, so that the next run finds them.
        workers: Decoding processes; None for all cores, 0 for this process alone.
        allow_unreadable: Share of the files that may be unreadable.
        store: Number type of prepared images; refused where it would change a value.
        on_device: Keep the whole cohort on the accelerator.
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
        on_device: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=LOCAL, logger=False)
        self.preprocess, self.augment = list(preprocess or []), augment
        self.batch_size, self.fractions, self.seed = batch_size, (fractions[0], fractions[1]), seed
        self.on_leak, self.on_device = on_leak, on_device
        folder = None if cache_dir is None else Path(cache_dir)
        self.plan = CachePlan(store, cache_mb, folder, workers, allow_unreadable)
        self._specs = self._keep_plain_hyperparameters()
        self._prepared: Prepared | None = None
        self._cohort: Cohort | None = None

    def cohort(self) -> Cohort:
        """The table of cases and their images; nothing is decoded yet."""
        raise NotImplementedError

    @property
    def num_outputs(self) -> int:
        """Logits a net gives for this cohort."""
        return len(self.classes)

    # ---- preparing -------------------------------------------------------------------------------------------------

    def prepare_data(self) -> None:
        """With several processes, decodes once for all of them, into a file."""
        if self._shared_by_processes():
            self._prepare(self._read_cohort())

    def setup(self, stage: str | None = None) -> None:
        """Prepares the images and the split, once, whatever the stage."""
        if self._prepared is not None:
            return
        cohort = self._read_cohort()
        prepared = self._prepare(cohort)
        table = cohort.table.iloc[prepared.rows].reset_index(drop=True)
        self._labels = self._label_array(table)
        names = [cohort.images.name(row) for row in prepared.rows]
        given = table["split"].tolist()
        # Films that share pixels are kept together where the split is ours to make; a given split is checked instead.
        splits = split_cases(table["patient"].tolist(), self._labels, self.fractions, self.seed,
                             contents=prepared.contents, given=given)
        self._settled = settle_leaks(splits.tolist(), table["patient"].tolist(), prepared.contents, self.on_leak, names.__getitem__)
        self._conflicts = label_conflicts(prepared.contents, self._labels)
        self.cases = table.assign(split=self._settled.splits)
        self.in_channels = int(prepared.images.shape[1])
        self._rows = {split: torch.from_numpy(np.flatnonzero(self.cases["split"] == split)) for split in SPLITS}
        self._labels_tensor = torch.from_numpy(self._labels)
        self._excluded = tally(prepared.excluded.values())
        self._digest = cohort.digest or _digest(self.cases, prepared.contents, self._labels)
        self._prepared = prepared
        self._report()

    def _read_cohort(self) -> Cohort:
        if self._cohort is None:
            self._cohort = self.cohort()
        return self._cohort

    def _prepare(self, cohort: Cohort) -> Prepared:
        plan = self.plan
        if self._shared_by_processes() and isinstance(cohort.images, FilmFiles) and plan.folder is None:
            plan = replace(plan, folder=Path(".medcnn_cache"))
        spec = None if self._specs is None else {"preprocess": self._specs}
        return prepare(cohort.images, self.preprocess, spec, plan)

    def _shared_by_processes(self) -> bool:
        return self.trainer is not None and self.trainer.world_size > 1

    def _label_array(self, table: pd.DataFrame) -> np.ndarray:
        if self.multilabel:
            return table[list(self.classes)].to_numpy(np.float32, copy=True)
        return table["label"].to_numpy(np.int64, copy=True)

    def _report(self) -> None:
        if self._settled.dropped:
            _log.warning("taken out, because a later split holds the same pixels or patient: %s",
                         ", ".join(f"{count} from {split}" for split, count in self._settled.dropped.items()))
        if self._conflicts:
            one, other = self._conflicts[0]
            _log.warning("%d pairs of cases hold the same pixels under different labels, %s and %s first: see `medcnn audit`",
                         len(self._conflicts), self.cases["case"][one], self.cases["case"][other])

    # ---- what the checkpoint holds ---------------------------------------------------------------------------------

    def _keep_plain_hyperparameters(self) -> list[dict[str, Any]] | None:
        """Replaces live objects by their specification; returns that of ``preprocess``, None where it cannot be told."""
        specs, silent = specs_of(self.preprocess)
        given = self._hparams.get("preprocess")
        if not _plain_specs(given):
            self._hparams["preprocess"] = specs
        elif given:
            # From YAML: what was written there, defaults included, is the better record.
            specs, silent = given, []
        if isinstance(self._hparams.get("augment"), nn.Module):
            self._hparams["augment"] = spec_of(self.augment)
        if silent:
            _log.warning("preprocess holds %s, which cannot tell its arguments: build it with medcnn.data.spec.described or in "
                         "YAML; the checkpoint of this run will not know its preprocessing", ", ".join(silent))
            self._hparams["preprocess"] = None
        self._hparams_initial = type(self._hparams)(self._hparams)
        return None if silent else specs

    # ---- batches ---------------------------------------------------------------------------------------------------

    def train_dataloader(self) -> SlicingLoader:
        """Batches of the training split, in a new order each epoch."""
        if not len(self._rows["train"]):
            raise ConfigError("there are no training cases; expected some with split train")
        return self._loader(self._rows["train"], "train", shuffle=True)

    def val_dataloader(self) -> SlicingLoader | list[Any]:
        """Batches of the validation split; none where it is empty."""
        return self._loader(self._rows["val"], "val") if len(self._rows["val"]) else []

    def test_dataloader(self) -> SlicingLoader:
        """Batches of the test split."""
        if not len(self._rows["test"]):
            raise ConfigError("there are no test cases: give some in the column split, or a test fraction above 0")
        return self._loader(self._rows["test"], "test")

    def predict_dataloader(self) -> SlicingLoader:
        """Batches of the test split, or of every case where there is none."""
        rows = self._rows["test"]
        return self._loader(rows if len(rows) else torch.arange(len(self.cases)), "predict")

    def _loader(self, rows: Tensor, split: str, shuffle: bool = False) -> SlicingLoader:
        assert self._prepared is not None
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)
        chance = derived_seed(self.seed, int(os.environ.get("PL_GLOBAL_SEED", 0)))
        order = EachCaseOnce(rows, self.batch_size, shuffle=shuffle, seed=chance, rank=rank, world=world, split=split)
        return SlicingLoader(self._images(), self._labels_tensor, order)

    def _images(self) -> Tensor:
        assert self._prepared is not None
        if self.on_device and self.trainer is not None and self._prepared.images.device != self.trainer.strategy.root_device:
            self._prepared = replace(self._prepared, images=self._prepared.images.to(self.trainer.strategy.root_device))
        return self._prepared.images

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Augments training batches on their device, from the batch's own seed."""
        draw = batch.pop("draw", None)
        if draw is not None and self.augment is not None and self.trainer is not None and self.trainer.training:
            generator = torch.Generator().manual_seed(draw)
            batch["image"] = self.augment.to(batch["image"].device)(batch["image"], generator)
        return batch

    def fixed_cases(self, split: str, n: int) -> dict[str, Tensor]:
        """The same few cases of a split in every run, the classes in turn: for pictures that are compared over time."""
        rows = self._rows[split].numpy()
        labels = self._labels[rows]
        group = labels if labels.ndim == 1 else (labels > 0.5).argmax(axis=1)
        drawn = sorted(range(len(rows)), key=lambda i: hashlib.blake2b(str(self.cases["case"][rows[i]]).encode()).digest())
        place = pd.Series(group[drawn]).groupby(group[drawn]).cumcount().to_numpy()
        chosen = rows[np.asarray(drawn, dtype=int)[np.lexsort((group[drawn], place))][:n]]
        return SlicingLoader(self._images(), self._labels_tensor, EachCaseOnce(self._rows[split], 1)).batch(torch.from_numpy(chosen))

    # ---- what is known ---------------------------------------------------------------------------------------------

    def class_counts(self, split: str) -> Tensor:
        """Cases of each class: ``(K,)`` for exclusive classes, ``(K, 2)`` negative and positive for several labels."""
        labels = self._labels_tensor[self._rows[split]]
        if self.multilabel:
            return torch.stack([(labels == 0).sum(dim=0), (labels == 1).sum(dim=0)], dim=1)
        return torch.bincount(labels[labels >= 0], minlength=len(self.classes))

    def describe(self) -> dict[str, Any]:
        """What the run records of its data: plain, without a path or an identifier."""
        return {
            "digest": self._digest,
            "splits": {split: self._describe_split(split) for split in SPLITS},
            "proof": self._settled.proof,
            "on_leak": self.on_leak,
            "dropped": self._settled.dropped,
            "excluded": self._excluded,
            "label_conflicts": len(self._conflicts),
            "flags": tally(flag for flags in self._prepared.flags for flag in flags) if self._prepared else {},
        }

    def _describe_split(self, split: str) -> dict[str, Any]:
        cases = self.cases[self.cases["split"] == split]
        counts = self.class_counts(split)
        each = counts[:, 1] if self.multilabel else counts
        return {"cases": len(cases), "patients": int(cases["patient"].nunique()),
                "classes": dict(zip(self.classes, each.tolist(), strict=True))}


def _plain_specs(value: Any) -> bool:
    return value is None or (isinstance(value, Sequence) and all(isinstance(item, dict) for item in value))


def _digest(cases: pd.DataFrame, contents: Sequence[str], labels: np.ndarray) -> str:
    lines = sorted(f"{content} {label} {split}" for content, label, split in
                   zip(contents, labels.tolist(), cases["split"], strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
