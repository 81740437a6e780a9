"""A place on the coarse grid is the same place in the volume, whatever the volume's orientation and spacing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcnn.transforms.coarse import coarse_grid


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    axes = draw(st.permutations(range(3)))
    matrix = np.zeros((4, 4))
    for index, axis in enumerate(axes):
        matrix[axis, index] = draw(st.sampled_from([-1, 1])) * draw(st.floats(0.8, 3.0))
    matrix[:, 3] = [10, -20, 30, 1]
    return matrix


@settings(max_examples=20, deadline=None)
@given(affines())
def test_a_ramp_in_millimeters_is_the_same_ramp_on_the_coarse_grid(affine: np.ndarray) -> None:
    shape = (14, 11, 12)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    place = index @ affine[:3, :3].T + affine[:3, 3]
    grid = coarse_grid(shape, affine)
    for axis in range(3):
        coarse = grid.averaged(place[..., axis])
        steps = np.diff(coarse, axis=axis)
        middle = steps[tuple(slice(2, -2) for _ in range(3))]
        assert np.allclose(middle, 2.0, atol=0.35)
        back = grid.above(coarse, float(place[..., axis].mean()))
        inner = np.abs(place[..., axis] - place[..., axis].mean()) > 1.0
        assert np.array_equal(back[inner], (place[..., axis] > place[..., axis].mean())[inner])


def test_equal_cubes_are_plain_means() -> None:
    values = np.random.default_rng(0).random((8, 6, 4)).astype(np.float32)
    grid = coarse_grid(values.shape, np.eye(4))
    expected = values.reshape(4, 2, 3, 2, 2, 2).mean(axis=(1, 3, 5))
    assert np.allclose(grid.averaged(values), expected, rtol=1e-6)


@pytest.mark.parametrize("affine", [np.diag([1.0, 0.0, 1.0, 1.0]), np.full((4, 4), np.nan), np.eye(3)])
def test_an_affine_that_cannot_be_is_refused(affine: np.ndarray) -> None:
    with pytest.raises(ValueError, match="affine"):
        coarse_grid((4, 4, 4), affine)
