"""Volumes and their masks: reading against torch's own, smooth fields against scipy's splines, and laws of place."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline
from torch import Tensor

from medcnn.errors import ConfigError
from medcnn.transforms.augment import BatchAugment
from medcnn.transforms.augment_draw import Draw
from medcnn.transforms.augment_grid import sampling_grid, sampling_matrix, smooth_field
from medcnn.transforms.augment_read import Padding, read_linear, read_nearest
from medcnn.transforms.resize import area_mean

EVERYTHING = {
    "rotate_degrees": 20.0, "translate": 0.1, "scale": (0.8, 1.25), "elastic": 0.08, "bias_field": 0.4,
    "low_resolution": 3.0, "elastic_probability": 0.6, "bias_probability": 0.6, "low_resolution_probability": 0.6,
    "flip_axes": (0,), "noise_std": 0.1, "blur_sigma": 1.0, "geometry_probability": 0.7,
}  # fmt: skip
both_dimensions = pytest.mark.parametrize("size", [(18, 23), (11, 14, 9)])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=seeded(seed))


def scattered(size: tuple[int, ...], batch: int = 3) -> Tensor:
    """Positions inside the image and well outside it, last axis first."""
    return 3 * images(batch, len(size), *size, seed=7) - 1.5


@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("size", [(18, 23), (11, 14, 9), (1, 6, 5), (4, 1, 1)])
def test_reading_equals_torch_at_any_position(size: tuple[int, ...], padding: Padding) -> None:
    image, grid = images(3, 2, *size), scattered(size)
    expected = F.grid_sample(image, grid.movedim(1, -1), padding_mode=padding, align_corners=False)
    torch.testing.assert_close(read_linear(image, grid, padding), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.float32])
@pytest.mark.parametrize("padding", ["border", "zeros"])
@both_dimensions
def test_reading_labels_equals_torch_and_keeps_their_type(
    size: tuple[int, ...], padding: Padding, dtype: torch.dtype
) -> None:
    labels, grid = (5 * images(3, 2, *size)).to(dtype), scattered(size)
    expected = F.grid_sample(
        labels.float(), grid.movedim(1, -1), mode="nearest", padding_mode=padding, align_corners=False
    )
    found = read_nearest(labels, grid, padding)
    assert found.dtype == dtype
    # A position half-way between two voxels may fall to either.
    assert (found.float() != expected).float().mean() < 1e-3


def test_a_large_volume_is_read_in_its_last_corner() -> None:
    # 20 million voxels: float32 no longer counts them one by one.
    labels = torch.zeros(1, 1, 400, 250, 200, dtype=torch.uint8)
    labels[0, 0, -1, -1, -2] = 3
    positions = (
        torch.tensor([1 - 3 / 200, 1 - 1 / 250, 1 - 1 / 400]).view(1, 3, 1, 1, 1).expand(1, 3, *labels.shape[2:])
    )
    one = positions[..., :1, :1, :1]
    found = read_nearest(labels, one.contiguous(), "border")
    assert found.flatten()[0] == 3


@both_dimensions
def test_a_smooth_field_equals_scipys_spline(size: tuple[int, ...]) -> None:
    cells = 3
    points = images(1, 1, *[cells + 3] * len(size)).double() - 0.5
    expected = points[0, 0].numpy()
    for axis, length in enumerate(size):
        knots = np.arange(-3, cells + 4, dtype=float)
        spline = BSpline(knots, np.moveaxis(expected, axis, 0), 3)
        expected = np.moveaxis(spline((np.arange(length) + 0.5) * cells / length), 0, axis)
    np.testing.assert_allclose(smooth_field(points, size)[0, 0].numpy(), expected, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), cells=st.integers(1, 6), volume=st.booleans())
def test_the_largest_displacement_folds_nothing(seed: int, cells: int, volume: bool) -> None:
    size = (17, 19, 18) if volume else (40, 44)
    amount = 0.4 / cells
    points = amount * torch.sign(images(1, len(size), *[cells + 3] * len(size), seed=seed).double() - 0.5)
    draw = replace(
        Draw.neutral(1, len(size)), displacement=points, scale=torch.full((1, len(size)), 1.25, dtype=torch.float64)
    )
    place = sampling_grid(size, sampling_matrix(size, draw), draw.displacement)[0].flip(0).numpy()
    slopes = np.array([np.gradient(axis, *[2 / n for n in size]) for axis in place])
    assert np.linalg.det(np.moveaxis(slopes, (0, 1), (-2, -1))).min() > 0


@both_dimensions
def test_an_equal_displacement_everywhere_is_a_shift(size: tuple[int, ...]) -> None:
    image = images(1, 1, *size)
    shift = torch.zeros(1, len(size), dtype=torch.float64)
    shift[0, 0] = 2 / size[0]
    same = Draw.neutral(1, len(size))
    # A place shows what stood further up by the displacement: the content moves the other way.
    bent = replace(same, displacement=same.displacement - shift.view(1, -1, *[1] * len(size)))
    augment = BatchAugment()
    torch.testing.assert_close(
        augment.render(image, bent), augment.render(image, replace(same, shift=shift)), atol=1e-4, rtol=0
    )


@both_dimensions
def test_no_place_moves_further_than_it_may(size: tuple[int, ...]) -> None:
    augment = BatchAugment(elastic=0.05, elastic_probability=1.0)
    draw = augment.sample(4, len(size), seeded())
    grid = sampling_grid(size, sampling_matrix(size, draw).float(), draw.displacement.float())
    still = sampling_grid(size, sampling_matrix(size, draw).float())
    moved = (grid - still).abs().amax() / 2
    assert 0.005 < moved <= 0.05


@both_dimensions
def test_a_mask_bends_with_its_image(size: tuple[int, ...]) -> None:
    size = tuple(3 * n for n in size)
    mask = torch.zeros(2, 1, *size, dtype=torch.uint8)
    mask[(..., *[slice(n // 4, 3 * n // 4) for n in size])] = 4
    augment = BatchAugment(rotate_degrees=20, elastic=0.08, elastic_probability=1.0, flip_axes=(0,), padding="zeros")
    moved, moved_mask = augment((mask > 0).float(), seeded(2), mask)
    certain = (moved < 0.05) | (moved > 0.95)
    assert certain.float().mean() > 0.7
    assert torch.equal(moved_mask[certain] == 4, moved[certain] > 0.5)
    assert not torch.equal(moved_mask, mask)
    assert moved_mask.dtype == torch.uint8


def test_a_mirrored_image_keeps_every_bit_and_so_does_its_mask() -> None:
    image = images(12, 1, 6, 7, 8)
    mask = (9 * image).long()
    moved, moved_mask = BatchAugment(flip_axes=(0, 2))(image, seeded(1), mask)
    counts = [0, 0, 0, 0]
    for one, other, before in zip(moved, moved_mask, image, strict=True):
        flips = [(), (1,), (3,), (1, 3)]
        found = next(k for k, axes in enumerate(flips) if torch.equal(one, before.flip(axes)))
        assert torch.equal(other, (9 * before.flip(flips[found])).long())
        counts[found] += 1
    assert min(counts) > 0


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, M, 6, 7, 8\)"):
        BatchAugment()(images(2, 1, 6, 7, 8), seeded(), torch.zeros(2, 6, 7, 8))


def test_rotations_keep_lengths_in_millimeters_where_voxels_are_unequal() -> None:
    image = torch.zeros(1, 2, 41, 41, 9)
    image[0, 0, 20, 17:24, 4] = image[0, 1, 20, 27:34, 4] = 1  # 10 voxels of 1 mm apart
    quarter = torch.tensor([[0.0, 0.0, 90.0]], dtype=torch.float64)  # in the plane of the last two axes
    draw = replace(Draw.neutral(1, 3), rotation=quarter)
    turned = BatchAugment(padding="zeros", voxel_size=(1.0, 1.0, 4.0)).render(image, draw)[0]
    grid = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in image.shape[2:]], indexing="ij"))
    center, point = ((channel * grid).sum((1, 2, 3)) / channel.sum() for channel in turned)
    torch.testing.assert_close((point - center).abs(), torch.tensor([0.0, 0.0, 2.5]), atol=0.1, rtol=0)


@pytest.mark.parametrize(("length", "count"), [(12, 4), (13, 5), (9, 9), (10, 1)])
def test_a_low_resolution_is_the_mean_over_larger_pixels_read_linearly(length: int, count: int) -> None:
    image = images(1, 1, length, 7)
    draw = replace(Draw.neutral(1, 2), thickness=torch.tensor([[length / count, 1.0]], dtype=torch.float64))
    fewer = torch.from_numpy(area_mean(image[0, 0].numpy(), (count, 7)))[None, None]
    expected = F.interpolate(fewer, size=(length, 7), mode="bilinear", align_corners=False)
    torch.testing.assert_close(BatchAugment().render(image, draw), expected, atol=1e-5, rtol=0)


def test_thick_slices_lie_along_the_named_axis_alone() -> None:
    draw = BatchAugment(low_resolution=(4.0, 1.0, 1.0), low_resolution_probability=0.5).sample(40, 3, seeded())
    assert (draw.thickness[:, 1:] == 1).all()
    assert 8 < (draw.thickness[:, 0] > 1).sum() < 32
    assert draw.thickness.max() <= 4


@both_dimensions
def test_a_bias_field_is_one_smooth_factor_within_its_bounds(size: tuple[int, ...]) -> None:
    image = torch.ones(4, 2, *size)
    shaded = BatchAugment(bias_field=0.3, bias_probability=1.0, clamp=None)(image, seeded())
    assert torch.equal(shaded[:, 0], shaded[:, 1])
    assert shaded.log().abs().max() <= 0.3
    assert (shaded.std(dim=tuple(range(1, shaded.ndim))) > 1e-3).all()
    steps = [shaded.log().diff(dim=axis).abs().max() * n for axis, n in enumerate(size, start=2)]
    assert max(steps) <= 2 * 0.3 * 2  # neighboring control points differ by at most 0.6, over half the image


@pytest.mark.parametrize("shape", [(6, 2, 12, 15), (5, 2, 6, 9, 8)])
def test_an_image_alone_equals_that_image_in_a_batch(shape: tuple[int, ...]) -> None:
    image = images(*shape)
    augment = BatchAugment(**EVERYTHING)
    draw = augment.sample(len(image), image.ndim - 2, seeded(3))
    together = augment.render(image, draw)
    alone = torch.cat([augment.render(image[i : i + 1], draw[i : i + 1]) for i in range(len(image))])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_what_is_new_changes_no_older_draw() -> None:
    older = {name: value for name, value in EVERYTHING.items() if not name.startswith(("elastic", "bias", "low"))}
    first, second = (BatchAugment(**settings_).sample(6, 3, seeded(4)) for settings_ in (older, EVERYTHING))
    for name in vars(first):
        if name not in ("thickness", "displacement", "log_bias"):
            assert torch.equal(getattr(first, name), getattr(second, name)), name


def test_the_memory_format_of_volumes_is_kept() -> None:
    image = images(3, 2, 6, 7, 8).contiguous(memory_format=torch.channels_last_3d)
    result = BatchAugment(**EVERYTHING)(image, seeded())
    assert result.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(result, BatchAugment(**EVERYTHING)(image.contiguous(), seeded()), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"elastic": 0.2, "elastic_cells": 4}, {"bias_field": -0.1}, {"low_resolution": 0.5},
        {"low_resolution": (2.0, 1.0)}, {"voxel_size": (1.0, 0.0, 1.0)}, {"elastic_probability": 1.5},
    ],
)  # fmt: skip
def test_what_means_nothing_for_volumes_is_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        BatchAugment(**wrong)(images(1, 1, 4, 4, 4), seeded())
