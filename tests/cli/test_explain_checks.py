"""``medcnn explain`` with its checks, on small models made here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from medcnn.cli import explanation
from medcnn.cli.main import main
from medcnn.io.nifti import write_nifti
from medcnn.scoring.scorer import Scorer
from medcnn.tasks.build import build
from medcnn.tasks.checkpoint import Product
from medcnn.tasks.decision import Decision

CLASSES = ("nothing", "bright spot")
NOWHERE = np.eye(4)


def product(folder: Path, dims: int, decision: Decision | None = None, weight: float = 1.0) -> Path:
    """A net whose second logit is the mean of what is bright: its map is the image itself."""
    net = {"class_path": "medcnn.nets.resnet.ResNet",
           "init_args": {"spatial_dims": dims, "widths": [1], "depths": [1]}}  # fmt: skip
    loss = {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {}}
    task = {"class_path": "medcnn.tasks.classification.ClassificationTask",
            "init_args": {"net": net, "loss": loss, "classes": list(CLASSES)}}  # fmt: skip
    built = build(task)
    with torch.no_grad():
        for parameter in built.parameters():
            if parameter.ndim == dims + 2:
                parameter.zero_()[(0, 0, *[1] * dims)] = 1
        built.net.classifier.weight.copy_(torch.tensor([[-weight], [weight]]))
        built.net.classifier.bias.zero_()
    steps = [{"class_path": "monai.transforms.ScaleIntensityd", "init_args": {"keys": ["image"]}}]
    Product(
        weights=built.state_dict(), task=task, preprocess=steps, classes=CLASSES, multilabel=False,
        decision=None if decision is None else decision.to_dict(),
        provenance={"run_id": "", "medcnn_version": "0", "data_digest": "", "image_shape": [1, *[24] * dims]},
    ).to_folder(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    decision = Decision(thresholds={"bright spot": 0.5005})
    return product(tmp_path_factory.mktemp("model") / "films", 2, decision)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    pixels = np.zeros((32, 40), np.uint8)
    pixels[6:12, 24:30] = 250
    path = tmp_path / "doe_jane.png"
    Image.fromarray(pixels).save(path)
    return path


def mask_of(path: Path, rows: slice, columns: slice, shape: tuple[int, int] = (32, 40)) -> Path:
    mask = np.zeros(shape, np.uint8)
    mask[rows, columns] = 255
    if path.suffix == ".png":
        Image.fromarray(mask).save(path)
    else:
        write_nifti(path, mask[..., None], NOWHERE)
    return path


def explain(*words: object) -> int:
    return main(["explain", *map(str, words)])


def test_the_call_at_the_stored_threshold_is_told(model: Path, film: Path, tmp_path: Path, capsys: Any) -> None:
    assert explain(model, film, "--out", tmp_path) == 0
    assert "called bright spot at the stored threshold of 0.5" in capsys.readouterr().out
    higher = product(tmp_path / "higher", 2, Decision(thresholds={"bright spot": 0.75}))
    assert explain(higher, film, "--out", tmp_path) == 0
    assert "called nothing at the stored threshold of 0.750 for bright spot" in capsys.readouterr().out
    undecided = product(tmp_path / "undecided", 2)
    assert explain(undecided, film, "--out", tmp_path) == 0
    assert "no threshold is stored" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["lesion.png", "lesion.nii.gz"])
def test_both_methods_point_into_a_mask_around_the_spot(
    model: Path, film: Path, tmp_path: Path, capsys: Any, name: str
) -> None:
    mask = mask_of(tmp_path / name, slice(3, 15), slice(21, 33))
    assert explain(model, film, "--out", tmp_path / "out", "--method", "both", "--mask", mask, "--size", 200) == 0
    said = capsys.readouterr().out
    assert said.count("its maximum lies inside") == 2
    assert "inside the 11.2% of the image" in said
    assert "(rank correlation " in said
    picture = np.asarray(Image.open(tmp_path / "out" / "explanation_bright_spot.png"))
    assert picture.shape[1] == 3 * 200 + 2 * 8


def test_a_mask_elsewhere_is_missed(model: Path, film: Path, tmp_path: Path, capsys: Any) -> None:
    mask = mask_of(tmp_path / "lesion.png", slice(20, 30), slice(2, 12))
    assert explain(model, film, "--out", tmp_path / "out", "--mask", mask) == 0
    assert "its maximum lies outside; 0% of its relevance" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shape", "rows", "words"),
    [((32, 41), slice(0, 4), "give one of its size"), ((32, 40), slice(0, 0), "mask is empty")],
)
def test_a_mask_that_does_not_fit_is_said_in_one_line(
    model: Path, film: Path, tmp_path: Path, capsys: Any, shape: tuple[int, int], rows: slice, words: str
) -> None:
    mask = mask_of(tmp_path / "lesion.png", rows, slice(0, 9), shape)
    assert explain(model, film, "--out", tmp_path / "out", "--mask", mask) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_checks_features_and_filters_are_pictures_beside_the_first(
    model: Path, film: Path, tmp_path: Path, capsys: Any
) -> None:
    words = ["--checks", "true", "--features", "features.1", "--filters", "true"]
    assert explain(model, film, "--out", tmp_path / "out", *words) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"explanation_bright_spot{end}.png" for end in ("", "_checks", "_features", "_filters")]
    said = capsys.readouterr().out
    assert "with all weights random" in said
    assert "One image: a hint, no proof" in said
    assert "features.1: 1 of 1 feature maps of 32 x 40" in said
    assert "1 filters of 3 x 3" in said
    assert "doe" not in said


def test_an_unknown_layer_is_answered_with_those_known(model: Path, film: Path, tmp_path: Path, capsys: Any) -> None:
    assert explain(model, film, "--out", tmp_path, "--features", "layer9") == 2
    assert "it has features" in capsys.readouterr().err


def test_a_folder_of_films_is_explained_one_by_one_without_their_names(
    model: Path, film: Path, tmp_path: Path, capsys: Any
) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    for name in ("doe_a.png", "doe_b.png", "doe_c.png"):
        (folder / name).write_bytes(film.read_bytes())
    (folder / "doe_b.png").write_bytes(film.read_bytes()[:60])
    (folder / "notes.txt").write_text("not a film")
    assert explain(model, folder, "--out", tmp_path / "out") == 3
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["explanation_bright_spot_001.png", "explanation_bright_spot_003.png"]
    said = capsys.readouterr().out
    assert "film 2 of 3" in said
    assert "not read: " in said
    assert "doe" not in said
    assert explain(model, folder, "--out", tmp_path / "one", "--limit", 1) == 0
    assert len(list((tmp_path / "one").iterdir())) == 1


def test_a_folder_takes_no_mask_and_no_single_picture_and_is_not_written_into(
    model: Path, film: Path, tmp_path: Path, capsys: Any
) -> None:
    for words in (["--mask", film], ["--out", tmp_path / "one.png"]):
        assert explain(model, tmp_path, *words) == 2
        assert "give one image for a mask" in capsys.readouterr().err
    assert explain(model, tmp_path, "--out", tmp_path / "out") == 2
    assert "among the films" in capsys.readouterr().err


def test_a_volume_takes_a_mask_on_another_grid_and_writes_a_map_a_method(tmp_path: Path, capsys: Any) -> None:
    model = product(tmp_path / "model", 3)
    affine = np.diag([2.0, 1.0, 1.5, 1.0])
    voxels = np.zeros((12, 16, 14), np.int16)
    voxels[7:10, 3:6, 8:11] = 900
    write_nifti(tmp_path / "head.nii.gz", voxels, affine)
    mask = np.zeros((24, 16, 14), np.uint8)  # half as far apart along the first axis
    mask[12:22, 1:8, 6:13] = 1
    finer = affine @ np.diag([0.5, 1, 1, 1])
    finer[0, 3] = -0.5  # the same field of view
    write_nifti(tmp_path / "lesion.nii.gz", mask, finer)
    words = ["--method", "both", "--mask", tmp_path / "lesion.nii.gz", "--checks", "true", "--size", 64]
    assert explain(model, tmp_path / "head.nii.gz", "--out", tmp_path / "out", *words) == 0
    assert capsys.readouterr().out.count("its maximum lies inside") == 2
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    stem = "explanation_bright_spot"
    assert names == [f"{stem}.nii.gz", f"{stem}.png", f"{stem}_checks.png", f"{stem}_occlusion.nii.gz"]
    picture = np.asarray(Image.open(tmp_path / "out" / f"{stem}.png"))
    assert picture.shape[0] > 3 * 64


def test_two_maps_get_a_verdict_in_words() -> None:
    ramp = torch.linspace(0.01, 1, 64).view(8, 8)
    shuffled = ramp.flatten()[torch.randperm(64, generator=torch.Generator().manual_seed(1))].view(8, 8)
    assert explanation._agreement(ramp, ramp**2) == "Grad-CAM and occlusion agree largely (rank correlation 1.00)"
    assert "hardly agree: neither map alone" in explanation._agreement(ramp, shuffled)
    assert "nothing to compare" in explanation._agreement(ramp, ramp * 0)


@pytest.mark.parametrize(("drop", "top", "words"), [(0.04, 0.08, "which is little"), (2.0, 1.0, "at most 2.00")])
def test_a_map_of_small_drops_is_drawn_faint(
    model: Path, monkeypatch: pytest.MonkeyPatch, drop: float, top: float, words: str
) -> None:
    scorer = Scorer.from_path(model)
    monkeypatch.setattr(explanation, "occlusion_maps", lambda _, images, *__, **___: images[:, 0] / images.max() * drop)
    image = torch.rand(1, 1, 32, 40, generator=torch.Generator().manual_seed(0))
    maps, notes, _ = explanation._maps(scorer, image, 1, "occlusion")
    assert float(maps["occlusion"].max()) == pytest.approx(top)
    assert words in notes[0]
