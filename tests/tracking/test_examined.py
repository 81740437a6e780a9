"""A test is examined as far as the net allows, and what could not be looked into says why."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from tracking_fakes import FakeData, FakeTask

from medcnn.tracking.bench import Bench, spread
from medcnn.tracking.examined import PARTS, examine
from medcnn.tracking.results import outcome_of


class Split:
    """Which rows a split has."""

    def rows(self, split: str) -> Tensor:
        return torch.arange(4)


class WithTraining(FakeData):
    """A data module that also gives its training images as they are."""

    split = Split()

    def loader(self, rows: Tensor, split: str, training: bool) -> list[dict[str, Tensor]]:
        assert not training
        return [{"image": self.images[rows], "label": self.labels[rows], "case": rows}]


def judged(data: pl.LightningDataModule) -> tuple[pl.Trainer, FakeTask]:
    torch.manual_seed(0)  # a net whose units are all dead sees every case alike
    trainer, task = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    ), FakeTask()  # fmt: skip
    trainer.test(task, datamodule=data, verbose=False)
    return trainer, task


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float], list[str]]:
    folder, said = tmp_path_factory.mktemp("examined"), list[str]()
    trainer, task = judged(WithTraining())
    figures = examine(folder, trainer, task, outcome_of(trainer, task, "test"), tell=said.append)
    return folder, figures, said


def test_every_part_leaves_its_table_and_is_announced(examined: tuple[Path, dict[str, float], list[str]]) -> None:
    folder, figures, said = examined
    tables = {path.stem for path in folder.glob("*.csv")}
    assert {"robustness", "shortcuts", "randomization", "embedding", "neighbors"} <= tables
    assert [line.split()[1] for line in said if line.startswith("examining")] == list(PARTS)
    account = json.loads((folder / "examination.json").read_text())
    assert all(account[part]["done"] for part in PARTS)
    assert {"test/shortcuts_flagged", "test/robustness_worst_drop", "test/randomization_similarity"} <= set(figures)


def test_the_map_holds_test_and_training_cases_with_their_groups(
    examined: tuple[Path, dict[str, float], list[str]],
) -> None:
    table = pd.read_csv(examined[0] / "embedding.csv")
    assert table["split"].value_counts().to_dict() == {"test": 12, "train": 4}
    assert table["case"].str.fullmatch("c[0-9a-f]{12}").all()
    assert {"label", "call", "x", "y", "pca1", "group/sex"} <= set(table)
    assert table[["x", "y", "pca1", "pca2", "pca3"]].notna().all(axis=None)


def test_the_map_to_turn_stands_in_one_file_that_fetches_nothing(
    examined: tuple[Path, dict[str, float], list[str]],
) -> None:
    page = (examined[0] / "embedding.html").read_text()
    assert "c00000000000b" in page
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)


def test_the_nearest_training_case_of_a_case_that_was_trained_on_is_itself(
    examined: tuple[Path, dict[str, float], list[str]],
) -> None:
    table = pd.read_csv(examined[0] / "neighbors.csv")
    first = table[table["rank"] == 1].set_index("case")
    known = [f"c{row:012x}" for row in range(4)]
    assert first.loc[known, "neighbor"].tolist() == known
    assert (first["distance"] >= -1e-9).all()


def test_a_part_that_does_not_fit_the_net_is_told_and_costs_the_test_nothing(tmp_path: Path) -> None:
    trainer, task = judged(FakeData())
    task.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    said: list[str] = []
    parts: list[Any] = ["randomization", "neighbors"]
    figures = examine(tmp_path, trainer, task, outcome_of(trainer, task, "test"), parts, said.append)
    assert said[1].startswith("randomization: not done: ")
    account = json.loads((tmp_path / "examination.json").read_text())
    assert "more than one position" in account["randomization"]["reason"]
    assert "no training images" in account["neighbors"]["reason"]
    assert figures == {}


def test_chosen_cases_are_the_same_in_every_test_and_reach_from_first_to_last() -> None:
    assert spread(10, 4).tolist() == [0, 3, 6, 9]
    assert spread(3, 400).tolist() == [0, 1, 2]
    assert spread(0, 5).tolist() == []


def test_a_slow_net_is_asked_about_fewer_cases_and_never_about_too_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, task = judged(FakeData())
    bench = Bench(tmp_path, trainer, task, None)
    clock = iter(np.arange(0.0, 1e6, 16.0))  # 32 cases would be 12 here: 16 s for them
    monkeypatch.setattr("medcnn.tracking.bench.time.perf_counter", lambda: next(clock))
    assert bench.affordable(400, passes=1) == int(90 / (16 / 12))
    assert bench.affordable(400, passes=100) == 50


def test_the_task_is_left_as_it_was(tmp_path: Path) -> None:
    trainer, task = judged(FakeData())
    task.train()
    shares: Any = Bench(tmp_path, trainer, task, None).answer(torch.rand(2, 1, 8, 8))
    assert task.training
    assert shares.shape == (2, 2)
    assert not shares.requires_grad


def test_every_part_says_in_one_line_what_it_found_and_in_how_many_cases(
    examined: tuple[Path, dict[str, float], list[str]],
) -> None:
    folder, figures, said = examined
    told = {line.split(":")[0]: line for line in said if not line.startswith("examining")}
    assert list(told) == list(PARTS)
    value = pd.read_csv(folder / "robustness.csv")["value"][0]
    assert f" {value:.3f}" in told["robustness"]
    assert "(all 12 cases)" in told["robustness"]
    assert "flagged" in told["shortcuts"]
    assert "of 14 checks" in told["shortcuts"]
    assert "with all weights random" in told["randomization"]
    assert f"{100 * figures['test/neighbors_of_the_same_label']:.0f} % of the 5 nearest" in told["neighbors"]
    account = json.loads((folder / "examination.json").read_text())
    assert all(account[part]["sentence"] in told[part] for part in PARTS)


def test_what_takes_long_says_so_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, task = judged(FakeData())
    said: list[str] = []
    bench = Bench(tmp_path, trainer, task, None, said.append)
    clock = iter(np.arange(0.0, 1e6, 6.0))
    monkeypatch.setattr("medcnn.tracking.bench.time.perf_counter", lambda: next(clock))
    assert bench.affordable(5, passes=3) == 5
    assert said == ["  5 of 12 cases, about 8 s"]  # 6 s for 12 cases, and 3 times 5 of them
