"""Agreement of two measurements: hand arithmetic, published formulas, and simulation with known spread."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medcnn.metrics.agreement import bland_altman

# Differences 1, 3, 2, 6, 3: mean 3, squares of the deviations 4, 0, 1, 9, 0.
FIRST = np.array([11.0, 23.0, 32.0, 46.0, 53.0])
SECOND = np.array([10.0, 20.0, 30.0, 40.0, 50.0])


def test_bias_and_limits_are_those_of_hand_arithmetic() -> None:
    found = bland_altman(FIRST, SECOND)
    sd = np.sqrt(14 / 4)
    assert found.bias.value == pytest.approx(3)
    assert found.upper.value - found.bias.value == pytest.approx(1.959964 * sd)
    assert found.bias.value - found.lower.value == pytest.approx(1.959964 * sd)
    assert found.bias.high - 3 == pytest.approx(stats.t.ppf(0.975, 4) * sd / np.sqrt(5))
    assert found.sd_between == pytest.approx(sd)
    assert np.isnan(found.sd_within)
    assert (found.n, found.patients, found.left_out) == (5, 5, 0)


def test_variance_within_and_between_patients_is_that_of_the_analysis_of_variance() -> None:
    # Two cases a patient: differences (1, 3), (4, 8), (7, 7); means 2, 6, 7; squares within 2, 8, 0 over 3.
    differences = np.array([1.0, 3.0, 4.0, 8.0, 7.0, 7.0])
    found = bland_altman(100 + differences, np.full(6, 100.0), patients=["a", "a", "b", "b", "c", "c"])
    within, of_means = 10 / 3, 7.0
    assert found.bias.value == pytest.approx(5)
    assert found.sd_within == pytest.approx(np.sqrt(within))
    assert found.sd_between == pytest.approx(np.sqrt(of_means - within / 2))
    assert found.upper.value == pytest.approx(5 + 1.959964 * np.sqrt(of_means + within / 2))


def test_a_patient_with_many_cases_counts_once() -> None:
    first = np.concatenate((np.full(50, 10.0), [2.0, 3.0, 4.0]))
    found = bland_altman(first, np.zeros(53), patients=["a"] * 50 + ["b", "c", "d"])
    assert found.bias.value == pytest.approx((10 + 2 + 3 + 4) / 4)


def test_percent_is_of_the_mean_of_both() -> None:
    found = bland_altman(np.array([110.0, 220, 0, 330]), np.array([90.0, 180, 0, 270]), percent=True)
    assert found.differences == pytest.approx([20, 20, 20])
    assert found.bias.value == pytest.approx(20)
    assert found.left_out == 1


def test_what_is_missing_is_left_out_and_counted() -> None:
    first, second = np.append(FIRST, [np.nan, 3.0]), np.append(SECOND, [1.0, np.nan])
    found = bland_altman(first, second)
    assert found.left_out == 2
    assert found.bias == bland_altman(FIRST, SECOND).bias


def test_two_patients_tell_nothing_and_say_so() -> None:
    found = bland_altman(FIRST, SECOND, patients=["a", "a", "b", "b", "b"])
    for estimate in (found.bias, found.lower, found.upper, found.slope, found.concordance):
        assert np.isnan(estimate.value)
        assert "fewer than three patients" in estimate.reason


def test_the_slope_is_that_of_least_squares_and_tells_a_bias_that_grows() -> None:
    chance = np.random.default_rng(2)
    truth = chance.uniform(10, 100, 80)
    found = bland_altman(1.2 * truth + chance.normal(0, 2, 80), truth + chance.normal(0, 2, 80))
    assert found.slope.value == pytest.approx(stats.linregress(found.means, found.differences).slope)
    assert found.slope.low > 0.1
    level = bland_altman(truth + 5 + chance.normal(0, 2, 80), truth + chance.normal(0, 2, 80))
    assert level.slope.low < 0 < level.slope.high


def test_concordance_is_lins_formula() -> None:
    found = bland_altman(FIRST, SECOND).concordance
    cov = np.cov(FIRST, SECOND, bias=True)
    lin = 2 * cov[0, 1] / (cov[0, 0] + cov[1, 1] + (FIRST.mean() - SECOND.mean()) ** 2)
    assert found.value == pytest.approx(lin)
    assert found.low < lin < found.high <= 1


def test_lengths_that_differ_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="one number a case"):
        bland_altman(FIRST, SECOND[:3])


numbers = st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=6)


@settings(max_examples=50, deadline=None)
@given(numbers, numbers, st.floats(-100, 100))
def test_a_constant_shifts_the_bias_alone_and_order_turns_its_sign(x: list[float], y: list[float], by: float) -> None:
    first, second = np.array(x), np.array(y)
    found, moved, turned = (bland_altman(*pair) for pair in ((first, second), (first + by, second), (second, first)))
    assert moved.bias.value == pytest.approx(found.bias.value + by, abs=1e-6)
    assert moved.upper.value - moved.bias.value == pytest.approx(found.upper.value - found.bias.value, abs=1e-6)
    assert turned.upper.value == pytest.approx(-found.lower.value, abs=1e-6)


def test_intervals_cover_known_limits_where_patients_have_several_cases() -> None:
    """Variance 4 between and 1 within patients, one to six cases each: 500 studies of 30 patients."""
    chance = np.random.default_rng(11)
    true_upper, covered = 2 + 1.959964 * np.sqrt(5), np.zeros((500, 2), dtype=bool)
    naive = np.zeros(500, dtype=bool)
    for study in range(500):
        owners = np.repeat(np.arange(30), chance.integers(1, 7, 30))
        truth = chance.uniform(50, 100, len(owners))
        differences = 2 + chance.normal(0, 2, 30)[owners] + chance.normal(0, 1, len(owners))
        found = bland_altman(truth + differences, truth, owners.tolist())
        covered[study] = [e.low <= t <= e.high for e, t in ((found.bias, 2.0), (found.upper, true_upper))]
        alone = bland_altman(truth + differences, truth).bias
        naive[study] = alone.low <= 2 <= alone.high
    assert (covered.mean(axis=0) >= 0.93).all()
    assert (covered.mean(axis=0) <= 0.97).all()
    assert naive.mean() < 0.85


def test_the_interval_of_concordance_covers_the_truth() -> None:
    """Normal values with variance 9, each measured with an error of variance 1: the truth is 9 / 10."""
    chance, covered = np.random.default_rng(5), 0
    for _ in range(400):
        truth = chance.normal(0, 3, 40)
        found = bland_altman(truth + chance.normal(0, 1, 40), truth + chance.normal(0, 1, 40)).concordance
        covered += found.low <= 0.9 <= found.high
    assert 0.92 <= covered / 400 <= 0.98
