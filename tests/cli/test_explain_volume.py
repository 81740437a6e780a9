"""``medcnn explain`` on volumes: the map lies where the volume does, and the picture shows its maximum."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from medcnn.cli.main import main
from medcnn.io.nifti import write_nifti
from medcnn.io.read import read_volume
from medcnn.io.series_write import write_series
from medcnn.tasks.build import build
from medcnn.tasks.checkpoint import Product

SHAPE, SPOT = (24, 40, 30), (15, 12, 21)


def oblique() -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix() * (2.5, 0.9, 1.4)
    affine[:3, 3] = (-31.0, 12.5, 40.0)
    return affine


def spotted() -> np.ndarray:
    """A bright spot on nothing, for a model that speaks for brightness alone."""
    distance = (
        ((np.indices(SHAPE) - np.array(SPOT)[:, None, None, None]) * np.reshape((2.5, 0.9, 1.4), (3, 1, 1, 1))) ** 2
    ).sum(0)
    return np.round(3000 * np.exp(-distance / 18.0)).astype(np.int16)


def product(folder: Path, preprocess: list[dict[str, Any]]) -> Path:
    """A net whose second logit is the mean of what is bright: its map is the image itself, smoothed."""
    net = {"class_path": "medcnn.nets.resnet.ResNet",
           "init_args": {"spatial_dims": 3, "widths": [1], "depths": [1]}}  # fmt: skip
    loss = {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {}}
    task = {
        "class_path": "medcnn.tasks.classification.ClassificationTask",
        "init_args": {"net": net, "loss": loss, "classes": ["nothing", "bright spot"]},
    }
    built = build(task)
    with torch.no_grad():
        for weight in built.parameters():
            if weight.ndim == 5:
                weight.zero_()[0, 0, 1, 1, 1] = 1
        built.net.classifier.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        built.net.classifier.bias.zero_()
    Product(
        weights=built.state_dict(), task=task, preprocess=preprocess, classes=("nothing", "bright spot"),
        multilabel=False, decision=None,
        provenance={"run_id": "", "medcnn_version": "0", "data_digest": "", "image_shape": [1, 24, 24, 24]},
    ).to_folder(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Turned, resampled, cropped: the net sees another grid than the source's."""
    steps = [
        ("monai.transforms.Orientationd", {"keys": ["image"], "axcodes": "RAS", "labels": None}),
        ("monai.transforms.Spacingd", {"keys": ["image"], "pixdim": [1.5, 1.5, 1.5], "mode": "bilinear"}),
        ("monai.transforms.ResizeWithPadOrCropd", {"keys": ["image"], "spatial_size": [24, 24, 24]}),
        ("monai.transforms.ScaleIntensityd", {"keys": ["image"]}),
    ]
    preprocess = [{"class_path": name, "init_args": arguments} for name, arguments in steps]
    return product(tmp_path_factory.mktemp("model") / "product", preprocess)


def explain(*words: object) -> int:
    return main(["explain", *map(str, words)])


def peak(path: Path) -> np.ndarray:
    """Where a map is highest, in mm, by a reader that is not ours."""
    image = nibabel.load(path)
    return image.affine[:3] @ [*np.unravel_index(int(np.argmax(image.get_fdata())), image.shape), 1.0]


def test_the_map_of_a_nifti_file_lies_on_its_grid_and_on_the_spot(model: Path, tmp_path: Path, capsys: Any) -> None:
    source, out = tmp_path / "doe_jane.nii.gz", tmp_path / "out"
    write_nifti(source, spotted(), oblique())
    assert explain(model, source, "--out", out, "--size", 100) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "explanation_bright_spot.nii.gz", "explanation_bright_spot.png"
    ]  # fmt: skip
    made, given = nibabel.load(out / "explanation_bright_spot.nii.gz"), nibabel.load(source)
    assert made.shape == given.shape
    np.testing.assert_array_equal(made.affine, given.affine)
    np.testing.assert_array_equal(made.get_qform(), given.get_qform())
    assert 0 <= made.get_fdata().min() < made.get_fdata().max() <= 1
    assert np.linalg.norm(peak(out / "explanation_bright_spot.nii.gz") - oblique()[:3] @ [*SPOT, 1]) < 2.0
    said = capsys.readouterr().out
    assert "bright spot: probability" in said
    assert "doe" not in said


def test_the_picture_has_three_planes_in_gray_and_again_under_the_map(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "head.nii"
    write_nifti(source, spotted(), oblique())
    assert explain(model, source, "--out", tmp_path / "one.png", "--size", 100) == 0
    picture = np.asarray(Image.open(tmp_path / "one.png"))
    gray, colored = picture[:100], picture[100:200]
    assert (gray[..., 0] == gray[..., 2]).all()
    assert not (colored[..., 0] == colored[..., 2]).all()
    blank = (picture[:200] == 255).all((0, 2))
    assert np.count_nonzero(np.diff(np.flatnonzero(~blank)) > 1) == 2, "two gaps part three planes"


def test_a_dicom_series_gets_a_map_in_the_same_place(model: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "series", spotted(), oblique())
    assert explain(model, tmp_path / "series", "--out", tmp_path / "out", "--size", 64) == 0
    made = nibabel.load(tmp_path / "out" / "explanation_bright_spot.nii.gz")
    np.testing.assert_allclose(made.affine, read_volume(tmp_path / "series").affine, atol=1e-4)
    assert np.linalg.norm(peak(tmp_path / "out" / "explanation_bright_spot.nii.gz") - oblique()[:3] @ [*SPOT, 1]) < 2.0


def test_a_film_is_refused_and_the_source_is_never_overwritten(model: Path, tmp_path: Path, capsys: Any) -> None:
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(tmp_path / "film.png")
    assert explain(model, tmp_path / "film.png") == 2
    assert "expected a volume" in capsys.readouterr().err
    source = tmp_path / "explanation_bright_spot.nii.gz"
    write_nifti(source, spotted(), oblique())
    before = source.read_bytes()
    assert explain(model, source, "--out", tmp_path) == 2
    assert "not overwritten" in capsys.readouterr().err
    assert source.read_bytes() == before
