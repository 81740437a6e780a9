"""Thresholds for a sensitivity, a specificity, a cost and with a guarantee, against what they promise."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binom, norm

from medcnn.metrics.operating_point import (
    threshold_for_cost,
    threshold_for_sensitivity,
    threshold_for_specificity,
    threshold_with_guarantee,
    widened,
)

SCORES = hnp.arrays(np.float64, 30, elements=st.integers(0, 8).map(float))
POSITIVE = hnp.arrays(np.bool_, 30)
BY_HAND = [0.9, 0.8, 0.8, 0.3, 0.7, 0.2], [True, True, False, True, False, False]


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


def test_a_specificity_by_hand() -> None:
    # Negatives at 0.2, 0.7 and 0.8: the lowest score above the second is 0.8, which a negative shares.
    assert threshold_for_specificity(*BY_HAND, 2 / 3) == (0.8, 2 / 3, 2 / 3, 3, "")
    assert threshold_for_specificity(*BY_HAND, 1.0) == (0.9, 1 / 3, 1.0, 3, "")
    assert threshold_for_specificity(*BY_HAND, 0.1) == (0.3, 1.0, 1 / 3, 3, "")


@settings(max_examples=80, deadline=None)
@given(SCORES, POSITIVE, st.floats(0.01, 1.0))
def test_the_specificity_is_reached_and_no_lower_threshold_reaches_it(scores, positive, target) -> None:
    assume(not positive.all())
    point, negatives = threshold_for_specificity(scores, positive, target), scores[~positive]
    if math.isnan(point.threshold):
        assert (negatives < scores.max()).mean() < target
        return
    assert point.specificity == (negatives < point.threshold).mean() >= target - 1e-9
    below = scores[scores < point.threshold]
    if len(below):
        assert (negatives < below.max()).mean() < target


def test_a_specificity_that_only_silence_reaches_has_no_threshold() -> None:
    point = threshold_for_specificity([0.1, 0.9], [True, False], 0.95)
    assert math.isnan(point.threshold)
    assert "calling no case" in point.reason
    assert "no negative" in threshold_for_specificity([0.1], [True], 0.9).reason


def cost_of(threshold: float, scores, positive, miss: float, alarm: float, prevalence: float) -> float:
    missed, alarmed = (scores[positive] < threshold).mean(), (scores[~positive] >= threshold).mean()
    return prevalence * miss * missed + (1 - prevalence) * alarm * alarmed


@settings(max_examples=80, deadline=None)
@given(SCORES, POSITIVE, st.floats(0.1, 20), st.one_of(st.none(), st.floats(0.01, 0.99)))
def test_no_other_threshold_costs_less_and_none_below_as_little(scores, positive, miss, prevalence) -> None:
    assume(positive.any() and not positive.all())
    share = positive.mean() if prevalence is None else prevalence
    point = threshold_for_cost(scores, positive, miss, 1.0, prevalence)
    tried = np.append(np.unique(scores), np.inf)
    costs = np.array([cost_of(t, scores, positive, miss, 1.0, share) for t in tried])
    if math.isnan(point.threshold):
        assert costs[-1] == pytest.approx(costs.min())
        assert "calling no case" in point.reason
    else:
        assert cost_of(point.threshold, scores, positive, miss, 1.0, share) == pytest.approx(costs.min())
        assert (costs[tried < point.threshold] > costs.min()).all()


def test_on_true_probabilities_the_cost_asks_for_the_threshold_of_theory() -> None:
    chance = np.random.default_rng(0)
    probability = chance.random(200_000)
    point = threshold_for_cost(probability, chance.random(200_000) < probability, miss_cost=4, alarm_cost=1)
    # Call where p * 4 > (1 - p) * 1.
    assert point.threshold == pytest.approx(0.2, abs=0.02)


def test_one_class_alone_has_no_cost() -> None:
    assert "positive and negative" in threshold_for_cost([0.1, 0.2], [True, True], 1, 1).reason


@pytest.mark.parametrize("costs", [(0, 1, None), (1, -1, None), (math.nan, 1, None), (1, 1, 0), (1, 1, 1.2)])
def test_costs_and_prevalences_that_are_none_are_refused(costs) -> None:
    with pytest.raises(ValueError, match="give"):
        threshold_for_cost(*BY_HAND, *costs)


def exact(hits: np.ndarray, target: float, confidence: float) -> tuple[float, float]:
    """The order statistic with the most misses whose binomial tail is small enough, and the score next below it."""
    places = np.flatnonzero(binom.cdf(np.arange(len(hits)), len(hits), 1 - target) <= 1 - confidence)
    ordered = np.sort(hits)
    best = ordered[places[-1]]
    return best, max(ordered[ordered < best], default=best)


@settings(max_examples=25, deadline=None)
@given(st.integers(60, 400), st.sampled_from([0.8, 0.9, 0.95]), st.integers(0, 2**16), st.booleans())
def test_the_guarantee_is_the_exact_order_statistic_or_the_next_below(count, target, seed, tied) -> None:
    chance = np.random.default_rng(seed)
    hits = chance.integers(0, 40, count).astype(float) if tied else chance.normal(size=count)
    found = threshold_with_guarantee(hits, np.ones(count, dtype=bool), target).threshold
    # MAPIE's rounding up of n times a share takes one place less in 4 of 100 cases: on the safe side.
    assert found in exact(hits, target, 0.95)


@pytest.mark.parametrize(("count", "target"), [(60, 0.9), (150, 0.95), (59, 0.95)])
def test_of_many_thresholds_at_most_one_in_twenty_falls_short(count: int, target: float) -> None:
    chance = np.random.default_rng(7)
    positive = np.ones(count, dtype=bool)
    draws = [threshold_with_guarantee(chance.normal(size=count), positive, target).threshold for _ in range(600)]
    short = (norm.sf(draws) < target).mean()
    assert short <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 600)


def test_with_several_cases_a_patient_it_holds_by_patients_and_the_naive_one_does_not() -> None:
    chance, target, short, naive = np.random.default_rng(8), 0.9, [], []
    patients = np.repeat(np.arange(60), 5)
    for _ in range(300):
        scores = np.repeat(chance.normal(size=60), 5) * np.sqrt(0.8) + chance.normal(size=300) * np.sqrt(0.2)
        positive = np.ones(300, dtype=bool)
        short.append(norm.sf(threshold_with_guarantee(scores, positive, target, patients=patients).threshold) < target)
        naive.append(norm.sf(threshold_with_guarantee(scores, positive, target).threshold) < target)
    assert np.mean(short) <= 0.05
    assert np.mean(naive) > 0.10


def test_a_patient_stands_with_the_lowest_positive_case() -> None:
    scores, names = np.arange(200.0), [f"p{i % 100}" for i in range(200)]
    positive = np.ones(200, dtype=bool)
    grouped = threshold_with_guarantee(scores, positive, 0.9, patients=names)
    assert grouped.threshold == threshold_with_guarantee(scores[:100], positive[:100], 0.9).threshold
    # What it gives is told for all cases.
    assert grouped.sensitivity == (scores >= grouped.threshold).mean()


def test_negatives_play_no_part_but_in_the_specificity() -> None:
    hits = np.random.default_rng(1).normal(1, 1, 100)
    alone = threshold_with_guarantee(hits, np.ones(100, dtype=bool), 0.9)
    both = threshold_with_guarantee(np.append(hits, np.zeros(50)), np.arange(150) < 100, 0.9)
    assert both.threshold == alone.threshold
    assert both.specificity == float(both.threshold > 0)


@pytest.mark.parametrize("scores", [np.zeros(100), np.repeat([0.0, 1.0], 50), np.full(100, -3e4)])
@pytest.mark.filterwarnings("error")
def test_ties_and_hard_calls_are_no_trouble(scores: np.ndarray) -> None:
    assert threshold_with_guarantee(scores, np.ones(100, dtype=bool), 0.9).threshold == scores.min()


def test_too_few_positives_are_told_with_how_many_it_takes() -> None:
    point = threshold_with_guarantee(np.arange(58.0), np.ones(58, dtype=bool), 0.95)
    assert math.isnan(point.threshold)
    assert "58 positive cases" in point.reason
    assert "59" in point.reason
    assert not math.isnan(threshold_with_guarantee(np.arange(59.0), np.ones(59, dtype=bool), 0.95).threshold)
    assert "patients" in threshold_with_guarantee(np.arange(9.0), [True] * 9, 0.9, patients=list("aaabbbccc")).reason
    assert "nothing is missed" in threshold_with_guarantee(np.arange(99.0), [True] * 99, 1.0).reason


@pytest.mark.parametrize(("target", "confidence"), [(0, 0.9), (1.1, 0.9), (0.9, 0), (0.9, 1), (math.nan, 0.9)])
def test_a_guarantee_that_is_no_share_is_refused(target: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="sensitivity to guarantee"):
        threshold_with_guarantee([0.5], [True], target, confidence)


def test_a_case_without_a_score_is_left_out() -> None:
    scores, positive = np.arange(120.0), np.arange(120) % 6 > 0
    more, truth, names = np.append(scores, [np.nan] * 2), np.append(positive, [True, False]), [*range(120), 5, None]
    assert threshold_for_specificity(more, truth, 0.8) == threshold_for_specificity(scores, positive, 0.8)
    assert threshold_for_cost(more, truth, 3, 1) == threshold_for_cost(scores, positive, 3, 1)
    assert threshold_with_guarantee(more, truth, 0.9, patients=names) == threshold_with_guarantee(scores, positive, 0.9)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="give both"):
        threshold_for_specificity([0.1, 0.2], [True], 0.9)
    with pytest.raises(ValueError, match="patients"):
        threshold_with_guarantee([0.1, 0.2], [True, False], 0.9, patients=["a"])
