"""A cohort of points that needs no file, a small task over it, and a trainer that is quiet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor

from medcnn.tasks.build import build
from medcnn.tasks.classification import ClassificationTask


class Slices:
    """Batches that are slices of tensors; a rank takes every nth case, so ranks may differ by one."""

    def __init__(self, tensors: dict[str, Tensor], size: int, epoch: Callable[[], int] | None = None) -> None:
        self.tensors, self.size, self.epoch = tensors, size, epoch

    def __len__(self) -> int:
        # Every rank must take as many steps as the one with most cases, or it would wait for ever.
        return -(-len(self._own(0)) // self.size)

    def _own(self, rank: int) -> Tensor:
        world = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        order = torch.arange(len(self.tensors["case"]))
        if self.epoch:
            order = torch.randperm(len(order), generator=torch.Generator().manual_seed(self.epoch()))
            return order[: len(order) // world * world][rank::world]
        return order[rank::world]

    def __iter__(self) -> Any:
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        for own in self._own(rank).split(self.size):
            yield {name: tensor[own] for name, tensor in self.tensors.items()}


class PointCohort(pl.LightningDataModule):
    """Two or more overlapping clouds seen as images of 1 x 4 x 4, seeded; -1 or NaN where a label is unknown."""

    def __init__(
        self,
        classes: tuple[str, ...] = ("normal", "effusion"),
        multilabel: bool = False,
        cases: int = 61,
        size: int = 8,
        unknown: int = 3,
        preprocess: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.classes, self.multilabel, self.size = classes, multilabel, size
        self.splits = {split: self._made(cases, unknown, seed) for seed, split in enumerate(("train", "val", "test"))}
        self.cases = pd.DataFrame({"case": [f"c{i:012x}" for i in range(cases)]})

    def _made(self, cases: int, unknown: int, seed: int) -> dict[str, Tensor]:
        chance = torch.Generator().manual_seed(seed)
        count = len(self.classes)
        drift = torch.linspace(-1, 1, 16 * count, dtype=torch.float64).sin().reshape(count, 16).float()
        if self.multilabel:
            label = torch.randint(0, 2, (cases, count), generator=chance).float()
            image = label @ drift + torch.randn(cases, 16, generator=chance)
            label[:unknown, 0] = torch.nan
        else:
            label = torch.randint(0, count, (cases,), generator=chance)
            image = drift[label] + torch.randn(cases, 16, generator=chance)
            label[:unknown] = -1
        return {"image": image.reshape(cases, 1, 4, 4), "label": label, "case": torch.arange(cases)}

    def class_counts(self, split: str) -> Tensor:
        label = self.splits[split]["label"]
        if self.multilabel:
            return torch.stack([(label == 0).sum(0), (label == 1).sum(0)], dim=1)
        return torch.bincount(label[label >= 0], minlength=len(self.classes))

    def describe(self) -> dict[str, Any]:
        return {"digest": "d" * 64}

    def train_dataloader(self) -> Slices:
        # Asked at every pass: a resumed training builds its loader before it knows its epoch.
        return Slices(self.splits["train"], self.size, epoch=lambda: self.trainer.current_epoch)

    def val_dataloader(self) -> Slices:
        return Slices(self.splits["val"], self.size)

    def test_dataloader(self) -> Slices:
        return Slices(self.splits["test"], self.size)

    predict_dataloader = test_dataloader


def recipe(classes: tuple[str, ...] = ("normal", "effusion"), **changes: Any) -> dict[str, Any]:
    """What a config would say of a small task."""
    net = {
        "class_path": "monai.networks.nets.Regressor",
        "init_args": {
            "in_shape": [1, 4, 4],
            "out_shape": [len(classes)],
            "channels": [4],
            "strides": [2],
            "num_res_units": 0,
            "norm": "batch",
        },
    }
    loss = {
        "class_path": "medcnn.losses.weighted_cross_entropy.WeightedCrossEntropy",
        "init_args": {"weight": "balanced"},
    }
    arguments = {"net": net, "loss": loss, "classes": list(classes)} | changes
    return {"class_path": "medcnn.tasks.classification.ClassificationTask", "init_args": arguments}


def made_task(*args: Any, **changes: Any) -> ClassificationTask:
    """The same task every time."""
    torch.manual_seed(0)
    return build(recipe(*args, **changes))


def quiet_trainer(folder: Path, **changes: Any) -> pl.Trainer:
    """A trainer on the CPU that writes nothing but checkpoints."""
    settings: dict[str, Any] = {
        "max_epochs": 2, "accelerator": "cpu", "devices": 1, "logger": False, "enable_progress_bar": False,
        "enable_model_summary": False, "default_root_dir": folder, "enable_checkpointing": False,
        "use_distributed_sampler": False, "num_sanity_val_steps": 0,
    }  # fmt: skip
    return pl.Trainer(**settings | changes)
