"""``medcnn inspect``: what is there, and what would be skipped and why."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from oblique_grids import grid, marked
from PIL import Image

from medcnn.cli.main import main
from medcnn.io.dicom_write import write_film
from medcnn.io.series_write import write_enhanced, write_series


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two series, an enhanced file, a gap, two NIfTI files, a film, a picture and what is none of them."""
    given = {"PatientName": "Secret^Name", "PatientID": "secret", "SeriesDescription": "secret"}
    write_series(tmp_path / "t1", marked(), grid(), **given)
    write_series(tmp_path / "ct", marked(), grid((0, 1, 2), degrees=(0.0, 0.0, 0.0)), modality="CT", **given)
    write_enhanced(tmp_path / "enhanced.dcm", marked(), grid(), **given)
    write_series(tmp_path / "gap", marked((6, 5, 4), (2, 1, 3)), grid(), **given)[2].unlink()
    agreeing = nibabel.Nifti1Image(marked(), grid())
    agreeing.set_qform(grid(), 1)
    nibabel.save(agreeing, tmp_path / "a.nii.gz")
    agreeing.set_qform(grid(origin=(0.0, 0.0, 0.0)), 1)
    nibabel.save(agreeing, tmp_path / "b.nii.gz")
    write_film(tmp_path / "film.dcm", np.arange(20, dtype=np.uint16).reshape(4, 5), patient_id="secret")
    Image.fromarray(np.zeros((7, 8), np.uint8)).save(tmp_path / "picture.png")
    for number in range(5):
        (tmp_path / f"notes{number}.txt").write_text("words")
    (tmp_path / "._film.dcm").write_bytes(b"AppleDouble")
    return tmp_path


def test_every_file_is_told_once(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(mixed), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    kinds = [one["kind"] for one in told["images"]]
    assert (kinds.count("series"), kinds.count("nifti"), kinds.count("film")) == (3, 2, 2)
    files = sum(one["files"] for one in [*told["images"], *told["skipped"]])
    assert files + told["hidden"] == len([path for path in mixed.rglob("*") if path.is_file()])
    ct = next(one for one in told["images"] if one["modality"] == "CT")
    assert ct["shape"] == [4, 5, 6]
    assert ct["spacing_mm"] == pytest.approx([2.5, 0.9, 0.7])
    assert ct["path"] == "ct"
    assert ct["study"].replace(".", "").isdigit()
    assert ct["series"].replace(".", "").isdigit()
    assert all((mixed / one["path"]).exists() for one in [*told["images"], *told["skipped"]])
    assert (ct["dtype"], ct["low"], ct["high"]) == ("int16", 0, 1000)
    assert ct["orientation"].startswith("sagittal ")
    assert (ct["photometric"], ct["syntax"]) == ("MONOCHROME2", "Explicit VR Little Endian")


def test_the_text_groups_what_is_skipped_by_reason_and_tells_no_patient(
    mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(mixed)]) == 0
    told = capsys.readouterr().out
    assert "secret" not in told.lower()
    assert str(mixed) not in told
    assert "3 DICOM series" in told
    assert "1 hidden files or folders ignored" in told
    assert "qform and sform agree" in told
    assert "qform and sform disagree, sform is used" in told
    assert "10 files would be skipped" in told
    assert "5  not_an_image" in told
    assert "notes0.txt, notes1.txt, notes2.txt, ..." in told
    assert "5  gaps" in told
    assert "2.50 to 5.00 mm" in told


def test_files_are_told_by_their_place_and_pairs_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("images/a_0000", "images/a_0001", "images/b", "images/c", "labels/a", "labels/b", "labels/d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(marked(), grid()), tmp_path / f"{name}.nii.gz")
    assert main(["inspect", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "  images/b.nii.gz " in told
    assert "  labels/b.nii.gz " in told
    assert "pairs of image and label: 2, by the names of 3 images and 3 labels" in told


def test_one_file_is_enough(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(mixed / "enhanced.dcm")]) == 0
    assert "4 x 5 x 6  2.5 x 0.9 x 0.7 mm" in capsys.readouterr().out


def test_nothing_there_is_a_mistake_that_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "absent")]) == 2
    assert main(["inspect", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "nothing is at" in told
    assert "holds no files" in told


def test_a_name_cannot_forge_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for name in ("a\nforged.png", "b\x1b[2J.png", "c.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "d\nforged.dcm").write_bytes(b"")
    assert main(["inspect", str(tmp_path)]) in (0, 3)
    out = capsys.readouterr().out
    assert not [line for line in out.splitlines() if line.lstrip().startswith("forged")]
    rows = [line for line in out.splitlines() if "8 x 8" in line]
    assert len(rows) == 3
    assert len({line.index("8 x 8") for line in rows}) == 1, "columns are aligned"
