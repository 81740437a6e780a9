"""Intercept and slope against scikit-learn, by their laws, and where there is none."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.linear_model import LogisticRegression

from medcnn.metrics.recalibration import calibration_intercept, calibration_line, logits_of, probability_of

CHANCE = np.random.default_rng(0)


def drawn(count: int, factor: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are ``factor`` times too far from 0 and ``shift`` too high, and findings."""
    logits = CHANCE.normal(-0.5, 1.5, count)
    return factor * logits + shift, CHANCE.random(count) < probability_of(logits)


@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("count", [40, 3000])
def test_the_line_is_that_of_scikit_learn_without_a_penalty(count: int, factor: float) -> None:
    logits, positive = drawn(count, factor)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(logits[:, None], positive)
    intercept, slope, reason = calibration_line(logits, positive)
    assert (intercept, slope) == pytest.approx((model.intercept_[0], model.coef_[0, 0]), rel=1e-4, abs=1e-4)
    assert reason == ""


def test_planted_factors_are_found() -> None:
    assert calibration_line(*drawn(200_000, factor=3))[1] == pytest.approx(1 / 3, rel=0.03)
    assert calibration_intercept(*drawn(200_000, shift=0.7))[0] == pytest.approx(-0.7, abs=0.03)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, 25, elements=st.floats(-30, 30)), hnp.arrays(np.bool_, 25))
def test_the_intercept_makes_the_expected_positives_the_observed(logits, positive) -> None:
    assume(positive.any() and not positive.all())
    intercept, reason = calibration_intercept(logits, positive)
    assert reason == ""
    assert probability_of(logits + intercept).sum() == pytest.approx(positive.sum(), abs=1e-8)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, 25, elements=st.integers(-60, 60).map(lambda n: n / 4)), hnp.arrays(np.bool_, 25))
@pytest.mark.filterwarnings("error")
def test_where_there_is_a_line_its_residuals_are_balanced_and_where_not_it_says_why(logits, positive) -> None:
    intercept, slope, reason = calibration_line(logits, positive)
    assert math.isnan(slope) == math.isnan(intercept) == bool(reason)
    if not reason:
        rest = positive - probability_of(intercept + slope * logits)
        assert rest.sum() == pytest.approx(0, abs=1e-6)
        assert rest @ logits == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("logits", "positive", "reason"),
    [
        ([0, 1, 2, 3], [0, 0, 1, 1], "separates"),
        ([0, 1, 1, 2], [0, 0, 1, 1], "separates"),
        ([0, 1, 2, 3], [1, 1, 0, 0], "separates"),
        ([2, 2, 2, 2], [0, 1, 0, 1], "same probability"),
        ([0, 1, 2, 3], [1, 1, 1, 1], "one class"),
    ],
)
def test_without_a_finite_slope_there_is_a_reason(logits, positive, reason) -> None:
    intercept, slope, why = calibration_line(np.array(logits, dtype=float), np.array(positive, dtype=bool))
    assert np.isnan([intercept, slope]).all()
    assert reason in why


@pytest.mark.filterwarnings("error")
def test_a_probability_of_0_or_1_has_a_finite_logit() -> None:
    logits = logits_of(np.array([0.0, 1.0, 0.5]))
    assert np.isfinite(logits).all()
    assert logits[0] == pytest.approx(-logits[1], rel=1e-6)
    assert logits[2] == 0
