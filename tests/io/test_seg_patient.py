"""Patient attributes from the wild: what is valid reaches the segmentation, the rest is named by its keyword."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from oblique_grids import grid, marked
from pydicom.dataset import Dataset

from medcnn.io.read import read_volume
from medcnn.io.seg import SegmentLabel, write_seg
from medcnn.io.seg_patient import patient_module
from medcnn.io.series_write import write_series

NAMES = [
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    (["GB18030"], "Wang^XiaoDong=王^小东"),
    (["GBK"], "Wang^XiaoDong=王^小东"),
    (["ISO_IR 192"], "Müller^Jürgen=山^川"),
    (["ISO_IR 100"], "Müller^Jürgen"),
    (["ISO_IR 144"], "Люкceмбypг"),
    ([""], "Plain^Name"),
    ([], "no caret"),
]


def sound(folder: Path, **elements: Any) -> Path:
    """A series of four slices of somebody; the names of the others are held back."""
    for path in write_series(folder, marked(), grid()):
        image = pydicom.dcmread(path)
        image.PatientID, image.StudyID, image.StudyTime = "P-17", "1", "101112"
        for keyword, value in elements.items():
            setattr(image, keyword, value)
        image.save_as(path)
    return folder


def written(folder: Path) -> tuple[Dataset, tuple[str, ...]]:
    volume = read_volume(folder)
    labels = (volume.voxels > 50).astype(np.uint8)
    left_out = write_seg(folder / "seg.dcm", labels, volume, {1: SegmentLabel.of("brain")})
    return pydicom.dcmread(folder / "seg.dcm"), left_out


def patch(folder: Path, old: bytes, new: bytes) -> None:
    for path in folder.iterdir():
        data = path.read_bytes()
        assert data.count(old) == 1
        path.write_bytes(data.replace(old, new))


@pytest.mark.parametrize(("charset", "name"), NAMES)
def test_names_of_every_script_survive(tmp_path: Path, charset: list[str], name: str) -> None:
    made, left_out = written(sound(tmp_path, SpecificCharacterSet=charset, PatientName=name))
    assert left_out == ()
    assert str(made.PatientName) == name
    assert made.SpecificCharacterSet == "ISO_IR 192"
    if shutil.which("dciodvfy"):
        told = subprocess.run(["dciodvfy", tmp_path / "seg.dcm"], capture_output=True, text=True, check=False)
        assert "Error" not in told.stderr


def test_chinese_names_with_escapes_survive(tmp_path: Path) -> None:
    # The example of the standard, PS3.5 annex K.
    stored = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab= "
    folder = sound(tmp_path, SpecificCharacterSet=["", "ISO 2022 IR 58"], PatientName="x" * len(stored))
    patch(folder, b"x" * len(stored), stored)
    made, left_out = written(folder)
    assert left_out == ()
    assert str(made.PatientName).rstrip("=") == "Zhang^XiaoDong=张^小东"


UNUSUAL = [
    ("PatientBirthDate", b"19700101", b"00000000"),
    ("PatientBirthDate", b"19700101", b"1970.1.1"),
    ("PatientSex", b"F ", b"D "),
    ("StudyDate", b"20240203", b"2024-2-3"),
    ("StudyTime", b"101112", b"10:11 "),
    ("PatientID", b"P-17", b"P\x1b17"),
    ("PatientName", b"Doe^Jane", b"D\xf6e^Jane"),
]


@pytest.mark.parametrize(("keyword", "old", "new"), UNUSUAL)
def test_an_invalid_value_is_left_out_and_named_by_keyword(
    tmp_path: Path, keyword: str, old: bytes, new: bytes
) -> None:
    values = {"PatientName": "Doe^Jane", "PatientBirthDate": "19700101", "PatientSex": "F", "StudyDate": "20240203"}
    folder = sound(tmp_path, **values)
    patch(folder, old, new)
    made, left_out = written(folder)
    assert left_out == (keyword,)
    assert made[keyword].value in ("", None)
    assert sum(str(made[one].value) == value for one, value in values.items()) == 4 - (keyword in values)


def test_long_values_are_left_out_and_missing_ones_are_empty(tmp_path: Path) -> None:
    header = Dataset()
    header.PatientID, header.PatientName = "x" * 65, "a" * 65 + "^b"
    header.AccessionNumber, header.StudyID = "12345678901234567", ["1", "2"]
    assert set(patient_module(header).left_out) == {"PatientID", "PatientName", "AccessionNumber", "StudyID"}
    folder = sound(tmp_path)
    for path in folder.iterdir():
        image = pydicom.dcmread(path)
        for keyword in ("PatientID", "StudyID", "StudyDate", "StudyTime", "SliceThickness", "SeriesNumber"):
            if keyword in image:
                del image[keyword]
        image.save_as(path)
    made, left_out = written(folder)
    assert left_out == ("SliceThickness",)
    assert made.StudyDate == made.PatientID == ""


def test_a_misspelled_character_set_keeps_plain_names(tmp_path: Path) -> None:
    folder = sound(tmp_path, SpecificCharacterSet="ISO_IR 100", PatientName="Doe^Jane")
    patch(folder, b"ISO_IR 100", b"ISO-XX-100")
    made, left_out = written(folder)
    assert left_out == ()
    assert str(made.PatientName) == "Doe^Jane"
