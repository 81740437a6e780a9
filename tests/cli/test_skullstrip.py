"""``medcnn skullstrip`` from the command line: heads in, brains, masks, figures and pictures out."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medcnn.cli.main import main
from medcnn.data.phantom_head import draw_head, oblique_affine
from medcnn.io.seg import read_seg
from medcnn.io.series_write import write_series


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head as NIfTI, one as a DICOM series, one without a brain, a cut file, and a text."""
    folder = tmp_path_factory.mktemp("heads")
    image, mask, _, affine = draw_head(oblique_affine((2.0, 2.5, 2.2), (2, 0, 1), (1, -1, 1)))
    np.save(folder / ".truth.npy", mask)
    nib.save(nib.Nifti1Image(image.astype(np.int16), affine), folder / "doe_jane.nii.gz")
    (folder / "cut.nii.gz").write_bytes((folder / "doe_jane.nii.gz").read_bytes()[:20_000])
    (folder / "notes.txt").write_text("nothing of a scan")
    image, _, _, affine = draw_head(oblique_affine((2.5, 2.5, 2.5), (1, 2, 0)), seed=1)
    write_series(folder / "series", image.astype(np.int16), affine, PatientName="Doe^Jane", PatientID="P17")
    image, _, _, affine = draw_head(oblique_affine((3.0, 3.0, 3.0)), brain=False)
    nib.save(nib.Nifti1Image(image.astype(np.int16), affine), folder / "empty.nii.gz")
    return folder


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as stream:
        return {row["case" if "case" in row else "path"]: row for row in csv.DictReader(stream)}


def test_a_folder_of_heads_becomes_brains_figures_and_reasons(
    heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["skullstrip", str(heads), str(out), "--seg", "true"]) == 3
    said = capsys.readouterr().out
    assert "2 stripped, 1 skipped, 2 failed" in said
    assert not {"doe", "Doe", "P17"} & set(said.replace("/", " ").replace("_", " ").split())

    mask, source = nib.load(out / "doe_jane_mask.nii.gz"), nib.load(heads / "doe_jane.nii.gz")
    found, truth = np.asarray(mask.dataobj) > 0, np.load(heads / ".truth.npy")
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.93
    assert np.array_equal(mask.affine, source.affine)
    brain = np.asarray(nib.load(out / "doe_jane_brain.nii.gz").dataobj)
    assert np.array_equal(brain, np.where(found, np.asarray(source.dataobj), 0))

    quality = table(out / "quality.csv")
    assert quality["doe_jane"]["good"] == "yes"
    assert float(quality["doe_jane"]["volume_ml"]) == pytest.approx(found.sum() * 2.0 * 2.5 * 2.2 / 1000, rel=0.03)
    assert quality["empty"]["good"] == "no"
    reasons = {name: row["reason"] for name, row in table(out / "skipped.csv").items()}
    assert reasons == {"cut.nii.gz": "truncated", "notes.txt": "not_an_image", "empty.nii.gz": "skullstrip_failed"}
    # A doubtful strip leaves a picture to look at, and nothing that could be taken for a mask.
    assert not list(out.glob("empty*"))
    for name in ("doe_jane", "empty"):
        assert Image.open(out / "pictures" / f"{name}.png").width > 500
    assert json.loads((out / "summary.json").read_text())["failed"] == 2


def test_a_series_also_gets_a_segmentation_on_its_own_grid(heads: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["skullstrip", str(heads / "series"), str(out), "--seg", "true", "--pictures", "false"]) == 0
    (mask,) = out.rglob("s*_mask.nii.gz")
    (seg,) = out.rglob("s*_mask.dcm")
    labels, affine = read_seg(seg)
    found = nib.load(mask)
    voxels = np.asarray(found.dataobj)
    here = np.argwhere(labels == 1).mean(0) @ affine[:3, :3].T + affine[:3, 3]
    there = np.argwhere(voxels == 1).mean(0) @ found.affine[:3, :3].T + found.affine[:3, 3]
    assert (labels == 1).sum() == (voxels == 1).sum()
    assert np.allclose(here, there, atol=0.01)
    assert not (out / "pictures").exists()


def test_a_second_start_strips_nothing_again_and_a_doubtful_mask_is_written_on_request(
    heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["skullstrip", str(heads / "empty.nii.gz"), str(out), "--pictures", "false"]
    assert main(words) == 3
    assert main(words) == 3
    assert "nothing was new" in capsys.readouterr().out
    assert main([*words, "--retry", "true", "--keep_doubtful", "true"]) == 3
    assert (out / "empty_mask.nii.gz").exists()


def test_a_source_that_is_not_there_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["skullstrip", str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "medcnn skullstrip: nothing is at SOURCE: give a folder of heads, or one head\n"
