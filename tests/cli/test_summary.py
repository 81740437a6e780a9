"""``medcnn summary`` on small models made here."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from medcnn.cli.main import main
from medcnn.tasks.build import build
from medcnn.tasks.checkpoint import Product

NETS = {
    2: {"class_path": "medcnn.nets.resnet.ResNet", "init_args": {"widths": [4, 8], "depths": [1, 1]}},
    3: {"class_path": "monai.networks.nets.DenseNet121", "init_args": {"spatial_dims": 3, "in_channels": 1,
                                                                      "out_channels": 2}},
}  # fmt: skip


def product(folder: Path, dims: int, **provenance: Any) -> Path:
    loss = {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {}}
    arguments = {"net": NETS[dims], "loss": loss, "classes": ["normal", "ill"]}
    task = {"class_path": "medcnn.tasks.classification.ClassificationTask", "init_args": arguments}
    Product(
        weights=build(task).state_dict(),
        task=task,
        preprocess=[],
        classes=("normal", "ill"),
        multilabel=False,
        decision=None,
        provenance={"run_id": "", "medcnn_version": "0", "data_digest": "", **provenance},
    ).to_folder(folder)
    return folder


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return product(tmp_path_factory.mktemp("flat") / "product", 2, image_shape=[1, 28, 24])


def test_a_table_fits_and_its_totals_are_those_of_the_net(flat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", str(flat)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert "image    1x28x24 (channels first)" in lines
    first = next(line.split() for line in lines if line.startswith("features.0.0"))
    assert first == ["features.0.0", "Conv2d", "4x28x24", "36", "24.19", "k", "3"]
    assert lines[-1].split()[2:] == [f"{sum(p.numel() for p in build(NETS[2]).parameters()):,}", "368.27", "k"]
    assert next(line for line in lines if line.startswith("classifier")).endswith("all")


def test_a_volume_of_another_size_and_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = product(tmp_path / "product", 3, image_shape=[1, 16, 16, 16])
    out = tmp_path / "told" / "net.json"
    assert main(["summary", str(model), "--size", "[32, 32, 40]", "--out", str(out)]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines()[:-1])) <= 100
    told = json.loads(out.read_text())
    assert told["image_shape"] == [1, 32, 32, 40]
    assert told["parameters"] == sum(p.numel() for p in build(NETS[3]).parameters())
    assert told["multiply_adds"] == sum(layer["multiply_adds"] for layer in told["layers"])
    assert told["layers"][0]["receptive_field"] == [7, 7, 7]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--size", "[28]"], "two whole numbers"),
        (["--size", "[28, 28, 28]"], "images of 2 axes"),
        (["--out", "net.txt"], "ends in .json"),
    ],
)
def test_what_cannot_be_told_is_one_line(
    flat: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["summary", str(flat), *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_model_that_does_not_know_its_size_asks_for_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model = product(tmp_path / "product", 2)
    assert main(["summary", str(model)]) == 2
    assert "--size" in capsys.readouterr().err
    assert main(["summary", str(model), "--size", "[20, 20]"]) == 0
