"""MedMNIST: official splits, official files, and a plain word where there is no network."""

import hashlib
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medcnn.data import medmnist
from medcnn.data.medmnist import MedMnistDataModule, fetch
from medcnn.data.medmnist_files import COLLECTIONS, MedMnist, file_name, parse_name
from medcnn.errors import ConfigError


def archive(path: Path, shape: tuple[int, ...], labels: int = 1) -> Path:
    chance = np.random.default_rng(0)
    parts: dict[str, Any] = {}
    for split, n in (("train", 9), ("val", 4), ("test", 5)):
        parts[f"{split}_images"] = chance.integers(0, 255, (n, *shape), dtype=np.uint8)
        parts[f"{split}_labels"] = (np.arange(n * labels) % 2).reshape(n, labels).astype(np.uint8)
    np.savez(path, **parts)
    return path


@pytest.mark.parametrize(
    ("shape", "expected"), [((28, 28), (1, 28, 28)), ((28, 28, 3), (3, 28, 28)), ((12, 12, 12), (1, 12, 12, 12))]
)
def test_grey_color_and_volumes_come_channel_first(
    shape: tuple[int, ...], expected: tuple[int, ...], tmp_path: Path
) -> None:
    data = MedMnistDataModule(archive(tmp_path / "x.npz", shape), batch_size=9)
    data.setup()
    (batch,) = data.train_dataloader()
    assert batch["image"].shape == (9, *expected)
    stored = np.load(tmp_path / "x.npz")["train_images"][int(batch["case"][0])]
    assert np.array_equal(batch["image"][0].numpy(), stored.transpose(2, 0, 1) if shape[-1] == 3 else stored[None])
    assert [len(data.cases[data.cases["split"] == split]) for split in ("train", "val", "test")] == [9, 4, 5]
    assert (data.in_channels, data.num_outputs, data.multilabel) == (expected[0], 2, False)


def test_the_positive_class_is_second_whatever_its_number(tmp_path: Path) -> None:
    data = MedMnistDataModule(archive(tmp_path / "breastmnist.npz", (28, 28)))
    data.setup()
    assert data.classes == ("normal, benign", "malignant")
    published = np.concatenate([np.load(data.path)[f"{split}_labels"][:, 0] for split in ("train", "val", "test")])
    assert data.cases["label"].tolist() == [1 - int(number) for number in published]  # there 0 is malignant
    assert MedMnistDataModule("pneumoniamnist", folder=tmp_path, positive="normal").classes == ("pneumonia", "normal")
    # Where the names do not decide, label 1 is the positive one, as the collections are evaluated.
    assert MedMnistDataModule("synapsemnist3d", folder=tmp_path).classes[1] == "excitatory synapse"
    with pytest.raises(ConfigError, match="expected one of the classes"):
        MedMnistDataModule("pneumoniamnist", folder=tmp_path, positive="covid")


def test_several_columns_of_labels_are_several_findings(tmp_path: Path) -> None:
    data = MedMnistDataModule(archive(tmp_path / "x.npz", (8, 8), labels=3))
    data.setup()
    assert data.multilabel
    assert data.class_counts("train").sum(dim=1).tolist() == [9, 9, 9]
    assert next(iter(data.val_dataloader()))["label"].dtype.is_floating_point


def test_a_name_tells_the_classes_before_anything_is_fetched(tmp_path: Path) -> None:
    data = MedMnistDataModule("pneumoniamnist_64", folder=tmp_path)
    assert data.classes == ("normal", "pneumonia")
    assert data.path == tmp_path / "pneumoniamnist_64.npz"


def test_without_a_network_one_line_names_the_file_the_checksum_and_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(medmnist.urllib.request, "urlopen", refuse)
    with pytest.raises(ConfigError) as raised:
        MedMnistDataModule("pneumoniamnist", folder=tmp_path).prepare_data()
    told = str(raised.value)
    assert all(word in told for word in ("pneumoniamnist.npz", "28209eda62fecd6e6a2d98b1501bb15f", str(tmp_path)))
    assert "\n" not in told


def test_a_file_arrives_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    official = archive(tmp_path / "official.npz", (8, 8))
    monkeypatch.setattr(medmnist.urllib.request, "urlopen", lambda *_, **__: official.open("rb"))
    home = tmp_path / "home"
    monkeypatch.setitem(COLLECTIONS, "tinymnist", MedMnist(("a", "b"), {28: "0" * 32}))
    with pytest.raises(ConfigError, match="arrived with MD5"):
        fetch("tinymnist", 28, home)
    assert list(home.iterdir()) == []
    md5 = hashlib.md5(official.read_bytes()).hexdigest()
    monkeypatch.setitem(COLLECTIONS, "tinymnist", MedMnist(("a", "b"), {28: md5}))
    assert fetch("tinymnist", 28, home).read_bytes() == official.read_bytes()


def test_a_file_that_is_not_the_official_one_is_refused_under_its_name(tmp_path: Path) -> None:
    archive(tmp_path / "pneumoniamnist.npz", (8, 8))
    with pytest.raises(ConfigError, match="the official file has 28209eda"):
        MedMnistDataModule("pneumoniamnist", folder=tmp_path).prepare_data()


def test_what_is_neither_a_file_nor_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"expected an \.npz file or one of"):
        MedMnistDataModule("pneumonia")
    assert parse_name("pneumoniamnist_65") is None
    assert all(
        parse_name(file_name(name, size)[:-4]) == (name, size) for name, it in COLLECTIONS.items() for size in it.md5
    )


@pytest.mark.data
def test_the_official_adrenal_file_has_its_checksum(shared_data: Path) -> None:
    for size in (28, 64):
        assert fetch("adrenalmnist3d", size, shared_data / "medmnist").is_file()


@pytest.mark.data
def test_repeats_in_the_pneumonia_splits_are_taken_out_of_training(shared_data: Path) -> None:
    data = MedMnistDataModule(shared_data / "medmnist" / "pneumoniamnist.npz")
    data.setup()
    told = data.describe()
    assert told["dropped"] == {"train": 10}
    assert told["proof"] == {"contents_shared": 0, "checked": 5846}
    assert (told["splits"]["val"]["cases"], told["splits"]["test"]["cases"]) == (524, 624)


def test_no_patient_is_claimed_where_the_file_names_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = MedMnistDataModule(archive(tmp_path / "x.npz", (8, 8)))
    data.setup()
    told = data.describe()
    assert (told["patients_told"], told["splits"]["train"]["cases"]) == (False, 9)
    assert all("patients" not in part for part in told["splits"].values())
    assert "patients_shared" not in told["proof"]
    assert caplog.text.count("18 of 18 cases: MedMNIST tells no patient") == 1
