"""A folder of volumes becomes masks on their own grid, a table, and a reason for all else."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from segment_product import CLASSES, ball, make_product, oblique, read_or_end, truth

from medcnn.errors import CheckpointError, MedcnnError
from medcnn.io.volume import Volume
from medcnn.scoring.segment import SegmentOptions, segment_folder
from medcnn.scoring.workers import warm_up

RESAMPLED = (
    {"class_path": "monai.transforms.Orientationd", "init_args": {"keys": ["image", "mask"], "axcodes": "RAS"}},
    {"class_path": "monai.transforms.Spacingd",
     "init_args": {"keys": ["image", "mask"], "pixdim": [1.0, 1.0, 1.0], "mode": ["bilinear", "nearest"]}},
    {"class_path": "monai.transforms.SpatialPadd",
     "init_args": {"keys": ["image", "mask"], "spatial_size": [40, 40, 40]}},
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm_up()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three volumes in two folders."""
    folder = tmp_path / "source"
    (folder / "sub 2").mkdir(parents=True)
    for number, name in enumerate(["one.nii.gz", "two.nii", "sub 2/one.nii.gz"]):
        nib.save(nib.Nifti1Image(ball(number), oblique()), folder / name)
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_masks_lie_on_their_volumes_and_the_table_counts_them(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tally = segment_folder(make_product(), source, out)
    assert (tally.exit_code, tally.states) == (0, Counter(scored=3))
    volumes = {(row["case"], row["class"]): row for row in table(out / "volumes.csv")}
    for number, case in enumerate(["one", "two", "sub 2/one"]):
        mask = nib.load(out / f"{case}.nii.gz")
        expected = truth(ball(number))
        assert np.array_equal(np.asarray(mask.dataobj), expected)
        assert np.allclose(mask.affine, oblique(), atol=1e-4)
        for value, name in enumerate(CLASSES[1:], start=1):
            row = volumes[case, name]
            assert int(row["voxels"]) == (expected == value).sum()
            assert float(row["volume_mm3"]) == pytest.approx((expected == value).sum() * 0.9 * 1.3 * 2.0, rel=1e-4)
    assert json.loads((out / "summary.json").read_text())["scored"] == 3


def test_a_net_on_another_grid_still_answers_on_the_source_s(source: Path, tmp_path: Path) -> None:
    segment_folder(make_product(RESAMPLED), source, tmp_path / "out")
    found = np.asarray(nib.load(tmp_path / "out/one.nii.gz").dataobj)
    expected = truth(ball(0))
    for value in (1, 2):
        overlap = 2 * ((found == value) & (expected == value)).sum()
        assert overlap / ((found == value).sum() + (expected == value).sum()) > 0.9
        shift = np.argwhere(found == value).mean(0) - np.argwhere(expected == value).mean(0)
        assert np.abs(shift).max() < 0.5


def test_a_second_start_does_only_what_is_new_changed_or_lost(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    segment_folder(make_product(), source, out)
    again = segment_folder(make_product(), source, out)
    assert (again.done_now, again.states["scored"]) == (0, 3)
    (out / "two.nii.gz").unlink()
    nib.save(nib.Nifti1Image(ball(7), oblique()), source / "one.nii.gz")
    nib.save(nib.Nifti1Image(ball(8), oblique()), source / "new.nii.gz")
    third = segment_folder(make_product(), source, out)
    assert (third.done_now, third.states["scored"]) == (3, 4)
    assert np.array_equal(np.asarray(nib.load(out / "one.nii.gz").dataobj), truth(ball(7)))


def test_bad_files_get_reasons_and_the_others_their_masks(source: Path, tmp_path: Path) -> None:
    whole = (source / "one.nii.gz").read_bytes()
    noise = np.random.default_rng(0).integers(0, 999, (40, 40, 40)).astype(np.int16)
    nib.save(nib.Nifti1Image(noise, oblique()), tmp_path / "noise.nii.gz")
    noisy = (tmp_path / "noise.nii.gz").read_bytes()
    (source / "cut.nii.gz").write_bytes(noisy[: len(noisy) // 2])
    (source / "shred.nii.gz").write_bytes(bytes(range(200)))
    (source / "deadly.nii.gz").write_bytes(whole)
    (source / "README.txt").write_text("volumes of a study")
    nib.save(nib.Nifti1Image(np.full((4, 5, 6), np.nan, np.float32), oblique()), source / "empty.nii")
    nib.save(nib.Nifti1Image(np.full((4, 5, 6), 7, np.int16), oblique()), source / "even.nii")
    out = tmp_path / "out"
    tally = segment_folder(make_product(), source, out, read=read_or_end)
    assert (tally.exit_code, tally.states["scored"]) == (3, 3)
    told = {row["path"]: row["reason"] for row in table(out / "skipped.csv")}
    assert told["cut.nii.gz"] == "truncated"
    assert told["deadly.nii.gz"] == "decoder_crashed"
    assert (told["empty.nii"], told["even.nii"]) == ("no_variation", "no_variation")
    states = {row["path"]: row["state"] for row in table(out / "skipped.csv")}
    assert (states["README.txt"], states["shred.nii.gz"]) == ("skipped", "failed")
    assert not (out / "cut.nii.gz").exists()


def test_two_volumes_of_one_name_do_not_share_a_mask(source: Path, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(ball(9), oblique()), source / "one.nii")
    tally = segment_folder(make_product(), source, tmp_path / "out")
    assert tally.reasons == Counter(same_name=1)
    assert segment_folder(make_product(), source, tmp_path / "out").done_now == 0


def test_a_doubtful_case_is_written_and_flagged(source: Path, tmp_path: Path) -> None:
    image = nib.Nifti1Image(ball(0), oblique())
    image.header["qform_code"], image.header["qoffset_x"] = 1, 300.0
    nib.save(image, source / "flagged.nii.gz")
    segment_folder(make_product(), source, tmp_path / "out")
    rows = [row for row in table(tmp_path / "out/volumes.csv") if row["case"] == "flagged"]
    assert [row["flags"] for row in rows] == ["qform_sform_disagree"] * 2
    assert json.loads((tmp_path / "out/summary.json").read_text())["flagged"] == 1


def test_voxels_unlike_those_learned_from_and_a_single_slice_are_flagged(source: Path, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(ball(5)[:, :, 5:6], oblique()), source / "slice.nii.gz")
    nib.save(nib.Nifti1Image(ball(5), oblique() @ np.diag([1, 1.6, 1, 1])), source / "coarse.nii.gz")
    product = make_product()
    learned = {**product.provenance, "spacing_mm": [0.9, 1.3, 2.2]}
    tally = segment_folder(make_product(provenance=learned), source, tmp_path / "out")
    flags = {row["case"]: row["flags"] for row in table(tmp_path / "out/volumes.csv")}
    assert flags == {"one": "", "two": "", "sub 2/one": "", "slice": "one_slice", "coarse": "far_spacing"}
    assert tally.flagged == 2


def test_each_case_is_drawn_with_its_labels(source: Path, tmp_path: Path) -> None:
    drawn: dict[str, Any] = {}

    def draw(path: Path, volume: Volume, labels: np.ndarray, caption: str) -> None:
        drawn[str(path.relative_to(tmp_path / "out"))] = labels

    segment_folder(make_product(), source, tmp_path / "out", SegmentOptions(draw=draw))
    assert set(drawn) == {"pictures/one.png", "pictures/two.png", "pictures/sub 2/one.png"}
    assert np.array_equal(drawn["pictures/two.png"], truth(ball(1)))


def test_a_net_that_cannot_take_a_volume_costs_that_volume_alone(source: Path, tmp_path: Path) -> None:
    joined = ({"class_path": "monai.transforms.RepeatChanneld", "init_args": {"keys": ["image"], "repeats": 2}},)
    tally = segment_folder(make_product(joined), source, tmp_path / "out")
    assert (tally.exit_code, tally.reasons) == (3, Counter(not_segmented=3))


def test_a_model_that_classifies_is_sent_to_score(source: Path, tmp_path: Path) -> None:
    from scoring_product import make_product as classifier

    with pytest.raises(CheckpointError, match="medcnn score"):
        segment_folder(classifier(), source, tmp_path / "out")


def test_the_masks_of_another_model_are_not_mixed_in(source: Path, tmp_path: Path) -> None:
    segment_folder(make_product(), source, tmp_path / "out")
    with pytest.raises(MedcnnError, match="another model"):
        segment_folder(make_product(RESAMPLED), source, tmp_path / "out")
