"""What crosses between MetaTensor and array."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medcnn.transforms.carrier import flagged, like, pixels_of, spacing_mm, stacked


def test_pixels_share_the_memory_of_the_image() -> None:
    image = MetaTensor(torch.zeros(1, 3, 4))
    assert np.shares_memory(pixels_of(image), image.as_tensor().numpy())


def test_bfloat16_and_gradients_do_not_stand_in_the_way() -> None:
    assert pixels_of(torch.ones((1, 2, 2), dtype=torch.bfloat16)).dtype == np.float32
    assert pixels_of(torch.ones((1, 2, 2), requires_grad=True)).sum() == 4


def test_new_pixels_take_the_place_and_the_metadata_of_the_image(oblique_affine: torch.Tensor) -> None:
    image = MetaTensor(torch.zeros(1, 3, 4), affine=oblique_affine, meta={"note": "kept"})
    result = like(image, np.ones((1, 3, 4), dtype=np.float32))
    assert torch.equal(result.affine, oblique_affine)
    assert result.meta["note"] == "kept"
    result.meta["note"] = "changed"
    assert image.meta["note"] == "kept"


def test_a_plain_tensor_stays_plain() -> None:
    assert type(like(torch.zeros(1, 2), np.ones((1, 2)))) is torch.Tensor
    assert type(like(np.zeros((1, 2)), np.ones((1, 2)))) is torch.Tensor


def test_spacing_is_that_of_the_columns_of_an_oblique_affine(oblique_affine: torch.Tensor) -> None:
    assert spacing_mm(MetaTensor(torch.zeros(1, 2, 2, 2), affine=oblique_affine)) == pytest.approx((0.8, 1.5, 3.0))
    assert spacing_mm(MetaTensor(torch.zeros(1, 2, 2), affine=oblique_affine)) == pytest.approx((0.8, 1.5))


def test_an_affine_that_folds_an_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="spacing must be positive"):
        spacing_mm(MetaTensor(torch.zeros(1, 2, 2), affine=torch.diag(torch.tensor([1.0, 0.0, 1.0, 1.0]))))


def test_a_flag_stands_once_and_in_order() -> None:
    assert flagged({"flags": ["lossy"]}, ["no_variation", "lossy", "no_variation"]) == ["lossy", "no_variation"]


def test_channels_are_stacked_in_order() -> None:
    assert stacked([np.zeros(2), np.ones(2)]).tolist() == [[0, 0], [1, 1]]
    assert stacked([np.ones(2)]).shape == (1, 2)
