"""A model of volumes scores NIfTI files and DICOM series: one finding each, and a reason for every other file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation
from scoring_volumes import make_volume_product, volume

from medcnn.errors import CheckpointError
from medcnn.io.nifti import write_nifti
from medcnn.io.read import read_volume
from medcnn.io.series_write import write_series
from medcnn.scoring.run import Options, score_folder
from medcnn.scoring.scorer import Scorer
from medcnn.scoring.workers import warm_up
from medcnn.tasks.checkpoint import Product

FEW = Options(workers=1)


def oblique() -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix() * (3.0, 0.8, 1.1)
    return affine


@pytest.fixture(autouse=True, scope="module")
def ready() -> None:
    """Workers are forked from a process that has imported what they need."""
    warm_up()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two NIfTI files, a folder with one series, a folder with two, and what is no volume."""
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    for number in range(2):
        write_nifti(source / "a" / f"{number}.nii.gz", volume(number), oblique())
    write_series(source / "b" / "t1", volume(2), oblique())
    for number in (3, 4):
        names = [f"{number}_{index}.dcm" for index in range(len(volume(number)))]
        write_series(source / "c", volume(number), oblique(), names=names)
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(source / "film.png")
    (source / "README.txt").write_text("nothing")
    (source / "cut.nii.gz").write_bytes((source / "a" / "0.nii.gz").read_bytes()[:600])
    return source


def findings(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "findings.parquet").set_index("path")


def test_every_volume_has_a_finding_and_every_other_file_a_reason(source: Path, tmp_path: Path) -> None:
    product, out = make_volume_product(), tmp_path / "out"
    tally = score_folder(product, source, out, FEW)
    assert (tally.found, tally.exit_code) == (8, 3)
    found = findings(out)
    assert [path.rsplit("/", 1)[0] for path in sorted(found.index)] == ["a", "a", "b/t1", "c", "c"]
    skipped = pd.read_csv(out / "skipped.csv").set_index("path")
    assert skipped["reason"].to_dict() == {"README.txt": "not_an_image", "cut.nii.gz": "truncated", "film.png": "film"}
    assert skipped["state"].to_dict() == {"README.txt": "skipped", "cut.nii.gz": "failed", "film.png": "failed"}
    scorer = Scorer.from_product(product)
    for path, place in (
        ("a/1.nii.gz", source / "a" / "1.nii.gz"),
        (found.filter(like="b/", axis=0).index[0], source / "b"),
    ):
        alone = scorer.score_film(read_volume(place))
        np.testing.assert_allclose(found.loc[path, "probability/large"], alone[1], atol=1e-6)
    assert found.filter(like="b/", axis=0)["series"].iloc[0] == read_volume(source / "b").series


def test_only_what_is_new_or_changed_is_scored_again(source: Path, tmp_path: Path) -> None:
    product, out = make_volume_product(), source / "out"
    before = score_folder(product, source, out, FEW)
    assert score_folder(product, source, out, FEW).done_now == 0
    write_nifti(source / "a" / "0.nii.gz", volume(9), oblique())
    tally = score_folder(product, source, out, FEW)
    assert (tally.done_now, tally.states) == (1, before.states)


def test_a_model_of_films_names_a_volume_as_what_it_is(product: Product, source: Path, tmp_path: Path) -> None:
    score_folder(product, source / "a", tmp_path / "out", FEW)
    skipped = pd.read_csv(tmp_path / "out" / "skipped.csv")
    assert set(skipped["reason"]) == {"volume"}
    assert set(skipped["state"]) == {"failed"}
    assert skipped["sentence"].str.contains("expected a film").all()


def test_one_file_can_be_scored_alone(source: Path, tmp_path: Path) -> None:
    tally = score_folder(make_volume_product(), source / "a" / "0.nii.gz", tmp_path / "out", FEW)
    assert (tally.found, tally.exit_code) == (1, 0)
    assert findings(tmp_path / "out").index.tolist() == ["0.nii.gz"]


def test_a_model_that_draws_masks_is_sent_elsewhere(source: Path, tmp_path: Path) -> None:
    drawn = make_volume_product(provenance={"image_shape": [1, 12, 12, 12], "per_voxel": True})
    with pytest.raises(CheckpointError, match="medcnn segment"):
        score_folder(drawn, source, tmp_path / "out", FEW)
