"""DeLong's interval and test against a comparison of all pairs, by their laws, and where nothing can be told."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn.metrics import roc_auc_score

from medcnn.metrics.delong import auroc_covariance, auroc_interval, compare_auroc, placements

# Few distinct scores, so that ties are the rule.
SCORES = hnp.arrays(np.float64, 30, elements=st.integers(0, 6).map(float))
POSITIVE = hnp.arrays(np.bool_, 30)
PATIENTS = hnp.arrays(np.int64, 30, elements=st.integers(0, 11))


def kernel(scores, positive):
    """1 for a pair won, one half for a tie: positives by negatives."""
    first, second = scores[positive][:, None], scores[~positive][None]
    return (first > second) + 0.5 * (first == second)


def delong_covariance(first, second, positive):
    """DeLong et al., 1988, equations 4 to 7, pair by pair."""
    one, other = kernel(first, positive), kernel(second, positive)
    of_positives = np.cov(one.mean(axis=1), other.mean(axis=1))
    of_negatives = np.cov(one.mean(axis=0), other.mean(axis=0))
    return of_positives / one.shape[0] + of_negatives / one.shape[1]


def obuchowski_covariance(first, second, positive, patients):
    """Obuchowski, 1997, as its author's published program adds it up, patient by patient."""
    m, n, names = positive.sum(), (~positive).sum(), np.unique(patients)
    parts = []
    for scores in (first, second):
        wins = kernel(scores, positive)
        x = [wins.mean(axis=1)[patients[positive] == name].sum() for name in names]
        y = [wins.mean(axis=0)[patients[~positive] == name].sum() for name in names]
        ms = [(positive & (patients == name)).sum() for name in names]
        ns = [(~positive & (patients == name)).sum() for name in names]
        parts.append((np.array(x) - np.array(ms) * wins.mean(), np.array(y) - np.array(ns) * wins.mean()))
    i, i10, i01 = len(names), len(np.unique(patients[positive])), len(np.unique(patients[~positive]))
    found = np.zeros((2, 2))
    for a, (x1, y1) in enumerate(parts):
        for b, (x2, y2) in enumerate(parts):
            s10, s01 = i10 / ((i10 - 1) * m) * (x1 @ x2), i01 / ((i01 - 1) * n) * (y1 @ y2)
            s11 = i / (i - 1) * (x1 @ y2 + x2 @ y1)
            found[a, b] = s10 / m + s01 / n + s11 / (m * n)
    return found


def variance_of(estimate, freedom):
    """The variance that an interval on the logit scale stands on."""
    logits = np.log([estimate.low / (1 - estimate.low), estimate.high / (1 - estimate.high)])
    reach = np.diff(logits)[0] / 2 / stats.t.ppf(0.5 + estimate.level / 2, freedom)
    return (reach * estimate.value * (1 - estimate.value)) ** 2


def welch(one, n_one, other, n_other):
    return (one + other) ** 2 / (one**2 / (n_one - 1) + other**2 / (n_other - 1))


@settings(max_examples=50, deadline=None)
@given(SCORES, POSITIVE)
def test_the_components_are_those_of_all_pairs_with_ties(scores, positive):
    assume(0 < positive.sum() < len(positive))
    area, placed = placements(scores, positive)
    wins = kernel(scores, positive)
    assert area == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert placed[positive] == pytest.approx(wins.mean(axis=1), abs=1e-12)
    assert placed[~positive] == pytest.approx(wins.mean(axis=0), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(SCORES, SCORES, POSITIVE)
def test_variance_and_covariance_are_those_of_all_pairs_with_ties(first, second, positive):
    assume(1 < positive.sum() < len(positive) - 1)
    found = auroc_covariance(np.stack([first, second]), positive)
    assert found == pytest.approx(delong_covariance(first, second, positive), abs=1e-10)


@settings(max_examples=50, deadline=None)
@given(SCORES, SCORES, POSITIVE, PATIENTS)
def test_with_several_cases_a_patient_they_are_obuchowskis(first, second, positive, patients):
    assume(min(len(np.unique(patients[side])) for side in (positive, ~positive)) > 1)
    found = auroc_covariance(np.stack([first, second]), positive, patients)
    assert found == pytest.approx(obuchowski_covariance(first, second, positive, patients), abs=1e-10)


@pytest.mark.parametrize("clustered", [True, False])
def test_interval_and_p_stand_on_that_variance(clustered):
    generator = np.random.default_rng(5)
    patients = np.repeat(np.arange(40), 4) if clustered else np.arange(160)
    positive = patients % 2 == 0
    first = generator.normal(size=160) + 1.2 * positive
    second = first + generator.normal(size=160)
    cells = auroc_covariance(np.stack([first, second]), positive, patients)
    wins = kernel(first, positive)
    sums = [np.bincount(patients[side], wins.mean(axis=axis) - wins.mean())
            for axis, side in ((1, positive), (0, ~positive))]  # fmt: skip
    sides = [len(np.unique(patients[side])) for side in (positive, ~positive)]
    parts = [(one**2).sum() / side.sum() ** 2 * k / (k - 1)
             for one, side, k in zip(sums, (positive, ~positive), sides, strict=True)]  # fmt: skip
    freedom = welch(parts[0], sides[0], parts[1], sides[1])
    assert variance_of(auroc_interval(first, positive, patients), freedom) == pytest.approx(cells[0, 0], rel=1e-9)
    found = compare_auroc(first, second, positive, patients)
    error = math.sqrt(cells[0, 0] + cells[1, 1] - 2 * cells[0, 1])
    reach = (found.difference.high - found.difference.low) / 2
    freedom = fitted_freedom(reach / error)
    assert sides[0] - 1 <= freedom <= 2 * (sides[0] - 1)
    assert found.p == pytest.approx(2 * stats.t.sf(found.difference.value / error, freedom), rel=1e-6)


def fitted_freedom(ratio):
    from scipy.optimize import brentq

    return brentq(lambda freedom: stats.t.ppf(0.975, freedom) - ratio, 0.9, 1e7)


@settings(max_examples=50, deadline=None)
@given(SCORES, POSITIVE, PATIENTS)
def test_it_lies_around_its_value_and_turns_with_the_scores(scores, positive, patients):
    found, turned = auroc_interval(scores, positive, patients), auroc_interval(-scores, positive, patients)
    assume(not math.isnan(found.low))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert (turned.low, turned.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(SCORES, SCORES, POSITIVE)
def test_models_that_change_places_turn_the_difference_round(first, second, positive):
    one, other = compare_auroc(first, second, positive), compare_auroc(second, first, positive)
    assert one.p == pytest.approx(other.p, nan_ok=True)
    assert one.difference.low == pytest.approx(-other.difference.high, nan_ok=True)


def test_by_hand_on_four_cases_and_two_ties():
    # Pairs: (2 v 1) won, (2 v 2) tied, (3 v 1) won, (3 v 2) won. Components 3/4, 1 and 1, 3/4.
    scores, positive = np.array([2.0, 3.0, 1.0, 2.0]), np.array([True, True, False, False])
    found = auroc_interval(scores, positive)
    assert found.value == 3.5 / 4
    assert auroc_covariance(scores[None], positive)[0, 0] == pytest.approx(2 * ((1 / 8) ** 2 * 2 / 1 / 2))
    assert (found.n, found.patients, found.events) == (4, 4, 2)


def test_copies_of_every_film_are_no_evidence():
    generator = np.random.default_rng(0)
    positive = generator.random(80) < 0.5
    scores = generator.normal(size=80) + positive
    once = auroc_interval(scores, positive)
    copies = auroc_interval(np.repeat(scores, 5), np.repeat(positive, 5), np.repeat(np.arange(80), 5))
    assert copies[:3] == pytest.approx(once[:3], abs=1e-9)
    naive = auroc_interval(np.repeat(scores, 5), np.repeat(positive, 5))
    assert naive.high - naive.low < 0.5 * (once.high - once.low)


def test_the_test_keeps_its_level_where_two_models_are_equally_good():
    generator, misses = np.random.default_rng(1), 0
    for _ in range(400):
        positive = np.arange(60) < 30
        truth = generator.normal(size=60) + positive
        misses += compare_auroc(*(truth + 0.7 * generator.normal(size=(2, 60))), positive).p < 0.05
    assert stats.binom.ppf(0.001, 400, 0.05) <= misses <= stats.binom.ppf(0.999, 400, 0.05)


def test_a_far_better_model_is_told_from_a_coin():
    generator = np.random.default_rng(2)
    positive = np.arange(200) < 90
    found = compare_auroc(generator.normal(size=200) + 2 * positive, generator.normal(size=200), positive)
    assert found.p < 1e-6
    assert 0.2 < found.difference.low < found.difference.value < found.difference.high < 0.7


def reaches(theta, auroc, pairs):
    """Whether the AUROC lies 1.96 of Hanley and McNeil's errors from theta, with as many cases in either class."""
    first, second = theta / (2 - theta), 2 * theta**2 / (1 + theta)
    alike = (pairs - 1) * (first - theta**2 + second - theta**2)
    # Newcombe's method 5 at equal sizes is the form of 1982 itself.
    return (auroc - theta) ** 2 == pytest.approx(1.959964**2 * (theta * (1 - theta) + alike) / pairs**2, rel=1e-5)


@pytest.mark.parametrize("turn", [1, -1])
def test_wholly_parted_classes_get_the_end_from_where_one_is_196_errors_away(turn):
    scores, positive = turn * np.arange(30.0), np.arange(30) >= 20
    found = auroc_interval(scores, positive)
    assert (found.high if turn > 0 else found.low) == (1 if turn > 0 else 0)
    assert reaches(found.low if turn > 0 else 1 - found.high, 1, 10)
    assert "10 independent pairs" in found.reason


def test_five_films_of_a_patient_are_one_pair_where_classes_are_parted():
    positive, patients = np.repeat([False, True], 50), np.repeat(np.arange(20), 5)
    assert reaches(auroc_interval(positive.astype(float), positive, patients).low, 1, 10)


def test_a_model_that_loses_a_pair_never_looks_more_certain_than_one_that_loses_none():
    positive = np.arange(60) >= 40
    parted = np.arange(60.0)
    ends = [auroc_interval(parted, positive)]
    for lost in (0.5, 1.5, 3.5, 8.5):  # the lowest positive sinks below one, two, four, nine negatives
        scores = parted.copy()
        scores[40] = 40 - lost - 0.1
        ends.append(auroc_interval(scores, positive))
    values, lows = [one.value for one in ends], [one.low for one in ends]
    assert values == sorted(values, reverse=True)
    assert lows == sorted(lows, reverse=True)
    assert "Newcombe" in ends[1].method


def test_near_the_edge_the_interval_holds_the_truth_of_a_very_strong_model():
    held, told, truth = 0, 0, stats.norm.cdf(3.6 / math.sqrt(2))
    for seed in range(300):
        generator = np.random.default_rng(seed)
        patients = np.repeat(np.arange(60), 5)
        positive = (generator.random(60) < 0.4)[patients]
        common, own = generator.normal(size=60)[patients], generator.normal(size=300)
        found = auroc_interval(3.6 * positive + math.sqrt(0.6) * common + math.sqrt(0.4) * own, positive, patients)
        told += not math.isnan(found.low)
        held += found.low <= truth <= found.high
    assert told == 300
    assert held >= stats.binom.ppf(0.001, 300, 0.95)  # DeLong alone held it in 90 % of such cohorts


@pytest.mark.parametrize(
    ("scores", "positive", "patients", "words"),
    [
        ([], [], None, "no case"),
        ([1, 2, 3], [True] * 3, None, "every case is positive"),
        ([1, 2, 3], [False] * 3, None, "every case is negative"),
        ([1, math.nan, 3], [True, False, True], None, "1 of 3 scores"),
        ([1, math.inf, 3], [True, False, True], None, "1 of 3 scores"),
    ],
)
def test_what_cannot_be_told_is_nan_with_a_reason(scores, positive, patients, words):
    found = auroc_interval(np.array(scores, float), np.array(positive, bool), patients)
    assert math.isnan(found.value)
    assert math.isnan(found.low)
    assert words in found.reason
    compared = compare_auroc(np.array(scores, float), np.zeros(len(scores)), np.array(positive, bool), patients)
    assert math.isnan(compared.p)
    assert words in compared.reason


@pytest.mark.parametrize(
    ("scores", "positive", "patients", "words"),
    [
        ([2, 1, 3], [True, False, False], None, "one patient alone has positive"),
        ([1, 3, 2], [True, False, True], ["a"] * 3, "one patient alone"),
        ([1, 2, 1, 2], [True, False, False, True], ["a"] * 4, "one patient alone"),
        ([1, 2, 3, 0], [True, True, False, False], ["a", "a", "b", "c"], "one patient alone has positive"),
        ([1, 1, 1, 1], [True, True, False, False], None, "variance is zero"),
    ],
)
def test_a_value_without_a_spread_has_no_interval(scores, positive, patients, words):
    found = auroc_interval(np.array(scores, float), np.array(positive), patients)
    assert found.value == roc_auc_score(positive, scores)
    assert math.isnan(found.low)
    assert words in found.reason


def test_three_parted_cases_say_next_to_nothing():
    found = auroc_interval(np.array([1.0, 2.0, 3.0]), np.array([False, False, True]))
    assert found[:3] == pytest.approx((1, 0.025, 1))
    assert "1 independent" in found.reason


def test_a_model_compared_with_itself_has_no_p():
    positive, scores = np.arange(20) < 9, np.random.default_rng(0).normal(size=20)
    found = compare_auroc(scores, scores * 2, positive)
    assert found.difference.value == 0
    assert math.isnan(found.p)
    assert "no spread" in found.reason


def test_a_mistake_in_shapes_says_what_was_given():
    with pytest.raises(ValueError, match=r"\(3,\)"):
        auroc_interval(np.zeros(3), np.zeros(4, bool))
    with pytest.raises(ValueError, match="3 cases and 2 patients"):
        auroc_interval(np.zeros(3), np.zeros(3, bool), ["a", "b"])
    with pytest.raises(ValueError, match="level"):
        auroc_interval(np.zeros(3), np.zeros(3, bool), level=95)
