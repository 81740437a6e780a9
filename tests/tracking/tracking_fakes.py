"""A cohort of a few pixels and a task that learns it in milliseconds."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader


class FakeDecision(NamedTuple):
    """A threshold of a half."""

    thresholds: dict[str, float]

    def call(self, shares: Tensor, classes: list[str], multilabel: bool = False) -> list[str]:
        return [classes[int(share >= self.thresholds[classes[1]])] for share in shares[:, 1]]

    def to_dict(self) -> dict[str, Any]:
        return {"thresholds": self.thresholds}


class FakeTask(pl.LightningModule):
    """Tells bright squares from dark ones."""

    def __init__(self, lr: float = 0.1, explode_at: int | None = None, error: type[BaseException] = ValueError) -> None:
        super().__init__()
        self.save_hyperparameters("lr")
        self.net = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        )
        self.classes, self.multilabel = ("normal", "pneumonia"), False
        self.decision = FakeDecision({"pneumonia": 0.5})
        self.evaluated: dict[str, dict[str, Tensor]] = {}
        self.lr, self.explode_at, self.error = lr, explode_at, error
        self._seen: list[tuple[Tensor, ...]] = []

    def forward(self, image: Tensor) -> Tensor:
        return self.net(image)

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.softmax(dim=1)

    def answer(self, images: Tensor) -> Tensor:
        return self.probabilities(self(images))

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        if self.explode_at == self.current_epoch:
            raise self.error("boom")
        return nn.functional.cross_entropy(self(batch["image"]), batch["label"])

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        self._seen.append((self(batch["image"]), batch["label"], batch["case"]))

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        self._conclude("val")

    def on_test_epoch_end(self) -> None:
        self._conclude("test")

    def _conclude(self, stage: str) -> None:
        logits, labels, cases = (torch.cat(part) for part in zip(*self._seen, strict=True))
        self._seen.clear()
        self.evaluated[stage] = {"logits": logits, "labels": labels, "cases": cases}
        self.log(f"{stage}/loss", nn.functional.cross_entropy(logits, labels))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class FakeData(pl.LightningDataModule):
    """Twelve squares of eight pixels, a half of them bright."""

    def __init__(self) -> None:
        super().__init__()
        self.labels = torch.arange(12) % 2
        self.images = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + self.labels.view(
            -1, 1, 1, 1
        )
        self.cases = pd.DataFrame({
            "case": [f"c{row:012x}" for row in range(12)],
            "patient": [f"p{row // 2:012x}" for row in range(12)],
            "split": "test",
            "label": self.labels.numpy(),
            "sex": ["f", "m"] * 6,
        })  # fmt: skip

    def _batches(self) -> DataLoader:
        batches = [{"image": self.images[r], "label": self.labels[r], "case": r} for r in torch.arange(12).split(4)]
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]

    train_dataloader = val_dataloader = test_dataloader = _batches

    def fixed_cases(self, split: str, n: int) -> dict[str, Tensor]:
        rows = torch.arange(n)
        return {"image": self.images[rows], "label": self.labels[rows], "case": rows}

    def describe(self) -> dict[str, Any]:
        counts = {"cases": 12, "patients": 12, "classes": {"normal": 6, "pneumonia": 6}}
        return {"digest": "d" * 64, "splits": {"train": counts, "val": counts}, "on_leak": "refuse"}


def fit_with(logger: Any, record: pl.Callback, task: pl.LightningModule | None = None, epochs: int = 2) -> pl.Trainer:
    """A training of a few milliseconds."""
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, logger=logger, callbacks=[record], enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=1, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(task or FakeTask(), datamodule=FakeData())
    return trainer


def stored_bytes(folder: Path) -> dict[str, bytes]:
    """Everything that a store and its artifacts hold, file by file, names included."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def write_product(folder: Path, classes: tuple[str, ...] = ("normal", "pneumonia")) -> Path:
    """What a product folder holds, as far as tracking looks at it."""
    folder.mkdir(parents=True)
    described = {"classes": list(classes), "multilabel": False, "provenance": {"image_shape": [1, 8, 8]}}
    (folder / "product.json").write_text(json.dumps(described))
    (folder / "weights.safetensors").write_bytes(np.arange(100, dtype=np.uint8).tobytes())
    return folder
