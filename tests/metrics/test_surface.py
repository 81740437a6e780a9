"""Surface distances against MONAI's, a transform of every voxel, and cubes and balls by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy import ndimage

import medcnn.metrics.surface as surface
from medcnn.metrics.surface import SurfaceDistances, border, box_around

SPACING = (0.7, 1.3, 2.9)


def _blob(seed: int, shape: tuple[int, ...] = (17, 14, 11), share: float = 0.3) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    return noise > np.quantile(noise, 1 - share)


def _box(low: tuple[int, ...], high: tuple[int, ...], shape: tuple[int, ...] = (20, 20, 20)) -> np.ndarray:
    region = np.zeros(shape, bool)
    region[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return region


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tolerance", [0.5, 1.35, 3.0])
def test_both_figures_equal_monai_on_unequal_spacing(seed: int, tolerance: float) -> None:
    found, true = _blob(seed), _blob(seed + 50, share=0.2)
    distances = SurfaceDistances.between(found, true, SPACING)
    one_hot = [torch.from_numpy(np.stack([~region, region])[None]) for region in (found, true)]
    nsd = compute_surface_dice(*one_hot, [tolerance], spacing=SPACING)
    assert distances.within(tolerance) == pytest.approx(nsd.item(), abs=1e-6)
    hd95 = compute_hausdorff_distance(*one_hot, percentile=95, spacing=SPACING)
    assert distances.hausdorff(95) == pytest.approx(hd95.item(), rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.tuples(*[st.floats(0.2, 5)] * 3), st.floats(0.02, 0.9))
def test_tree_and_transform_find_the_same_distances(seed: int, spacing: tuple[float, ...], share: float) -> None:
    found, true = _blob(seed, (9, 8, 7), share), _blob(seed + 1, (9, 8, 7))
    by_tree = SurfaceDistances.between(found, true, spacing)
    many, surface._MANY = surface._MANY, 0
    try:
        by_transform = SurfaceDistances.between(found, true, spacing)
    finally:
        surface._MANY = many
    np.testing.assert_allclose(by_tree.found, by_transform.found, rtol=1e-9)
    np.testing.assert_allclose(by_tree.true, by_transform.true, rtol=1e-9)


def test_a_cube_moved_by_two_voxels_along_the_longest_axis() -> None:
    # Ends of 4 x 4 voxels, moved by 2 x 2.9 mm; the walls of 2 slices overlap, and those beyond are 1 or 2 slices off.
    distances = SurfaceDistances.between(_box((5, 5, 5), (9, 9, 9)), _box((5, 5, 7), (9, 9, 11)), SPACING)
    assert distances.hausdorff(100) == pytest.approx(5.8)
    # A cube of 4 has 56 border voxels: two full ends of 16 and two rings of 12. Of the prediction's slices 5 to 8, all
    # of slice 5 is 5.8 off and ring 6 is 2.9 off; ring 7 meets the other's end, and slice 8 meets its ring but for the
    # inner 4, which are 0.7 from it.
    assert sorted(set(distances.found.round(6))) == pytest.approx([0, 0.7, 2.9, 5.8])
    assert (distances.found == 0).sum() == 24
    assert distances.within(0.6) == pytest.approx(24 / 56)
    assert distances.within(0.7) == pytest.approx(28 / 56)
    assert distances.within(2.9) == pytest.approx(40 / 56)


def test_balls_about_one_point_are_apart_by_the_difference_of_their_radii() -> None:
    place = (np.indices((44, 44, 22)).T * (1.0, 1.0, 2.0) - 22).T
    radius = np.sqrt((place**2).sum(axis=0))
    distances = SurfaceDistances.between(radius <= 12, radius <= 17, (1.0, 1.0, 2.0))
    assert distances.hausdorff(95) == pytest.approx(5, abs=1.0)
    assert distances.within(3) == 0
    assert distances.within(7) == 1


def test_a_distance_of_exactly_the_tolerance_is_within_it_whatever_rounding_does_to_the_spacing() -> None:
    found, true = _box((5, 5, 5), (9, 9, 9)), _box((4, 4, 4), (10, 10, 10))
    assert SurfaceDistances.between(found, true, (1.0000001,) * 3).within(1.0) > 0.5


def test_a_region_at_the_edge_of_the_image_has_its_border_there() -> None:
    assert border(np.ones((3, 3, 3), bool)).sum() == 26
    assert border(np.ones((4, 5), bool)).sum() == 14


@pytest.mark.parametrize("shape", [(9, 8), (7, 6, 5)])
def test_the_border_is_what_an_erosion_takes(shape: tuple[int, ...]) -> None:
    region = _blob(3, shape, 0.6)
    assert np.array_equal(border(region), region & ~ndimage.binary_erosion(region))


def test_the_box_is_the_smallest() -> None:
    assert box_around(_box((3, 0, 7), (4, 20, 9))) == (slice(3, 4), slice(0, 20), slice(7, 9))


@pytest.mark.parametrize("region", [np.zeros((20, 20, 20), bool), np.ones((3, 3, 3), bool)])
def test_what_has_no_distance_is_refused(region: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"surface|fit"):
        SurfaceDistances.between(region, _box((1, 1, 1), (4, 4, 4)), SPACING)
