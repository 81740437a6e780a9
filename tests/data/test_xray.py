"""Radiographs from folders and tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medcnn.data.audit import audit
from medcnn.data.xray import ChestXrayDataModule
from medcnn.errors import ConfigError, LeakError
from medcnn.io.dicom_write import write_film
from medcnn.tasks.seen import Seen


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


def split_of_contents(source: Path, **settings: Any) -> dict[str, str]:
    data = ChestXrayDataModule(source, workers=0, **settings)
    data.setup()
    return dict(zip(data.split.contents, data.cases["split"], strict=True))


@pytest.mark.parametrize("settings", [{"fractions": (0.2, 0.2)}, {"fractions": (0.2, 0.2), "train_share": 0.5}])
def test_a_copied_cohort_is_split_alike_on_every_machine(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    before = split_of_contents(folder, patient=r"pattern:(p\d+)_", **settings)
    assert not list(folder.rglob(".*"))  # nothing is left in the folder of a cohort
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    rows = []
    for number, path in enumerate(sorted(folder.rglob("*.png"), key=lambda path: path.name[::-1])):
        pixels = np.asarray(Image.open(path))
        name = f"scan {number}.dcm" if number % 2 else f"{number}.tif"
        if number % 2:
            write_film(elsewhere / name, pixels)
        else:
            Image.fromarray(pixels).save(elsewhere / name)
        rows.append(f"{name},{path.parent.name},{path.name.split('_')[0].upper()}")
    (elsewhere / "m.csv").write_text("\n".join(["path,label,patient", *rows]))
    monkeypatch.setenv("MEDCNN_KEY", str(elsewhere / "other.key"))
    assert split_of_contents(elsewhere / "m.csv", **settings) == before


def test_a_renamed_and_reencoded_training_film_is_recognized(folder: Path, tmp_path: Path) -> None:
    data = ChestXrayDataModule(folder, fractions=(0.2, 0.2), workers=0)
    data.setup()
    seen = Seen.in_training(data)
    other = tmp_path / "other"
    other.mkdir()
    for number, path in enumerate(sorted(folder.glob("*/*.png"))):
        write_film(other / f"{number}.dcm", np.asarray(Image.open(path)))
    rows = [f"{number}.dcm,{number % 2},test" for number in range(20)]
    (other / "m.csv").write_text("\n".join(["path,label,split", *rows]))
    copy = ChestXrayDataModule(other / "m.csv", workers=0)
    copy.setup()
    assert seen.overlap(copy, "test")[:2] == (20, int((data.cases["split"] == "train").sum()))
    assert not any(content in str(seen) for content in data.split.contents)


def test_further_films_of_a_trained_patient_are_recognized(folder: Path) -> None:
    pattern = r"pattern:^(p\d+)_"
    data = ChestXrayDataModule(folder, patient=pattern, fractions=(0.2, 0.2), workers=0)
    data.setup()
    seen = Seen.in_training(data)
    assert not seen.overlap(data, "test")
    for number in range(10):
        film(folder / ("normal" if number % 2 else "ill") / f"p{number}_new.png", 100 + number)
    for path in folder.glob("*/p*_[0-9]*.png"):
        path.unlink()
    later = ChestXrayDataModule(folder, patient=pattern, fractions=(0.0, 0.9), workers=0)
    later.setup()
    found = seen.overlap(later, "test")
    assert found.trained == 0 < found.patients


def test_two_cohorts_that_number_their_patients_alike_share_none(tmp_path: Path) -> None:
    modules = []
    for place in ("north", "south"):
        rows = []
        for number in range(8):
            film(tmp_path / place / f"{number}.png", number + 50 * (place == "south"))
            rows.append(f"{number}.png,{number % 2},{number}")
        (tmp_path / place / "m.csv").write_text("\n".join(["path,label,patient", *rows]))
        data = ChestXrayDataModule(tmp_path / place / "m.csv", workers=0, fractions=(0.25, 0.25))
        data.setup()
        modules.append(data)
    assert modules[0].cases["patient"].tolist() == modules[1].cases["patient"].tolist()
    assert not Seen.in_training(modules[0]).overlap(modules[1], "test")


def test_the_positive_class_is_given_recognized_or_asked_for(folder: Path) -> None:
    assert ChestXrayDataModule(folder, positive="normal").classes == ("ill", "normal")
    (folder / "ill").rename(folder / "virus")
    (folder / "normal").rename(folder / "bacteria")
    with pytest.raises(ConfigError, match=r"bacteria and virus.*--data\.init_args\.positive"):
        ChestXrayDataModule(folder)
    assert ChestXrayDataModule(folder, positive="bacteria").classes == ("virus", "bacteria")
    assert audit(folder, workers=0).summary()["labels"] == {"bacteria": 10, "virus": 10}


def test_the_digest_knows_no_path_no_order_and_no_seed_but_every_label(folder: Path) -> None:
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    rows = [f"{path},{path.split('/')[0]}" for path in paths]

    def digest(rows: list[str], seed: int = 0) -> str:
        (folder / "m.csv").write_text("\n".join(["path,label", *rows]))
        data = ChestXrayDataModule(folder / "m.csv", seed=seed, fractions=(0.2, 0.2), workers=0)
        data.setup()
        return str(data.describe()["digest"])

    first = digest(rows)
    assert digest(rows[::-1], seed=1) == first
    (folder / paths[0]).rename(folder / "renamed.png")
    assert digest([rows[0].replace(paths[0], "renamed.png"), *rows[1:]]) == first
    assert digest([rows[0].replace(f"{paths[0]},ill", "renamed.png,normal"), *rows[1:]]) != first
