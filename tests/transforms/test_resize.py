"""Area means against repeating and averaging whole blocks, and against MONAI where the sizes divide."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import Resized

from medcnn.transforms.resize import AreaResized, area_mean


def by_repetition(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Every pixel repeated until the new size divides the old one; then blocks are plain means."""
    out = image.astype(np.float64)
    for axis, (old, new) in enumerate(zip(image.shape, size, strict=True)):
        shared = math.gcd(old, new)
        fine = np.moveaxis(np.repeat(out, new // shared, axis=axis), axis, 0)
        out = np.moveaxis(fine.reshape(new, old // shared, *fine.shape[1:]).mean(axis=1), 0, axis)
    return out


@given(
    st.lists(st.tuples(st.integers(1, 23), st.integers(1, 23)), min_size=1, max_size=3),
    st.sampled_from([np.uint8, np.int16, np.int32, np.float32]),
    st.integers(0, 99),
)
def test_every_size_is_the_mean_over_the_area(axes: list[tuple[int, int]], dtype: type[np.generic], seed: int) -> None:
    old, new = zip(*axes, strict=True)
    image = np.random.default_rng(seed).integers(0, 250, old).astype(dtype)
    assert np.allclose(area_mean(image, new), by_repetition(image, new), atol=1e-3)


def test_the_largest_values_do_not_overflow() -> None:
    for dtype in (np.uint8, np.int16, np.int32):
        top = np.iinfo(dtype).max
        found = area_mean(np.full((3000, 40), top, dtype), (7, 3))
        assert np.allclose(found, top, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.float32])
def test_it_equals_monai_where_the_new_size_divides_the_old(dtype: torch.dtype, oblique_affine: torch.Tensor) -> None:
    values = torch.randint(0, 200, (2, 48, 60), generator=torch.Generator().manual_seed(0)).to(dtype)
    image = MetaTensor(values, affine=oblique_affine)
    size = (12, 20)
    ours = AreaResized("image", size)({"image": image})["image"]
    theirs = Resized("image", size, mode="area")({"image": image})["image"]
    torch.testing.assert_close(ours.as_tensor(), theirs.as_tensor(), rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(ours.affine, theirs.affine.to(ours.affine.dtype), rtol=0, atol=1e-6)


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_corners_of_the_image_stay_where_they_are(old: int, new: int) -> None:
    affine = torch.tensor([[0.0, 2.0, 0.0, 5.0], [-3.0, 0.0, 0.0, 7.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
    image = MetaTensor(torch.zeros(1, old, 7), affine=affine)
    resized = AreaResized("image", (new, 3))({"image": image})["image"]
    for corner_old, corner_new in (((-0.5, -0.5), (-0.5, -0.5)), ((old - 0.5, 6.5), (new - 0.5, 2.5))):
        before = image.affine.double() @ torch.tensor([*corner_old, 0, 1], dtype=torch.float64)
        after = resized.affine.double() @ torch.tensor([*corner_new, 0, 1], dtype=torch.float64)
        torch.testing.assert_close(after, before, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [0, -3, (4, 0), ()])
def test_a_size_without_pixels_is_refused(size: int | tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        AreaResized("image", size)


def test_a_size_for_another_number_of_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="names 3 axes, the image has 2"):
        AreaResized("image", (4, 4, 4))({"image": torch.zeros(1, 8, 8)})
