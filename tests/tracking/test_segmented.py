"""A segmentation's run shows its fixed, best and worst cases, and the table behind its figures."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from medcnn.metrics.classification import Summary
from medcnn.tracking.casework import patients_of
from medcnn.tracking.examined import examine
from medcnn.tracking.segmented import cases_of, overlays_of_fixed_cases, scores_of, write_scores


class FakeSegmentation(pl.LightningModule):
    """Calls bright voxels a ball."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = ("background", "ball")
        dice = torch.tensor([[0.4], [float("nan")], [0.9]], dtype=torch.float64)
        self.evaluated = {
            "val": {"cases": torch.tensor([5, 1, 3]), "loss": torch.zeros(3), "dice": dice, "truth_mm3": dice * 0 + 8,
                    "nsd": dice * float("nan")}
        }  # fmt: skip
        self.summaries = {"val": Summary({"dice": 0.65, "hd95_mm": float("nan")}, {"hd95_mm": "not measured"})}

    def predict(self, image: Tensor) -> Tensor:
        assert not self.training
        return torch.stack([1 - image[0, 0], image[0, 0]])


class FakeVolumes(pl.LightningDataModule):
    """Six volumes of which no two are alike in size."""

    def __init__(self) -> None:
        super().__init__()
        self.cases = pd.DataFrame({"case": [f"c{row:012x}" for row in range(6)]})

    def _case(self, number: int) -> dict[str, Tensor]:
        mask = torch.zeros(4 + number, 5, 6, dtype=torch.int64)
        mask[1:3, 1:4, 2:4] = 1
        return {"image": mask[None].float(), "mask": mask, "affine": torch.eye(4), "case": torch.tensor(number)}

    def val_dataloader(self) -> list[dict[str, Tensor]]:
        return [{name: value[None] for name, value in self._case(number).items()} for number in range(6)]

    def fixed_cases(self, split: str, n: int) -> list[dict[str, Tensor]]:
        return [self._case(number) for number in range(n)]


@pytest.fixture
def trainer() -> pl.Trainer:
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer._data_connector.attach_datamodule(FakeSegmentation(), FakeVolumes())
    return trainer


def test_results_are_tables_and_pictures_of_the_best_and_the_worst(trainer: pl.Trainer, tmp_path: Path) -> None:
    task = FakeSegmentation()
    scores = scores_of(trainer, task, "val")
    assert scores is not None
    write_scores(tmp_path, trainer, task, scores, "val", 2)
    assert {path.name for path in tmp_path.iterdir()} == {
        "cases.csv", "summary.json", "dice.png", "best_cases.png", "worst_cases.png",
    }  # fmt: skip
    table = pd.read_csv(tmp_path / "cases.csv")
    assert list(table.columns) == ["case", "class", "dice", "truth_mm3"]  # what was not measured has no column
    assert table["case"].tolist() == ["c000000000005", "c000000000001", "c000000000003"]
    assert json.loads((tmp_path / "summary.json").read_text())["values"] == {"dice": 0.65, "hd95_mm": None}


def test_the_fixed_cases_are_drawn_with_the_net_at_rest_and_left_as_it_was(trainer: pl.Trainer) -> None:
    task = FakeSegmentation().train()
    picture = overlays_of_fixed_cases(trainer, task, 3, epoch=4)
    assert picture is not None
    assert picture.ndim == 3
    assert np.ptp(picture) > 0
    assert task.training


def test_chosen_cases_are_found_in_their_loader_whatever_their_size(trainer: pl.Trainer) -> None:
    found = cases_of(trainer, [4, 0], "val")
    assert {number: tuple(case["mask"].shape) for number, case in found.items()} == {4: (8, 5, 6), 0: (4, 5, 6)}


def test_a_task_that_keeps_no_dice_has_no_scores(trainer: pl.Trainer) -> None:
    task = FakeSegmentation()
    assert scores_of(trainer, task, "test") is None
    task.evaluated["val"] = {"cases": torch.tensor([1]), "logits": torch.zeros(1, 2)}
    assert scores_of(trainer, task, "val") is None
    assert overlays_of_fixed_cases(trainer, pl.LightningModule(), 2, 0) is None


def test_a_table_names_no_patient_where_the_data_knows_none(trainer: pl.Trainer) -> None:
    data = trainer.datamodule
    data.cases["patient"] = [f"p{row:012x}" for row in range(6)]
    rows = torch.tensor([5, 1])
    assert patients_of(trainer, rows) == ["p000000000005", "p000000000001"]
    data.patients_told = False
    assert patients_of(trainer, rows) is None


def test_a_segmentation_says_what_worse_images_cost_it(trainer: pl.Trainer, tmp_path: Path) -> None:
    task, data = FakeSegmentation(), trainer.datamodule
    task.evaluated["test"] = task.evaluated["val"]
    task.answer = lambda image: torch.cat([1 - image, image], 1)  # type: ignore[assignment]
    data.test_dataloader = data.val_dataloader
    said: list[str] = []
    examine(tmp_path, trainer, task, scores_of(trainer, task, "test"), ["robustness", "shortcuts"], said.append)
    value = pd.read_csv(tmp_path / "robustness.csv")["value"]
    assert said[1].startswith("robustness: Dice falls most at ")
    assert f"from 1.000 to {value.min():.3f} (all 3 cases)" in said[1]
    assert said[3] == "shortcuts: not done: only models that give one answer a case are examined so"
