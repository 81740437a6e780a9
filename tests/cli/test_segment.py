"""``medcnn segment`` from the command line: DICOM in, segmentations, a table and pictures out."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from segment_product import ball, make_product, oblique, truth

from medcnn.cli.main import main
from medcnn.io.seg import read_seg
from medcnn.io.series_write import write_enhanced, write_series


@pytest.fixture
def model(tmp_path: Path) -> Path:
    make_product().to_folder(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A series in shuffled files, an enhanced file, and a NIfTI file."""
    folder = tmp_path / "source"
    names = [f"IM{(7 * number) % ball(0).shape[0]:03d}" for number in range(len(ball(0)))]
    write_series(folder / "scan", ball(0), oblique(), names=names, PatientName="Doe^Jane", PatientID="P17")
    write_enhanced(folder / "enhanced.dcm", ball(1), oblique())
    nib.save(nib.Nifti1Image(ball(2), oblique()), folder / "plain.nii.gz")
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_volume_gets_its_mask_in_the_kind_it_came_in(
    model: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["segment", str(model), str(source), str(out), "--nifti", "true", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "3 segmented" in said
    assert not {"Doe", "P17", "scan", "plain"} & set(said.replace("/", " ").split())
    found = sorted(out.rglob("s*.dcm"))
    assert len(found) == 2
    volumes = []
    for path in found:
        labels, affine = read_seg(path)
        beside = nib.load(path.with_suffix(".nii.gz"))
        # Slices are read along their normal, whichever way they were written.
        whole = np.asarray(beside.dataobj)
        whole = whole if np.allclose(beside.affine, oblique(), atol=1e-3) else whole[::-1]
        number = next(number for number in (0, 1) if np.array_equal(whole, truth(ball(number))))
        volumes.append(number)
        for value in (1, 2):
            here = affine[:3] @ [*np.argwhere(labels == value).mean(0), 1]
            there = oblique()[:3] @ [*np.argwhere(truth(ball(number)) == value).mean(0), 1]
            assert np.allclose(here, there, atol=0.01)
    assert sorted(volumes) == [0, 1]
    assert np.array_equal(np.asarray(nib.load(out / "plain.nii.gz").dataobj), truth(ball(2)))
    cases = {row["case"] for row in table(out / "volumes.csv")}
    assert cases == {str(path.relative_to(out).with_suffix("")) for path in found} | {"plain"}
    rows = {row["path"]: row for row in table(out / "volumes.csv")}
    assert set(rows) == {"scan", "enhanced.dcm", "plain.nii.gz"}
    written = pydicom.dcmread(next((source / "scan").iterdir()))
    assert (rows["scan"]["study"], rows["scan"]["series"]) == (written.StudyInstanceUID, written.SeriesInstanceUID)
    assert all((source / row["path"]).exists() for row in rows.values())
    for case in cases:
        with Image.open(out / "pictures" / f"{case}.png") as picture:
            assert picture.width > 500


def test_a_second_start_finds_nothing_to_do(
    model: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["segment", str(model), str(source), str(tmp_path / "out"), "--pictures", "false"]
    assert main(words) == 0
    assert main(words) == 0
    assert "nothing was new" in capsys.readouterr().out
    assert not (tmp_path / "out" / "pictures").exists()


def test_an_incomplete_header_is_flagged_and_a_gap_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    write_series(source / "good", ball(0), oblique())
    write_series(source / "nowhere", ball(1), oblique(), FrameOfReferenceUID=None)
    for path in write_series(source / "gap", ball(2), oblique())[4:6]:
        path.unlink()
    assert main(["segment", str(model), str(source), str(out)]) == 3
    assert "2 segmented" in capsys.readouterr().out
    assert [row["reason"] for row in table(out / "skipped.csv")] == ["gaps"]
    assert json.loads((out / "summary.json").read_text())["failed"] == 1
    flags = {row["path"]: row["flags"] for row in table(out / "volumes.csv")}
    assert "seg_without_FrameOfReferenceUID" in flags["nowhere"]
    assert "seg_without" not in flags["good"]
    assert len(list((out / "nowhere").glob("s*.dcm"))) == 1


@pytest.mark.parametrize(
    ("words", "told"), [(["--workers", "0"], "workers"), (["--device", "tpu"], "device"), ([], "nothing is at SOURCE")]
)
def test_a_mistake_is_told_in_a_line(
    words: list[str], told: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(model), str(tmp_path / "none"), str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
