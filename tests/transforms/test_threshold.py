"""Thresholds by hand, by exhaustive search, and what lies exactly on one."""

import numpy as np
import pytest
import torch

from medcnn.transforms.threshold import OtsuThresholded, PercentileThresholded, Thresholded, otsu


def test_otsu_is_the_value_with_the_greatest_variance_between_the_classes() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(60, 12, 3000), rng.normal(150, 20, 1500)]).astype(np.uint8)
    variance = {}
    for value in range(values.min(), values.max()):
        low, high = values[values <= value], values[values > value]
        variance[value] = low.size * high.size * (low.mean() - high.mean()) ** 2
    assert otsu(values) == max(variance, key=variance.__getitem__)


def test_what_lies_on_a_fixed_threshold_is_background() -> None:
    mask = Thresholded("image", value=0.1)({"image": torch.tensor([[[0.0, 0.1, 0.2]]], dtype=torch.float64)})["image"]
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[[False, False, True]]]


def test_each_channel_has_its_own_otsu_threshold() -> None:
    ramp = torch.arange(256).reshape(16, 16)
    image = torch.stack([ramp, 1000 + 2 * ramp])
    mask = OtsuThresholded("image")({"image": image})["image"]
    assert torch.equal(mask[0], mask[1])
    assert int(mask[0].sum()) == 128


def test_a_percentile_leaves_its_share_above() -> None:
    mask = PercentileThresholded("image", percent=90)({"image": torch.arange(1000).reshape(1, 20, 50)})["image"]
    assert int(mask.sum()) == 100


def test_nan_is_neither_counted_nor_above() -> None:
    image = torch.tensor([[[torch.nan, 1.0, 1.0, 9.0, 9.0]]])
    assert OtsuThresholded("image")({"image": image})["image"].tolist() == [[[False, False, False, True, True]]]


@pytest.mark.parametrize("image", [torch.full((1, 4, 4), 3), torch.full((1, 4, 4), torch.nan)])
def test_a_channel_that_falls_on_one_side_is_flagged(image: torch.Tensor) -> None:
    case = OtsuThresholded("image")({"image": image})
    assert case["flags"] == ["no_variation"]
    assert not case["image"].any()


def test_a_percentile_beyond_a_hundred_is_refused() -> None:
    with pytest.raises(ValueError, match="0 to 100"):
        PercentileThresholded("image", percent=101)
