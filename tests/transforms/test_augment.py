"""Batch augmentation against torch's own rotations and rolls, scipy's blur, and laws."""

from dataclasses import replace
from inspect import signature

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from medcnn.errors import ConfigError
from medcnn.transforms.augment import BatchAugment
from medcnn.transforms.augment_draw import Draw
from medcnn.transforms.augment_stages import noise

EVERYTHING = {
    "rotate_degrees": 20.0, "translate": 0.1, "scale": (0.8, 1.25), "shear_degrees": 5.0, "crop": 0.8,
    "flip_axes": (1,), "brightness": 0.2, "contrast": (0.7, 1.4), "gamma": (0.7, 1.5), "noise_std": 0.1,
    "blur_sigma": 1.5, "erase": 0.4, "blur_probability": 0.5, "erase_probability": 0.5, "geometry_probability": 0.7,
}  # fmt: skip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=seeded(seed))


def rows(*values: float, batch: int = 1) -> Tensor:
    return torch.tensor([values] * batch, dtype=torch.float64)


@pytest.mark.parametrize("shape", [(4, 2, 9, 12), (2, 1, 5, 6, 7)])
def test_a_neutral_draw_changes_no_bit(shape: tuple[int, ...]) -> None:
    image = images(*shape)
    assert torch.equal(BatchAugment().render(image, Draw.neutral(len(image), image.ndim - 2)), image)


def test_nothing_is_on_by_default() -> None:
    image = images(8, 1, 9, 9)
    assert torch.equal(BatchAugment()(image, seeded()), image)


def test_an_identity_that_is_resampled_gives_the_image_back() -> None:
    image = images(2, 1, 9, 12)
    draw = replace(Draw.neutral(2, 2), rotation=rows(360.0, batch=2))
    torch.testing.assert_close(BatchAugment().render(image, draw), image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_equal_rot90(turns: int) -> None:
    image = images(1, 2, 9, 9)
    draw = replace(Draw.neutral(1, 2), rotation=rows(90.0 * turns))
    torch.testing.assert_close(BatchAugment().render(image, draw), torch.rot90(image, turns, (2, 3)), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("plane", "axes"), enumerate([(2, 3), (2, 4), (3, 4)]))
def test_quarter_turns_in_every_plane_of_a_volume_equal_rot90(plane: int, axes: tuple[int, int]) -> None:
    image = images(1, 1, 7, 7, 7)
    draw = replace(Draw.neutral(1, 3), rotation=90.0 * torch.eye(3, dtype=torch.float64)[plane][None])
    torch.testing.assert_close(BatchAugment().render(image, draw), torch.rot90(image, 1, axes), atol=1e-5, rtol=0)


def test_a_shift_by_whole_pixels_equals_a_roll_inside() -> None:
    image = images(1, 1, 10, 20)
    draw = replace(Draw.neutral(1, 2), shift=rows(2 / 10, -3 / 20))
    moved = BatchAugment(padding="zeros").render(image, draw)
    rolled = image.roll((2, -3), (2, 3))
    torch.testing.assert_close(moved[..., 2:, :-3], rolled[..., 2:, :-3], atol=1e-5, rtol=0)
    assert moved[..., :2, :].abs().max() < 1e-5
    assert moved[..., -3:].abs().max() < 1e-5


def test_the_border_is_repeated_outside_the_image() -> None:
    image = images(1, 1, 10, 10)
    draw = replace(Draw.neutral(1, 2), shift=rows(0.2, 0.0))
    torch.testing.assert_close(
        BatchAugment(padding="border").render(image, draw)[..., 0, :], image[..., 0, :], atol=1e-5, rtol=0
    )


def test_rotating_an_image_that_is_not_square_keeps_distances() -> None:
    image = torch.zeros(1, 2, 41, 81)
    image[0, 0, 20, 40] = image[0, 1, 20, 50] = 1  # the center, and a point 10 columns to its right
    draw = replace(Draw.neutral(1, 2), rotation=rows(30.0))
    turned = BatchAugment(padding="zeros").render(image, draw)[0]
    grid = torch.stack(torch.meshgrid(torch.arange(41.0), torch.arange(81.0), indexing="ij"))
    center, point = ((channel * grid).sum((1, 2)) / channel.sum() for channel in turned)
    # Counter-clockwise on the screen, as rot90: up is towards row 0.
    torch.testing.assert_close(point - center, torch.tensor([-5.0, 10 * 3**0.5 / 2]), atol=0.1, rtol=0)


def test_magnifying_by_two_shows_the_middle_half() -> None:
    ramp = torch.linspace(0, 1, 101).expand(1, 1, 101, 101)
    draw = replace(Draw.neutral(1, 2), scale=rows(2.0, 2.0))
    wide = BatchAugment().render(ramp, draw)[0, 0, 50]
    torch.testing.assert_close(wide[[0, 50, 100]], torch.tensor([0.25, 0.5, 0.75]), atol=0.01, rtol=0)


def test_a_crop_shows_only_what_lies_inside_the_image() -> None:
    image = 1 + images(64, 1, 16, 16)
    cropped = BatchAugment(crop=0.5, padding="zeros", clamp=None)(image, seeded())
    assert cropped[..., 1:-1, 1:-1].min() >= 1  # the outermost half pixel may reach over the edge
    assert not torch.equal(cropped, image)


@pytest.mark.parametrize("axis", [0, 1])
def test_only_the_named_axis_is_mirrored(axis: int) -> None:
    image = images(40, 1, 6, 8)
    out = BatchAugment(flip_axes=(axis,))(image, seeded())
    mirrored = image.flip(axis + 2)
    same = (out - image).abs().amax((1, 2, 3)) < 1e-5
    flipped = (out - mirrored).abs().amax((1, 2, 3)) < 1e-5
    assert (same ^ flipped).all()
    assert 8 < flipped.sum() < 32


def test_no_axis_is_mirrored_unless_it_is_named() -> None:
    settings_without_flips = {**EVERYTHING, "flip_axes": ()}
    draw = BatchAugment(**settings_without_flips).sample(200, 2, seeded())
    assert (draw.scale > 0).all()


def test_a_flip_axis_that_the_image_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match="flip_axes"):
        BatchAugment(flip_axes=(2,))(images(1, 1, 8, 8), seeded())


@pytest.mark.parametrize("shape", [(6, 1, 12, 17), (6, 3, 12, 12), (3, 1, 6, 7, 8)])
def test_the_same_seed_gives_the_same_images_and_writes_on_none(shape: tuple[int, ...]) -> None:
    image = images(*shape)
    before = image.clone()
    augment = BatchAugment(**EVERYTHING)
    first, second, other = (augment(image, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(image, before)
    assert first.shape == image.shape
    assert first.isfinite().all()
    assert first.min() >= 0
    assert first.max() <= 1


def test_global_chance_is_neither_used_nor_moved() -> None:
    before = torch.get_rng_state()
    BatchAugment(**EVERYTHING)(images(4, 1, 8, 8), seeded())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("shape", [(8, 2, 12, 15), (4, 1, 6, 7, 8)])
def test_an_image_alone_equals_that_image_in_a_batch(shape: tuple[int, ...]) -> None:
    image = images(*shape)
    augment = BatchAugment(**EVERYTHING)
    draw = augment.sample(len(image), image.ndim - 2, seeded(3))
    together = augment.render(image, draw)
    alone = torch.cat([augment.render(image[i : i + 1], draw[i : i + 1]) for i in range(len(image))])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), sign=st.booleans())
def test_gamma_one_and_contrast_one_are_the_identity(seed: int, sign: bool) -> None:
    image = images(3, 1, 5, 6, seed=seed) - (0.5 if sign else 0.0)
    augment = BatchAugment(gamma=(1.0, 1.0), contrast=(1.0, 1.0), tone_probability=1.0, clamp=None)
    torch.testing.assert_close(augment(image, seeded(seed)), image)


@settings(max_examples=20, deadline=None)
@given(exponent=st.floats(0.3, 3.0))
def test_gamma_is_the_power_and_keeps_the_sign(exponent: float) -> None:
    image = torch.tensor([-0.5, 0.0, 0.25, 1.0]).view(1, 1, 2, 2)
    draw = replace(Draw.neutral(1, 2), gamma=torch.tensor([exponent]))
    expected = [-(0.5**exponent), 0.0, 0.25**exponent, 1.0]
    result = BatchAugment(clamp=None).render(image, draw).flatten()
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5)


def test_contrast_turns_about_the_mean_and_brightness_adds() -> None:
    image = torch.tensor([0.2, 0.4, 0.6, 0.8]).view(1, 1, 2, 2)
    draw = replace(Draw.neutral(1, 2), contrast=torch.tensor([0.5]), brightness=torch.tensor([0.1]))
    result = BatchAugment().render(image, draw).flatten()
    torch.testing.assert_close(result, torch.tensor([0.45, 0.55, 0.65, 0.75]))


@pytest.mark.parametrize("shape", [(3, 2, 11, 14), (2, 1, 7, 8, 9)])
def test_blur_equals_scipy(shape: tuple[int, ...]) -> None:
    image = images(*shape)
    sigma = torch.linspace(0.4, 1.7, len(image))
    result = BatchAugment().render(image, replace(Draw.neutral(len(image), image.ndim - 2), blur_sigma=sigma))
    for one, blurred, width in zip(image, result, sigma, strict=True):
        for channel, ours in zip(one, blurred, strict=True):
            radius = int(np.ceil(3 * width))
            expected = scipy.ndimage.gaussian_filter(
                channel.double().numpy(), float(width), mode="nearest", radius=radius
            )
            np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)


def test_noise_is_normal_and_independent() -> None:
    grain = noise(torch.zeros(2, 1, 201, 301), torch.tensor([1.0, 2.0]), torch.tensor([7, 8]))
    first, second = grain[0].flatten().double(), grain[1].flatten().double() / 2
    for values in (first, second):
        assert abs(values.mean()) < 0.02
        assert abs(values.std() - 1) < 0.02
        assert abs((values**4).mean() - 3) < 0.15  # the fourth moment of a normal distribution
        assert abs((values[1:] * values[:-1]).mean()) < 0.02
    assert abs((first * second).mean()) < 0.02


def test_an_erased_box_has_the_drawn_place_and_the_mean() -> None:
    image = images(1, 1, 10, 20)
    draw = replace(Draw.neutral(1, 2), erase_center=rows(0.5, 0.25), erase_extent=rows(0.4, 0.5))
    result = BatchAugment().render(image, draw)
    expected = image.clone()
    expected[..., 3:7, 0:10] = image.mean()
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("shape", [(6, 1, 24, 33), (3, 1, 12, 13, 14)])
def test_a_mask_moves_with_its_image(shape: tuple[int, ...]) -> None:
    mask = torch.zeros(shape, dtype=torch.int64)
    mask[(..., *[slice(size // 3, 2 * size // 3) for size in shape[2:]])] = 7
    image = (mask > 0).float()
    augment = BatchAugment(rotate_degrees=30, translate=0.1, scale=(0.8, 1.2), flip_axes=(0, 1), padding="zeros")
    moved, moved_mask = augment(image, seeded(5), mask=mask)
    assert set(moved_mask.unique().tolist()) == {0, 7}
    certain = (moved < 0.05) | (moved > 0.95)  # off the rim, where linear and nearest must agree
    assert certain.float().mean() > 0.6
    assert torch.equal(moved_mask[certain] == 7, moved[certain] > 0.5)
    assert (moved_mask == 7).sum() > 0


def test_the_memory_format_is_kept() -> None:
    image = images(4, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    result = BatchAugment(**EVERYTHING)(image, seeded())
    assert result.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(result, BatchAugment(**EVERYTHING)(image.contiguous(), seeded()))


def test_every_argument_is_kept_by_its_name_so_that_it_can_be_built_again() -> None:
    augment = BatchAugment(**EVERYTHING)
    kept = {name: getattr(augment, name) for name in signature(BatchAugment).parameters}
    again = BatchAugment(**{name: list(v) if isinstance(v, tuple) else v for name, v in kept.items()})  # as YAML has it
    image = images(4, 1, 9, 9)
    assert torch.equal(augment(image, seeded()), again(image, seeded()))


@pytest.mark.parametrize(
    "wrong", [{"scale": (1.2, 0.8)}, {"noise_probability": 1.5}, {"crop": 0.0}, {"padding": "reflect"}]
)
def test_ranges_that_mean_nothing_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        BatchAugment(**wrong)


def test_whole_numbers_are_refused_as_images() -> None:
    with pytest.raises(ValueError, match="float32"):
        BatchAugment()(torch.zeros(1, 1, 4, 4, dtype=torch.uint8), seeded())
