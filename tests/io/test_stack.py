"""The geometry of slices by itself: what makes a grid, what is refused, by laws and by hand arithmetic."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oblique_grids import ORIENTATIONS, grid

from medcnn.errors import ReadError
from medcnn.io.find import REASONS
from medcnn.io.series_write import Grid
from medcnn.io.slices import Slice
from medcnn.io.stack import are_even, stacked


def slices_of(affine: np.ndarray, count: int) -> list[Slice]:
    """Slices as headers tell them, decimal strings and all."""
    planted = Grid.of(affine)
    return [
        Slice(
            Path(f"{index}.dcm"),
            rows=5,
            columns=6,
            position=tuple(map(float, planted.position(index))),
            orientation=tuple(map(float, planted.orientation)),
            spacing=tuple(map(float, planted.spacing)),
            thickness=float(planted.thickness),
        )
        for index in range(count)
    ]


def code_of(slices: list[Slice]) -> str:
    with pytest.raises(ReadError) as caught:
        stacked(slices)
    assert caught.value.code in REASONS
    return caught.value.code


GRIDS = st.builds(
    lambda orientation, spacing, degrees: grid(*orientation, spacing, degrees),
    st.sampled_from(ORIENTATIONS),
    st.tuples(st.floats(0.4, 12), st.floats(0.2, 4), st.floats(0.2, 4)),
    st.tuples(*[st.floats(-44, 44)] * 3),
)


@given(affine=GRIDS, count=st.integers(1, 30), chance=st.randoms(use_true_random=False))
def test_every_voxel_lies_where_it_was_planted_whatever_the_order_of_files(
    affine: np.ndarray, count: int, chance: object
) -> None:
    slices = slices_of(affine, count)
    chance.shuffle(slices)  # type: ignore[attr-defined]
    stack = stacked(slices)
    for number, one in enumerate(stack.slices):
        planted = affine @ [int(one.path.stem), 4, 2, 1]
        assert np.allclose(stack.affine @ [number, 4, 2, 1], planted, atol=1e-5)
    assert stack.flags == (("one_slice",) if count == 1 else ())


@given(affine=GRIDS, count=st.integers(4, 30), data=st.data())
def test_a_slice_that_is_missing_or_there_twice_is_always_refused(
    affine: np.ndarray, count: int, data: st.DataObject
) -> None:
    slices = slices_of(affine, count)
    inner = data.draw(st.integers(1, count - 2))
    assert code_of(slices[:inner] + slices[inner + 1 :]) == "gaps"
    assert code_of([*slices, slices[inner]]) == "duplicate_position"


@given(affine=GRIDS, other=GRIDS, count=st.integers(1, 9))
def test_slices_of_two_orientations_are_never_one_grid(affine: np.ndarray, other: np.ndarray, count: int) -> None:
    one, two = slices_of(affine, count), slices_of(other, count)
    apart = np.abs(np.subtract(one[0].orientation or 0, two[0].orientation or 0)).max()
    if apart > 2e-3:
        assert code_of([*one, *two]) == "mixed_orientation"


@pytest.mark.parametrize(
    ("distances", "even"),
    [
        ([], True),
        ([3.0], True),
        ([0, 1], True),
        ([0, 0.005], False),
        ([0, 1, 2, 3], True),
        ([0, 1, 2.015, 3], True),
        ([0, 1, 2.03, 3], False),
        ([0, 5, 10.04, 15], True),
        ([0, 5, 10.06, 15], False),
        ([0, 30, 60.15, 90], False),
        ([0, 1, 2, 4], False),
        ([0, 1, 1, 2], False),
    ],
)
def test_even_is_a_hundredth_of_the_step_and_never_a_tenth_of_a_millimeter(distances: list[float], even: bool) -> None:
    assert are_even(np.array(distances, float)) is even


def test_gaps_that_grow_a_little_each_are_refused_once_they_have_moved_a_slice() -> None:
    gaps = np.linspace(0.995, 1.005, 80)
    assert not are_even(np.concatenate([[0], np.cumsum(gaps)]))


def test_directions_that_are_no_right_angle_are_no_geometry() -> None:
    (one,) = slices_of(grid(), 1)
    assert code_of([Slice(**{**vars(one), "orientation": (1, 0, 0, 0.3, 0.954, 0)})]) == "no_geometry"
    assert code_of([Slice(**{**vars(one), "orientation": (0, 0, 0, 0, 0, 0)})]) == "no_geometry"
