"""Balls against exact fractions, and every step against scipy with the same ball."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medcnn.transforms.ball import ball, closed, dilated, eroded, opened

STEPS = [
    (dilated, ndimage.binary_dilation),
    (eroded, ndimage.binary_erosion),
    (opened, ndimage.binary_opening),
    (closed, ndimage.binary_closing),
]

shapes = st.one_of(
    st.tuples(st.integers(1, 20), st.integers(1, 140)),
    st.tuples(st.integers(1, 9), st.integers(1, 11), st.integers(1, 80)),
)


@given(shapes, st.sampled_from([0.0, 0.9, 1.0, 1.5, 2.3, 3.0, 5.0]), st.floats(0.1, 0.97), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_steps_equal_scipy_for_a_radius_in_voxels(
    shape: tuple[int, ...], radius: float, share: float, seed: int
) -> None:
    mask = np.random.default_rng(seed).random(shape) < share
    structure = ball(radius, (1.0,) * mask.ndim)
    for ours, theirs in STEPS:
        assert np.array_equal(ours(mask, radius), theirs(mask, structure))


@given(st.lists(st.floats(0.3, 4.0), min_size=2, max_size=3), st.floats(0, 4.0), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_steps_equal_scipy_for_a_radius_in_mm(spacing: list[float], radius: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((7, 12, 40)[3 - len(spacing) :]) < 0.85
    structure = ball(radius, spacing)
    for ours, theirs in STEPS:
        assert np.array_equal(ours(mask, radius, spacing), theirs(mask, structure))


@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (2, 3, 4), (1, 1, 70)])
def test_a_ball_beyond_the_image_still_equals_scipy(shape: tuple[int, ...]) -> None:
    mask = np.zeros(shape, dtype=bool)
    mask[(0,) * len(shape)] = True
    for ours, theirs in STEPS:
        assert np.array_equal(
            ours(mask, 90 / len(shape) ** 2), theirs(mask, ball(90 / len(shape) ** 2, [1] * len(shape)))
        )


@pytest.mark.parametrize(
    ("radius", "spacing"),
    [("5", ("1", "1", "1")), ("5", ("0.1", "0.7")), ("2.5", ("0.5", "1.25", "3")), ("0", ("1", "1"))],
)
def test_a_ball_holds_the_offsets_that_exact_fractions_allow(radius: str, spacing: tuple[str, ...]) -> None:
    steps, limit = [Fraction(step) for step in spacing], Fraction(radius) ** 2
    extents = [int(Fraction(radius) / step) for step in steps]
    found = ball(float(radius), [float(step) for step in spacing])
    assert found.shape == tuple(2 * extent + 1 for extent in extents)
    for offset in product(*(range(-extent, extent + 1) for extent in extents)):
        inside = sum((i * step) ** 2 for i, step in zip(offset, steps, strict=True)) <= limit
        assert found[tuple(i + extent for i, extent in zip(offset, extents, strict=True))] == inside


def test_a_disk_of_radius_two_drawn_by_hand() -> None:
    rows = ["..#..", ".###.", "#####", ".###.", "..#.."]
    assert ["".join(".#"[int(v)] for v in row) for row in ball(2, (1, 1))] == rows


def test_spacing_rounded_to_single_precision_keeps_the_poles_of_the_ball() -> None:
    assert ball(5.0, [float(np.float32(0.1))]).size == 101


def test_closing_wears_the_border_as_scipy_does_unless_told_to_keep_it() -> None:
    mask = np.ones((6, 9), dtype=bool)
    assert not closed(mask, 2)[0].any()
    assert closed(mask, 2, keep_border=True).all()


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 3))
@settings(max_examples=25, deadline=None)
def test_opening_shrinks_closing_grows_and_a_second_time_changes_nothing(seed: int, radius: float) -> None:
    mask = np.random.default_rng(seed).random((10, 30)) < 0.6
    thin, thick = opened(mask, radius), closed(mask, radius, keep_border=True)
    assert not (thin & ~mask).any()
    assert not (mask & ~thick).any()
    assert np.array_equal(opened(thin, radius), thin)
    assert np.array_equal(closed(thick, radius, keep_border=True), thick)


@pytest.mark.parametrize("radius", [-1.0, float("nan"), float("inf")])
def test_a_radius_that_is_none_is_refused(radius: float) -> None:
    with pytest.raises(ValueError, match="radius must be 0 or more"):
        dilated(np.ones((3, 3), dtype=bool), radius)
