"""Normalizations against numpy and MONAI; flags for what a channel does not give."""

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import NormalizeIntensity, ScaleIntensityRangePercentiles

from medcnn.transforms.intensity import Grayscaled, MinMaxNormalized, PercentileNormalized, Windowed, ZScored


def volume(dtype: torch.dtype = torch.int16, channels: int = 1) -> MetaTensor:
    generator = torch.Generator().manual_seed(0)
    return MetaTensor(torch.randint(-50, 900, (channels, 9, 14, 20), generator=generator).to(dtype))


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.float32])
def test_percentiles_give_what_monai_gives_in_floating_point(dtype: torch.dtype) -> None:
    image = volume(dtype, channels=2)
    theirs = ScaleIntensityRangePercentiles(2, 98, 0, 1, clip=True, channel_wise=True)(image.float())
    ours = PercentileNormalized("image", 2, 98)({"image": image})["image"]
    assert ours.dtype == torch.float32
    assert torch.allclose(ours.as_tensor(), theirs.as_tensor(), atol=1e-6)


def test_percentiles_inside_a_mask_are_those_of_its_voxels() -> None:
    image, mask = volume(), torch.zeros((1, 9, 14, 20), dtype=torch.bool)
    mask[0, 2:6, 3:9, 4:11] = True
    ours = PercentileNormalized("image", 10, 90, mask_key="mask")({"image": image, "mask": mask})["image"]
    lower, upper = np.percentile(image.numpy()[mask.numpy()], [10, 90])
    assert np.allclose(ours.numpy(), np.clip((image.numpy() - lower) / (upper - lower), 0, 1), atol=1e-6)


def test_z_scores_are_those_of_monai() -> None:
    image = volume(torch.float32, channels=3)
    theirs = NormalizeIntensity(channel_wise=True)(image)
    assert torch.allclose(ZScored("image")({"image": image})["image"].as_tensor(), theirs.as_tensor(), atol=1e-5)


def test_extremes_go_to_the_ends_of_the_range() -> None:
    scaled = MinMaxNormalized("image", low=-1, high=1)({"image": volume(channels=2)})["image"]
    assert scaled.amin(dim=(1, 2, 3)).tolist() == pytest.approx([-1, -1], abs=1e-6)
    assert scaled.amax(dim=(1, 2, 3)).tolist() == pytest.approx([1, 1], abs=1e-6)


def test_a_window_by_hand() -> None:
    image = torch.tensor([[[-200, -10, 40, 65, 500]]])
    scaled = Windowed("image", center=40, width=100)({"image": image})["image"]
    assert scaled.tolist() == [[[0.0, 0.0, 0.5, 0.75, 1.0]]]


@pytest.mark.parametrize("transform", [PercentileNormalized, MinMaxNormalized, ZScored])
@pytest.mark.parametrize(
    "image", [torch.full((1, 8, 8), 7), torch.full((1, 8, 8), 0.1), torch.full((1, 8, 8), torch.nan)]
)
def test_a_channel_without_variation_becomes_zeros_and_says_so(transform: Any, image: torch.Tensor) -> None:
    case = transform("image")({"image": image})
    assert case["flags"][-1] == "no_variation"
    assert case["image"].tolist() == torch.zeros(1, 8, 8).tolist()


def test_what_is_not_finite_is_left_out_of_the_percentiles_and_set_to_the_lower_end() -> None:
    image = volume(torch.float32)
    holed = image.clone()
    holed[0, 0, 0, :3] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    case = PercentileNormalized("image", 1, 99)({"image": holed, "flags": ["lossy"]})
    lower, upper = np.percentile(image.numpy().reshape(-1)[3:].astype(np.float64), [1, 99])
    assert case["flags"] == ["lossy", "non_finite"]
    assert case["image"][0, 0, 0, :3].tolist() == [0, 0, 0]
    rest = np.clip((image.numpy().reshape(-1)[3:] - lower) / (upper - lower), 0, 1)
    assert np.allclose(case["image"].numpy().reshape(-1)[3:], rest, atol=1e-6)


def test_an_empty_mask_is_flagged_and_gives_zeros() -> None:
    case = PercentileNormalized("image", mask_key="mask")({"image": volume(), "mask": torch.zeros(1, 9, 14, 20)})
    assert case["flags"] == ["empty_mask", "no_variation"]
    assert not case["image"].any()


def test_a_case_without_trouble_gets_no_flags() -> None:
    assert "flags" not in PercentileNormalized("image")({"image": volume()})


def test_the_flags_of_the_caller_are_not_written_to() -> None:
    flags = ["lossy"]
    PercentileNormalized("image")({"image": torch.zeros(1, 4, 4), "flags": flags})
    assert flags == ["lossy"]


def test_a_mask_on_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="bring both onto one grid"):
        PercentileNormalized("image", mask_key="mask")({"image": volume(), "mask": torch.ones(1, 9, 14, 21)})


@pytest.mark.parametrize(("lower", "upper"), [(-1, 50), (50, 50), (60, 40), (1, 100.5)])
def test_percentiles_out_of_order_are_refused(lower: float, upper: float) -> None:
    with pytest.raises(ValueError, match="percentiles must be"):
        PercentileNormalized("image", lower, upper)


def test_a_window_without_width_is_refused() -> None:
    with pytest.raises(ValueError, match="wider than 0"):
        Windowed("image", 40, 0)


def test_a_missing_key_is_refused_unless_allowed() -> None:
    with pytest.raises(KeyError):
        ZScored("image")({"other": 1})
    assert ZScored("image", allow_missing_keys=True)({"other": 1}) == {"other": 1}


def test_color_becomes_one_channel_on_the_same_grid(oblique_affine: torch.Tensor) -> None:
    gray = Grayscaled("image")({"image": MetaTensor(torch.ones(3, 4, 5, dtype=torch.uint8), affine=oblique_affine)})
    assert gray["image"].shape == (1, 4, 5)
    assert torch.equal(gray["image"].affine, oblique_affine)
