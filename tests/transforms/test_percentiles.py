"""Percentiles against numpy and torch, bit for bit, by every path."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medcnn.transforms import percentiles as module
from medcnn.transforms.percentiles import percentiles

PERCENTS = [0, 0.5, 1, 33.3, 50, 99.5, 100]


def by_numpy(values: np.ndarray, percents: list[float]) -> list[float]:
    return np.percentile(values.astype(np.float64), percents, method="linear").tolist()


dtypes = st.sampled_from(
    [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64]
)


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(dtypes))
    elements = st.integers(-(2**40), 2**40) if dtype == np.int64 else None
    if dtype.kind == "f":
        elements = st.floats(-6e4, 6e4, width=16)
    return draw(hnp.arrays(dtype, hnp.array_shapes(max_dims=3, max_side=9), elements=elements))


@given(arrays(), st.lists(st.floats(0, 100), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_small_arrays_of_any_type_equal_numpy(values: np.ndarray, percents: list[float]) -> None:
    assert percentiles(values, percents) == by_numpy(values, percents)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("background", [0.0, 0.3, 0.995, 1.0])
def test_large_arrays_equal_numpy_whatever_the_share_of_background(dtype: type, background: float) -> None:
    rng = np.random.default_rng(3)
    values = np.abs(rng.normal(80, 40, 300_001)).astype(dtype)
    values[: int(background * values.size)] = 0
    assert percentiles(values, PERCENTS) == by_numpy(values, PERCENTS)


def test_a_sample_that_misleads_costs_time_and_no_digit() -> None:
    values = np.random.default_rng(4).normal(0, 1, 400_000).astype(np.float32)
    # Whatever the stride samples is far from all the rest.
    values[:: values.size // module.SAMPLE | 1] += 1000
    assert percentiles(values, PERCENTS) == by_numpy(values, PERCENTS)


@pytest.mark.parametrize("span", [10, 60_000, 5_000_000])
def test_int32_equals_numpy_for_narrow_and_wide_ranges(span: int) -> None:
    values = np.random.default_rng(5).integers(-span // 2, span // 2, 90_000).astype(np.int32)
    assert percentiles(values, PERCENTS) == by_numpy(values, PERCENTS)


def test_float_percentiles_equal_torch_quantile() -> None:
    values = np.random.default_rng(6).normal(10, 3, 5_000)
    expected = torch.quantile(torch.from_numpy(values), torch.tensor(PERCENTS, dtype=torch.float64) / 100)
    assert percentiles(values, PERCENTS) == pytest.approx(expected.tolist(), rel=1e-14)


def test_one_value_is_every_percentile() -> None:
    assert percentiles(np.array([7], dtype=np.int16), [0, 50, 100]) == [7.0, 7.0, 7.0]


def test_true_counts_as_one() -> None:
    assert percentiles(np.array([True, False, True]), [0, 25, 100]) == [0.0, 0.5, 1.0]


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="percentiles of no values"):
        percentiles(np.zeros(0), [50])
