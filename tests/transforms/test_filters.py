"""Filters against scikit-image, plain numpy, and a Gaussian written out."""

import numpy as np
import pytest
import skimage.filters
import torch
from monai.data import MetaTensor
from numpy.lib.stride_tricks import sliding_window_view

from medcnn.transforms.filters import GaussianFiltered, MedianFiltered, UnsharpMasked, gaussian, median, unsharp


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, shape).astype(np.int16)


@pytest.mark.parametrize("shape", [(12, 17), (5, 7, 9)])
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_the_median_is_that_of_every_box(shape: tuple[int, ...], radius: int) -> None:
    image = picture(*shape)
    side = (2 * radius + 1,) * image.ndim
    boxes = sliding_window_view(np.pad(image, radius, mode="symmetric"), side)
    assert np.array_equal(median(image, radius), np.median(boxes.reshape(*shape, -1), axis=-1))


def test_smoothing_and_unsharp_equal_scikit_image() -> None:
    image = picture(20, 31).astype(np.float32)
    smooth = skimage.filters.gaussian(image, 1.7, mode="reflect", preserve_range=True)
    sharp = skimage.filters.unsharp_mask(image, radius=1.7, amount=0.6, preserve_range=True)
    assert np.allclose(gaussian(image, 1.7), smooth, atol=1e-2)
    assert np.allclose(unsharp(image, 1.7, 0.6), sharp, atol=1e-2)


def test_a_deviation_in_mm_gives_the_same_profile_along_unequal_axes(oblique_affine: torch.Tensor) -> None:
    image = torch.zeros((1, 41, 31, 21))
    image[0, 20, 15, 10] = 1
    case = {"image": MetaTensor(image, affine=oblique_affine)}
    smooth = GaussianFiltered("image", sigma=3.0, unit="mm")(case)["image"].numpy()[0]
    for axis, step in enumerate((0.8, 1.5, 3.0)):
        profile = np.moveaxis(smooth, axis, 0)[:, *(n // 2 for i, n in enumerate(smooth.shape) if i != axis)]
        middle = len(profile) // 2
        assert profile[middle + 2] / profile[middle] == pytest.approx(np.exp(-((2 * step) ** 2) / (2 * 9)), rel=1e-4)


@pytest.mark.parametrize("transform", [MedianFiltered, GaussianFiltered, UnsharpMasked])
def test_each_channel_is_filtered_by_itself(transform: type) -> None:
    images = torch.from_numpy(picture(2, 9, 11))
    together = transform("image")({"image": images})["image"]
    alone = [transform("image")({"image": images[i : i + 1]})["image"] for i in range(2)]
    assert together.dtype == torch.float32
    assert torch.equal(together, torch.cat(alone))


def test_unsharp_leaves_an_even_image_even() -> None:
    assert np.allclose(unsharp(np.full((8, 9), 77), 2.0, 3.0), 77)


def test_negative_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="radius must be"):
        median(picture(3, 3), -1)
    with pytest.raises(ValueError, match="sigma must be"):
        gaussian(picture(3, 3), -1.0)
