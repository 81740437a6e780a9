"""The highest threshold that reaches a sensitivity, by hand and by its law."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medcnn.metrics.operating_point import threshold_for_sensitivity, widened

SCORES = hnp.arrays(np.float64, 30, elements=st.integers(0, 8).map(float))
POSITIVE = hnp.arrays(np.bool_, 30)


def test_by_hand():
    scores = [0.9, 0.8, 0.8, 0.3, 0.7, 0.2]
    positive = [True, True, True, True, False, False]
    assert threshold_for_sensitivity(scores, positive, 0.75) == (0.8, 0.75, 1.0, 4, "")
    assert threshold_for_sensitivity(scores, positive, 0.76) == (0.3, 1.0, 0.5, 4, "")
    # Two of the three positives would do, and two share a score.
    assert threshold_for_sensitivity(scores, positive, 0.5) == (0.8, 0.75, 1.0, 4, "")


@settings(max_examples=200, deadline=None)
@given(SCORES, POSITIVE, st.floats(0.01, 1.0))
def test_it_reaches_the_target_and_no_higher_threshold_does(scores, positive, target):
    assume(positive.any())
    point = threshold_for_sensitivity(scores, positive, target)
    assert point.sensitivity >= target - 1e-9
    assert point.sensitivity == (scores[positive] >= point.threshold).mean()
    above = scores[scores > point.threshold]
    if len(above):
        assert (scores[positive] >= above.min()).mean() < target


@pytest.mark.parametrize("count", [100, 20, 7])
def test_a_share_that_means_a_whole_number_is_not_rounded_up(count):
    scores = np.arange(count, dtype=float)
    for needed in range(1, count + 1):
        assert threshold_for_sensitivity(scores, np.ones(count, bool), needed / count).threshold == count - needed


def test_without_a_positive_there_is_none_and_a_reason():
    point = threshold_for_sensitivity([0.1, 0.2], [False, False], 0.9)
    assert math.isnan(point.threshold)
    assert "no positive" in point.reason


@pytest.mark.parametrize("target", [0, -0.1, 1.1, float("nan")])
def test_a_target_that_is_no_share_is_refused(target):
    with pytest.raises(ValueError, match="sensitivity"):
        threshold_for_sensitivity([0.5], [True], target)


@settings(max_examples=100, deadline=None)
@given(SCORES, st.integers(0, 29))
def test_a_widened_threshold_calls_the_same_cases(scores, at):
    threshold = scores[at]
    wide = widened(threshold, scores)
    np.testing.assert_array_equal(scores >= wide, scores >= threshold)
    # And a hair more or less on any score changes nothing, unless none lies below.
    if (scores < threshold).any():
        np.testing.assert_array_equal(scores - 1e-6 >= wide, scores >= threshold)


def test_nan_stays_nan():
    assert math.isnan(widened(float("nan"), np.arange(3.0)))
