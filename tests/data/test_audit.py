"""An audit finds what was planted, and nothing that was not."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medcnn.data.audit import audit
from medcnn.data.audit_report import write_audit
from medcnn.errors import ConfigError


def film(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 50), dtype=np.uint8)).save(path)


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Ten films of six patients; films 1 and 7 are one picture under two labels, 2 and 9 under one."""
    rows = []
    for k in range(10):
        film(tmp_path / f"{k}.png", {7: 1, 9: 2}.get(k, k))
        label = "ill" if k in (2, 5, 6, 7, 8, 9) else "well"
        rows.append(f"{k}.png,{label},P{k % 6},{'train' if k < 8 else 'test'}")
    (tmp_path / "10.png").write_bytes((tmp_path / "0.png").read_bytes()[:300])
    rows.append("10.png,well,P9,train")
    (tmp_path / "m.csv").write_text("\n".join(["path,label,patient,split", *rows]))
    return tmp_path / "m.csv"


def test_copies_conflicts_leaks_patients_and_damage_are_counted(planted: Path) -> None:
    told = audit(planted, workers=0).summary()
    assert told["files"] == 11
    assert sum(told["unreadable"].values()) == 1
    assert told["exact_copies"] == {
        "groups": 2,
        "films_in_groups": 4,
        "surplus_films": 2,
        "pairs": 2,
        "pairs_across_labels": 1,
        "pairs_across_splits": 1,
        "pairs_across_patients": 1,
    }
    patients = {"known": True, "patients": 6, "with_several_films": 4, "films_of_those": 8, "most_films": 2}
    assert told["patients"] == {**patients, "in_several_splits": 2}


def test_the_report_names_the_pairs_and_shows_them(planted: Path, tmp_path: Path) -> None:
    written = write_audit(audit(planted, workers=0), tmp_path / "out")
    copies = pd.read_csv(tmp_path / "out" / "exact_copies.csv")
    assert copies[["first", "second"]].to_numpy().tolist() == [["1.png", "7.png"], ["2.png", "9.png"]]
    assert copies["same_label"].tolist() == [False, True]
    assert pd.read_csv(tmp_path / "out" / "unreadable.csv")["path"].tolist() == ["10.png"]
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["files"] == 11
    sheet = Image.open(tmp_path / "out" / "exact_copies.png")
    assert np.asarray(sheet).std() > 10
    assert tmp_path / "out" / "near_copies.png" in written


def test_a_folder_without_classes_is_audited_for_copies(planted: Path) -> None:
    told = audit(planted.parent, workers=0).summary()
    assert told["exact_copies"]["pairs"] == 2
    assert told["unreadable"]["not_an_image"] >= 1
    assert not told["patients"]["known"]


def test_an_archive_is_audited_across_its_splits(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    parts = {
        f"{split}_images": chance.integers(0, 255, (6, 28, 28), dtype=np.uint8) for split in ("train", "val", "test")
    }
    parts["val_images"][0] = parts["train_images"][3]
    np.savez(tmp_path / "x.npz", **parts, **{f"{split}_labels": np.zeros((6, 1)) for split in ("train", "val", "test")})
    found = audit(tmp_path / "x.npz")
    assert found.summary()["exact_copies"]["pairs_across_splits"] == 1
    write_audit(found, tmp_path / "out")
    assert pd.read_csv(tmp_path / "out" / "exact_copies.csv")["second"].tolist() == ["val 0"]


def test_nothing_to_look_at_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no image"):
        audit(tmp_path)
    with pytest.raises(ConfigError, match="false_pairs is 0"):
        audit(tmp_path, false_pairs=0)


@pytest.mark.slow
@pytest.mark.data
def test_the_chest_folder_has_28_pairs_of_exact_copies_all_within_a_patient(shared_data: Path) -> None:
    told = audit(shared_data / "chest_xray", patient=r"pattern:^(person\d+|(?:NORMAL2-)?IM-\d+)").summary()
    assert told["exact_copies"]["pairs"] == 28
    assert told["exact_copies"]["pairs_across_labels"] == 0
    assert told["near_copies"]["pairs"] == 0


@pytest.mark.parametrize("column", ["patient", "Subject ID"])
def test_a_full_patient_column_tells_the_patients_apart(tmp_path: Path, column: str) -> None:
    for k in range(6):
        film(tmp_path / f"{k}.png", k)
    rows = [f"{k}.png,{k % 2},P{k}" for k in range(6)]
    (tmp_path / "m.csv").write_text("\n".join([f"path,label,{column}", *rows]))
    patients = audit(tmp_path / "m.csv", workers=0).summary()["patients"]
    assert (patients["known"], patients["patients"], patients["with_several_films"]) == (True, 6, 0)


def test_patients_that_nothing_names_are_not_known(tmp_path: Path) -> None:
    for k in range(6):
        film(tmp_path / ("no" if k % 2 else "yes") / f"{k}.png", k)
    assert not audit(tmp_path, workers=0).summary()["patients"]["known"]
    # A pattern that fits no name, and headers that PNG files do not have, name nobody either.
    assert not audit(tmp_path, patient=r"pattern:^(q\d+)", workers=0).summary()["patients"]["known"]
    assert not audit(tmp_path, patient="dicom", workers=0).summary()["patients"]["known"]


def test_labels_that_are_missing_or_misspelled_are_noted(tmp_path: Path) -> None:
    for k in range(4):
        film(tmp_path / f"{k}.png", k)
    (tmp_path / "m.csv").write_text("path,label\n0.png,yes\n1.png,Yes\n2.png,no\n3.png,\n")
    found = audit(tmp_path / "m.csv", workers=0)
    assert found.summary()["labels"] == {"yes": 1, "Yes": 1, "no": 1}
    assert any("yes, Yes seem to be spellings of one class" in note for note in found.notes)
    assert any(note.startswith("1 of 4 cases have no label") for note in found.notes)


def test_a_folder_without_classes_has_patients_and_says_why_no_labels(tmp_path: Path) -> None:
    for k in range(6):
        film(tmp_path / f"p{k // 2}_{k}.png", k)
    found = audit(tmp_path, patient=r"pattern:^(p\d+)_", workers=0)
    assert found.summary()["patients"] == {
        "known": True, "patients": 3, "with_several_films": 3, "films_of_those": 6, "most_films": 2,
        "in_several_splits": 0,
    }  # fmt: skip
    assert found.notes[0].startswith("read without labels: ")


def test_an_archive_names_no_patient(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names no patient"):
        audit(tmp_path / "some.npz", patient="dicom")
