"""A marked place keeps its millimeters through every shipped preprocessing, and through MONAI's steps it is made of."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from monai.data import MetaTensor
from monai.transforms import CropForegroundd, Orientationd, ResizeWithPadOrCropd, Spacingd, SpatialPadd

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "data").glob("*.yaml"))
FILMS = {"chest_xray", "demo", "pneumoniamnist"}
SIZE = {2: (60, 50), 3: (48, 36, 20)}
MARK = {2: (26, 21), 3: (22, 19, 8)}
SIGMA_MM = 4.0

Case = Mapping[str, Any]


def blob(affine: torch.Tensor, dimension: int) -> torch.Tensor:
    """A smooth mark of a few millimeters that ends before the border; between voxels it is nearly linear."""
    size, mark = SIZE[dimension], MARK[dimension]
    away = np.indices(size) - np.array(mark).reshape(-1, *[1] * dimension)
    distance = np.tensordot(affine.numpy()[:3, :dimension], away, axes=1)
    values = np.exp(-0.5 * (distance**2).sum(0) / SIGMA_MM**2)
    return torch.from_numpy(np.where(values > 0.03, values, 0).astype(np.float32))[None]


def marked_case(affine: torch.Tensor, dimension: int, names: tuple[str, ...] = ("image",)) -> dict[str, Any]:
    values = blob(affine, dimension)
    case = {name: MetaTensor(100 * values, affine=affine) for name in names}
    return case | {"mask": MetaTensor((values > 0.2).to(torch.uint8), affine=affine)}


def place_of(image: MetaTensor) -> np.ndarray:
    """The center of gravity of each channel's mark, in mm; channels must agree."""
    values = image.numpy().astype(np.float64)
    above = np.abs(values - values.reshape(len(values), -1)[:, :1].reshape(-1, *[1] * (values.ndim - 1)))
    index = [[np.average(grid, weights=channel) for grid in np.indices(channel.shape)] for channel in above]
    ends = [np.array([*one, *[0] * (4 - values.ndim), 1]) for one in index]
    places = np.array([image.affine.numpy().astype(np.float64) @ one for one in ends])[:, :3]
    assert np.ptp(places, axis=0).max() < 0.2
    return places[0]


def expected_place(affine: torch.Tensor, dimension: int) -> np.ndarray:
    return (affine.numpy() @ [*MARK[dimension], *[0] * (3 - dimension), 1])[:3]


def head_found(case: Case) -> dict[str, Any]:
    """In the place of a skull stripper, for a mark is no head: all of the mark is brain."""
    image = case["image"]
    values = image.as_tensor()
    return {**case, "brain": MetaTensor((values[:1] != values.flatten()[0]), affine=image.affine)}


def step_of(spec: Mapping[str, Any]) -> Callable[[Case], dict[str, Any]]:
    module, name = spec["class_path"].rsplit(".", 1)
    if name == "SkullStripped":
        return head_found
    return getattr(importlib.import_module(module), name)(**spec.get("init_args", {}))


def names_in(specs: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """What the images of a case are called: what is joined into one, or just image."""
    joined = [spec["init_args"]["keys"] for spec in specs if spec["class_path"].endswith("ChannelsJoined")]
    return tuple(joined[0]) if joined else ("image",)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_marked_place_keeps_its_millimeters_through_a_shipped_config(
    config: Path, oblique_affine: torch.Tensor
) -> None:
    specs = yaml.safe_load(config.read_text())["init_args"].get("preprocess") or []
    dimension = 2 if config.stem in FILMS else 3
    case = marked_case(oblique_affine, dimension, names_in(specs))
    for spec in specs:
        case = step_of(spec)(case)
    expected = expected_place(oblique_affine, dimension)
    np.testing.assert_allclose(place_of(case["image"]), expected, atol=0.3)
    np.testing.assert_allclose(place_of(case["mask"]), expected, atol=0.3)


MONAI_STEPS = [
    Orientationd(["image", "mask"], axcodes="RAS", labels=None),
    Orientationd(["image", "mask"], axcodes="PIL", labels=None),
    Spacingd(["image", "mask"], pixdim=(1.0, 1.0, 1.0), mode=("bilinear", "nearest")),
    Spacingd(["image", "mask"], pixdim=(2.0, 0.7, 1.3), mode=("bilinear", "nearest")),
    CropForegroundd(["image", "mask"], source_key="mask", margin=4, allow_smaller=True),
    SpatialPadd(["image", "mask"], spatial_size=(51, 40, 33)),
    ResizeWithPadOrCropd(["image", "mask"], spatial_size=(40, 41, 17)),
]


@pytest.mark.parametrize("step", MONAI_STEPS, ids=lambda step: type(step).__name__)
def test_a_marked_place_keeps_its_millimeters_through_monais_step(
    step: Callable[[Case], dict[str, Any]], oblique_affine: torch.Tensor
) -> None:
    case = step(marked_case(oblique_affine, 3))
    expected = expected_place(oblique_affine, 3)
    np.testing.assert_allclose(place_of(case["image"]), expected, atol=0.1)
    np.testing.assert_allclose(place_of(case["mask"]), expected, atol=0.7)  # the nearest of voxels of 2 mm


def test_a_shift_by_half_a_voxel_would_be_seen(oblique_affine: torch.Tensor) -> None:
    case = marked_case(oblique_affine, 3)
    moved = oblique_affine.clone()
    moved[:3, 3] += 0.5 * oblique_affine[:3, 0]
    shifted = place_of(MetaTensor(case["image"].as_tensor(), affine=moved))
    assert np.linalg.norm(shifted - expected_place(oblique_affine, 3)) == pytest.approx(0.4, abs=0.02)
