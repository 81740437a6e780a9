"""Radiographs from folders and tables."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medcnn.data.xray import ChestXrayDataModule
from medcnn.errors import ConfigError, LeakError


def film(path: Path, seed: int, size: int = 12) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size, size), dtype=np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in range(20):
        film(tmp_path / ("normal" if k % 2 else "ill") / f"p{k // 4 * 2 + k % 2}_{k}.png", k)
    return tmp_path


def test_class_folders_are_read_and_the_pattern_tells_the_patient(folder: Path) -> None:
    data = ChestXrayDataModule(folder, patient=r"pattern:^(p\d+)_", fractions=(0.2, 0.2), workers=0)
    data.setup()
    assert data.classes == ("normal", "ill")
    assert data.cases["patient"].nunique() == 10
    assert data.cases.groupby("patient")["split"].nunique().max() == 1


def test_a_copy_under_another_name_falls_on_the_same_side(folder: Path) -> None:
    for k in range(6):
        film(folder / "normal" / f"copy{k}.png", 1)
    data = ChestXrayDataModule(folder, fractions=(0.3, 0.3), workers=0)
    data.setup()
    assert data.describe()["proof"]["contents_shared"] == 0


def test_a_given_split_that_leaks_is_refused_and_both_files_are_named(folder: Path) -> None:
    film(folder / "again.png", 3)
    rows = ["normal/p1_3.png,normal,train", "ill/p0_0.png,ill,train", "again.png,normal,test", "ill/p0_2.png,ill,test"]
    (folder / "m.csv").write_text("\n".join(["path,label,split", *rows]))
    with pytest.raises(LeakError, match=r"normal/p1_3\.png \(train\) and again\.png \(test\) hold the same pixels"):
        ChestXrayDataModule(folder / "m.csv", workers=0, fractions=(0.0, 0.0)).setup()
    data = ChestXrayDataModule(folder / "m.csv", workers=0, on_leak="drop", fractions=(0.0, 0.0))
    data.setup()
    assert data.describe()["dropped"] == {"train": 1}


def test_films_of_unequal_size_are_refused_with_the_remedy(folder: Path) -> None:
    film(folder / "normal" / "zz.png", 99, size=15)
    with pytest.raises(ConfigError, match=r"normal/zz\.png is 1x15x15 .* add an AreaResized"):
        ChestXrayDataModule(folder, workers=0).setup()


def test_a_source_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file or folder: gone\.csv"):
        ChestXrayDataModule(tmp_path / "gone.csv")


def test_where_nothing_tells_patients_none_are_counted(folder: Path) -> None:
    silent = ChestXrayDataModule(folder, fractions=(0.2, 0.2), workers=0)
    silent.setup()
    told = silent.describe()
    assert told["patients_told"] is False
    assert not silent.patients_told
    assert "patient" not in str({name: told[name] for name in ("splits", "proof")})
    named = ChestXrayDataModule(folder, patient=r"pattern:^(p\d+)_", fractions=(0.2, 0.2), workers=0)
    named.setup()
    assert named.describe()["patients_told"] is True
    assert sum(part["patients"] for part in named.describe()["splits"].values()) == 10
    assert named.describe()["proof"]["patients_shared"] == 0


def test_a_pattern_that_names_one_patient_of_many_tells_patients(folder: Path) -> None:
    for pattern, told in ((r"pattern:^(p3)_", True), (r"pattern:^(q\d+)_", False)):
        data = ChestXrayDataModule(folder, patient=pattern, fractions=(0.2, 0.2), workers=0)
        data.setup()
        assert data.patients_told is told
