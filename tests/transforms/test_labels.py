"""Labels, largest components and filled holes against scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medcnn.transforms.labels import components, filled, largest_component

KINDS = [(2, 4, 1), (2, 8, 2), (3, 6, 1), (3, 18, 2), (3, 26, 3)]
SIZES = {2: (9, 13), 3: (4, 6, 9)}
masks = st.tuples(st.floats(0.1, 0.9), st.integers(0, 2**32 - 1))


def drawn(dimension: int, share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(SIZES[dimension]) < share


@pytest.mark.parametrize(("dimension", "connectivity", "rank"), KINDS)
@given(drawing=masks)
@settings(max_examples=25, deadline=None)
def test_labels_equal_scipy_in_number_and_order(
    dimension: int, connectivity: int, rank: int, drawing: tuple[float, int]
) -> None:
    mask = drawn(dimension, *drawing)
    expected, count = ndimage.label(mask, ndimage.generate_binary_structure(dimension, rank))
    labels, found = components(mask, connectivity)
    assert found == count
    assert np.array_equal(labels, expected)


@given(masks)
@settings(max_examples=25, deadline=None)
def test_the_largest_component_is_the_first_of_those_with_most_voxels(drawing: tuple[float, int]) -> None:
    mask = drawn(3, *drawing)
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = ndimage.sum_labels(mask, labels, range(1, count + 1)) if count else [0]
    assert np.array_equal(largest_component(mask), (labels == 1 + np.argmax(sizes)) & mask)


def test_of_two_equal_components_the_first_stays() -> None:
    mask = np.array([[1, 0, 1], [1, 0, 1]], dtype=bool)
    assert largest_component(mask, 4).tolist() == [[True, False, False], [True, False, False]]


@pytest.mark.parametrize("dimension", [2, 3])
@given(drawing=masks)
@settings(max_examples=25, deadline=None)
def test_holes_are_filled_as_by_scipy(dimension: int, drawing: tuple[float, int]) -> None:
    mask = drawn(dimension, *drawing)
    assert np.array_equal(filled(mask), ndimage.binary_fill_holes(mask))


@pytest.mark.parametrize("value", [False, True])
def test_empty_and_full_masks_stay_as_they_are(value: bool) -> None:
    mask = np.full((5, 6, 7), value)
    assert np.array_equal(filled(mask), mask)
    assert np.array_equal(largest_component(mask), mask)


@pytest.mark.parametrize(("shape", "connectivity"), [((4, 4), 6), ((3, 4, 4), 8), ((7,), None)])
def test_a_connectivity_of_another_dimension_is_refused(shape: tuple[int, ...], connectivity: int | None) -> None:
    with pytest.raises(ValueError, match="connectivity of a"):
        components(np.ones(shape, dtype=bool), connectivity)
