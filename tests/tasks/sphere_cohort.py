"""Balls in noise on grids that are oblique and unequal, and a small task over them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from medcnn.tasks.build import build
from medcnn.tasks.segmentation import SegmentationTask

CLASSES = ("background", "small", "large")
TASK = "medcnn.tasks.segmentation.SegmentationTask"


class TwoConvolutions(nn.Module):
    """Two convolutions; while training it also answers at half the size, as deep supervision wants it."""

    def __init__(self, out_channels: int = 3, deep: bool = False, spatial_dims: int = 3) -> None:
        super().__init__()
        convolution: Any = nn.Conv3d if spatial_dims == 3 else nn.Conv2d
        pool: Any = nn.AvgPool3d if spatial_dims == 3 else nn.AvgPool2d
        self.body = nn.Sequential(convolution(1, 8, 5, padding=2), nn.ReLU(), convolution(8, out_channels, 1))
        self.deep, self.pool = deep, pool(2)

    def forward(self, image: Tensor) -> Any:
        logits = self.body(image)
        return [logits, self.pool(logits)] if self.training and self.deep else logits


def ball_case(number: int, size: tuple[int, ...] = (14, 12, 10)) -> dict[str, Tensor]:
    """A dim small ball and a bright large one, in noise; the affine is oblique and unequal."""
    chance = np.random.default_rng(number)
    axes = np.meshgrid(*[np.arange(n) for n in size], indexing="ij")
    mask = np.zeros(size, dtype=np.int64)
    for value, radius, share in ((1, 2.2, 0.27), (2, 3.2, 0.68)):
        middle = [share * n + chance.uniform(-0.5, 0.5) for n in size]
        mask[sum((a - m) ** 2 for a, m in zip(axes, middle, strict=True)) <= radius**2] = value
    image = mask + 0.15 * chance.standard_normal(size)
    affine = torch.eye(4, dtype=torch.float64)
    turn = torch.tensor([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    affine[:3, :3] = turn @ torch.diag(torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64))
    return {
        "image": torch.tensor(image, dtype=torch.float32)[None, None], "mask": torch.tensor(mask)[None],
        "case": torch.tensor([number]), "affine": affine[None],
    }  # fmt: skip


class Cases:
    """Whole cases one by one; a rank takes every nth."""

    def __init__(self, cases: list[dict[str, Tensor]]) -> None:
        self.cases = cases

    def __len__(self) -> int:
        world = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        return -(-len(self.cases) // world)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        ready = torch.distributed.is_initialized()
        rank, world = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if ready else (0, 1)
        return iter(self.cases[rank::world])


class SphereCohort(pl.LightningDataModule):
    """Eight cases to learn from and five to be judged by, of two sizes."""

    def __init__(self, cases: int = 5, preprocess: list[dict[str, Any]] | None = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.classes = CLASSES
        self.learned = [ball_case(100 + n) for n in range(8)]
        self.judged = [ball_case(n, (14, 12, 10) if n % 2 else (11, 15, 12)) for n in range(cases)]
        splits = ["val"] * cases + ["train"] * 8
        self.cases = pd.DataFrame({"case": [f"c{n:012x}" for n in range(len(splits))], "split": splits})

    def class_counts(self, split: str) -> Tensor:
        return torch.bincount(torch.cat([case["mask"].flatten() for case in self.learned]), minlength=3)

    def describe(self) -> dict[str, Any]:
        return {"digest": "d" * 64}

    def train_dataloader(self) -> Any:
        batches = [
            {name: torch.cat([case[name] for case in pair]) for name in ("image", "mask", "case")}
            for pair in (self.learned[:4], self.learned[4:])
        ]
        return torch.utils.data.DataLoader(batches * 4, batch_size=None)  # type: ignore[arg-type]

    def val_dataloader(self) -> Any:
        return Cases(self.judged)

    test_dataloader = predict_dataloader = val_dataloader


def net_recipe(**arguments: Any) -> dict[str, Any]:
    return {"class_path": "sphere_cohort.TwoConvolutions", "init_args": arguments}


def made_segmentation(**changes: Any) -> SegmentationTask:
    """The same task every time; its net is ours, so the caller allows this module."""
    torch.manual_seed(0)
    arguments = {
        "net": net_recipe(),
        "loss": {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {"ignore_index": -1}},
        "classes": list(CLASSES),
        "optimizer": lambda groups: torch.optim.AdamW(groups, lr=0.03),
    } | changes
    return build({"class_path": TASK, "init_args": arguments}, allow=("sphere_cohort",))
