"""The linear map against the same formula in double precision, and its refusal to make a NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from medcnn.transforms.scaling import grayscale, has_range, mean_and_deviation, rescaled


def in_double(values: np.ndarray, lower: float, upper: float) -> np.ndarray:
    return np.clip((values.astype(np.float64) - lower) / (upper - lower), 0, 1)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int32, np.float16, np.float32, np.float64])
def test_values_equal_the_formula_in_double_precision(dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, 200, (3, 70_000)).astype(dtype)
    scaled = rescaled(values, 3.7, 150.2)
    assert scaled.dtype == np.float32
    assert np.abs(scaled - in_double(values, 3.7, 150.2)).max() < 1e-6


@pytest.mark.parametrize(
    ("dtype", "base"), [(np.int16, 32_000), (np.int32, 2**30), (np.float32, 32_000), (np.float64, 1e12)]
)
def test_a_narrow_range_far_from_zero_keeps_its_digits(dtype: type, base: float) -> None:
    values = (base + np.arange(8)).astype(dtype)
    assert np.abs(rescaled(values, base + 1.3, base + 5.7) - in_double(values, base + 1.3, base + 5.7)).max() < 1e-4


@given(
    hnp.arrays(np.float32, (4, 5), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)),
    st.floats(-1e30, 1e30),
    st.floats(-1e30, 1e30),
)
@settings(max_examples=200, deadline=None)
def test_nothing_makes_a_nan_or_leaves_the_range(values: np.ndarray, lower: float, upper: float) -> None:
    scaled = rescaled(values, lower, upper, -1.0, 2.0)
    assert ((scaled >= -1) & (scaled <= 2)).all()


def test_a_range_of_denormal_numbers_makes_no_nan() -> None:
    values = np.array([0, 1e-45, 3e-45], dtype=np.float32)
    assert rescaled(values, 0.0, float(values[2])).tolist() == [0.0, pytest.approx(0.5), 1.0]


def test_without_clipping_the_line_goes_on() -> None:
    assert rescaled(np.array([0, 5, 10, 20]), 5, 10, clip=False).tolist() == [-1, 0, 1, 3]


@pytest.mark.parametrize(("lower", "upper"), [(1, 1), (2, 1), (np.nan, 1), (0, np.nan), (0.0, 5e-324)])
def test_what_is_no_range_is_the_lower_end(lower: float, upper: float) -> None:
    assert not has_range(lower, upper)
    assert rescaled(np.array([1.0, 2.0]), lower, upper, low=-1).tolist() == [-1, -1]


def test_mean_and_deviation_over_chunks_equal_numpy_in_double_precision() -> None:
    values = (np.random.default_rng(2).normal(0, 1, 150_001) + 4096).astype(np.float32)
    wide = values.astype(np.float64)
    assert mean_and_deviation(values) == pytest.approx((wide.mean(), wide.std()), rel=1e-12)


def test_gray_is_within_one_level_of_pillow() -> None:
    color = np.random.default_rng(3).integers(0, 256, (3, 20, 30)).astype(np.uint8)
    pillow = np.asarray(Image.fromarray(np.moveaxis(color, 0, -1)).convert("L"))
    assert np.abs(grayscale(color)[0] - pillow).max() <= 1


def test_one_channel_stays_as_it_is_and_two_are_refused() -> None:
    assert grayscale(np.full((1, 2, 2), 9)).tolist() == [[[9, 9], [9, 9]]]
    with pytest.raises(ValueError, match="found 2"):
        grayscale(np.zeros((2, 4, 4)))
