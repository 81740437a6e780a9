"""Whose a case is, by the columns that people name in their own way."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medcnn.errors import ManifestError
from medcnn.io.manifest import Manifest, read_manifest
from medcnn.io.patients import is_known_patient


def table(root: Path, header: str, *rows: str, patient: str | None = None) -> Manifest:
    for row in rows:
        path = root / row.split(",")[0].replace("\\", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(path, format="PNG")
    (root / "m.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    return read_manifest(root / "m.csv", patient=patient)


def groups(found: Manifest) -> list[int]:
    names = found.table["patient"].tolist()
    return [names.index(name) for name in names]


@pytest.mark.parametrize(
    "name",
    ["Patient ID", "subject_id", "patient_id", "PatientID", "Subject", "participant_id", "MRN", "pid", "PATIENT"],
)
def test_the_one_column_that_means_a_patient_is_used(tmp_path: Path, name: str) -> None:
    found = table(tmp_path, f"path,label,{name}", "a.png,0,7", "b.png,1,7", "c.png,1,8")
    assert groups(found) == [0, 0, 2]
    assert found.patients_told
    assert any(name in note for note in found.notes)
    assert name not in found.dropped


def test_two_columns_that_group_alike_are_one_and_others_are_asked_for(tmp_path: Path) -> None:
    rows = ["a.png,0,7,S1", "b.png,1,7,S1", "c.png,1,8,S2"]
    assert groups(table(tmp_path, "path,label,patient_id,subject", *rows)) == [0, 0, 2]
    with pytest.raises(ManifestError, match=r"columns patient_id and subject could name the patient.*column:NAME"):
        table(tmp_path, "path,label,patient_id,subject", *rows[:2], "c.png,1,8,S1")
    found = table(tmp_path, "path,label,patient,subject", "a.png,0,7,", "b.png,1,7,", "c.png,1,8,")
    assert groups(found) == [0, 0, 2]


def test_one_identifier_in_several_spellings_is_one_patient(tmp_path: Path) -> None:
    found = table(tmp_path, "path,label,patient", "a.png,0,7", "b.png,1,7.0", "c.png,1, 7 ", "d.png,0,007", "e.png,0,8")
    assert groups(found) == [0, 0, 0, 3, 4]
    assert any("1 patients differ from another in capitals or leading zeros alone" in note for note in found.notes)


@pytest.mark.parametrize("word", ["", "nan", "NA", "None", "unknown", "N/A"])
def test_a_word_for_unknown_is_no_patient(tmp_path: Path, word: str) -> None:
    found = table(tmp_path, "path,label,patient", f"a.png,0,{word}", f"b.png,1,{word}", "c.png,1,8")
    assert groups(found) == [0, 1, 2]
    assert [is_known_patient(name) for name in found.table["patient"]] == [False, False, True]
    assert found.notes[0].startswith("2 of 3 cases: no patient by column patient")


@pytest.mark.parametrize("path", ["a/b\\c.png", "a\\b\\c.png", ".\\a\\b/c.png"])
def test_slashes_of_either_kind_and_mixed_lead_to_the_file(tmp_path: Path, path: str) -> None:
    found = table(tmp_path, "path,label", f"{path},0", "d.png,1")
    assert found.table["path"].tolist() == ["a/b/c.png", "d.png"]


def test_columns_of_path_label_and_split_have_other_names(tmp_path: Path) -> None:
    found = table(tmp_path, "Filename,Diagnosis,Set,fold", "a.png,AD,Training,1", "b.png,CN,test,2", "c.png,CN,train,1")
    assert found.classes == ("CN", "AD")
    assert found.table["split"].tolist() == ["train", "test", "train"]
    assert found.subgroups == ("fold",)
    for words in ("Filename is read as path", "Diagnosis is read as label", "Set is read as split"):
        assert f"column {words}" in found.notes


def test_ages_with_decimal_commas_describe_groups(tmp_path: Path) -> None:
    rows = [f"{at}.png;{at % 2};{40 + at},5" for at in range(14)]
    for at in range(14):
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / f"{at}.png")
    (tmp_path / "m.csv").write_text("\n".join(["path;label;age", *rows, ";;", ""]), encoding="utf-8-sig")
    found = read_manifest(tmp_path / "m.csv")
    assert found.table["age"].tolist() == [40.5 + at for at in range(14)]


def test_spellings_of_a_group_are_noted(tmp_path: Path) -> None:
    found = table(tmp_path, "path,label,sex", "a.png,0,F", "b.png,1,f", "c.png,1,M", "d.png,0,")
    assert any("column sex: F, f seem to be spellings of one group" in note for note in found.notes)


def test_a_column_that_is_alike_for_all_cases_names_no_patient(tmp_path: Path) -> None:
    rows = [f"{number}.png,{number % 2},chest" for number in range(12)]
    found = table(tmp_path, "path,label,subject", *rows)
    assert not found.patients_told
    assert found.dropped == ("subject",)


def test_a_pattern_that_finds_nobody_gives_way_to_a_column(tmp_path: Path) -> None:
    rows = ["a1.png,0,7", "a2.png,1,7", "b1.png,1,8"]
    with pytest.raises(ManifestError, match=r"no case has a patient by the pattern.*set patient to column:MRN"):
        table(tmp_path, "path,label,MRN", *rows, patient=r"pattern:^(\d+)_")
    alike = table(tmp_path, "path,label,MRN", *rows, patient="pattern:^([ab])")
    assert not any("another way" in note for note in alike.notes)
    other = table(tmp_path, "path,label,MRN", *rows, patient="pattern:^(a1|a2|b)")
    assert any("column MRN groups the cases in another way than the pattern" in note for note in other.notes)
