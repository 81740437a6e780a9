"""Shares and ratios against scipy, by hand arithmetic, by the laws of clusters, and where nothing can be told."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from medcnn.metrics.counts import Counts
from medcnn.metrics.rates import at_prevalence, rates, share

CALLED, POSITIVE = hnp.arrays(np.bool_, 30), hnp.arrays(np.bool_, 30)
PATIENTS = hnp.arrays(np.int64, 30, elements=st.integers(0, 11))
SHARES = ("sensitivity", "specificity", "ppv", "npv", "accuracy")


def table(hits, misses, alarms, passes):
    """Calls and truth of a table of four cells."""
    called = np.repeat([True, False, True, False], [hits, misses, alarms, passes])
    return called, np.repeat([True, True, False, False], [hits, misses, alarms, passes])


@pytest.mark.parametrize(("hits", "n"), [(0, 12), (3, 12), (12, 12), (1, 1), (400, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_a_share_of_single_cases_is_scipys_wilson(hits, n, level):
    found = share(np.arange(n) < hits, level=level)
    theirs = stats.binomtest(hits, n).proportion_ci(level, method="wilson")
    assert found[:3] == pytest.approx((hits / n, *theirs), abs=1e-12)
    assert (found.n, found.patients, found.method, found.reason) == (n, n, "Wilson", "")


def test_naming_single_cases_changes_nothing():
    hits = np.arange(20) < 7
    assert share(hits, [f"p{i}" for i in range(20)]) == share(hits)


def test_films_that_repeat_their_patient_count_as_patients():
    once = np.arange(40) < 30
    found = share(np.repeat(once, 5), np.repeat(np.arange(40), 5))
    # Variance between patients p (1 - p) / (G - 1), so G - 1 effective cases, and Student's t.
    width = stats.t.ppf(0.975, 39) ** 2 / 39
    reach = math.sqrt(width * 0.75 * 0.25 + width**2 / 4)
    ends = [(0.75 + width / 2 + sign * reach) / (1 + width) for sign in (-1, 1)]
    assert (found.low, found.high) == pytest.approx(ends)
    assert found.method == "Wilson, clustered by patient"


@settings(max_examples=50, deadline=None)
@given(CALLED, PATIENTS)
def test_the_effective_number_is_that_of_the_ratio_estimator(hits, patients):
    names = np.unique(patients)
    assume(0 < hits.sum() < 30)
    assume(1 < len(names) < 30)
    rests = [sum(hits[patients == name] - hits.mean()) for name in names]
    variance = len(names) / (len(names) - 1) * sum(rest**2 for rest in rests) / 30**2
    binomial = hits.mean() * (1 - hits.mean()) / 30
    size = 30 / max(variance / binomial, 1)
    found = share(hits, patients)
    # A Wilson end solves (value - end)**2 = t**2 end (1 - end) / size.
    t = stats.t.ppf(0.975, len(names) - 1)
    for end in (found.low, found.high):
        assert (found.value - end) ** 2 == pytest.approx(t**2 * end * (1 - end) / size, abs=1e-9)


@pytest.mark.parametrize("value", [True, False])
def test_where_every_case_is_alike_only_patients_count(value):
    patients = np.repeat(np.arange(25), 4)
    found = share(np.full(100, value), patients)
    t = stats.t.ppf(0.975, 24)
    edge = t**2 / 25 / (1 + t**2 / 25)
    assert (found.low, found.high) == pytest.approx((1 - edge, 1) if value else (0, edge))


def test_clusters_of_unlike_size_that_are_alike_count_for_less_than_their_number():
    even = share(np.full(100, True), np.repeat(np.arange(10), 10))
    uneven = share(np.full(100, True), np.repeat(np.arange(10), [91] + [1] * 9))
    assert uneven.low < even.low


@settings(max_examples=50, deadline=None)
@given(CALLED, POSITIVE, PATIENTS)
def test_values_are_those_of_the_four_cells_and_lie_in_their_intervals(called, positive, patients):
    found, counted = rates(called, positive, patients), Counts.of(called, positive).figures()
    for name in SHARES:
        assert found[name].value == pytest.approx(counted[name], nan_ok=True)
    for one in found.values():
        assert math.isnan(one.low) or one.low <= one.value <= one.high
        assert one.reason or not math.isnan(one.low)


def test_single_cases_by_hand_and_against_scipy():
    found = rates(*table(45, 5, 20, 80))
    wilson = stats.binomtest(45, 50).proportion_ci(method="wilson")
    assert found["sensitivity"][:3] == pytest.approx((0.9, *wilson))
    assert (found["ppv"].n, found["ppv"].events, found["npv"].n) == (65, 45, 85)
    # Simel: ln 4.5 +- 1.96 sqrt(1/45 - 1/50 + 1/20 - 1/100).
    reach = stats.norm.ppf(0.975) * math.sqrt(1 / 45 - 1 / 50 + 1 / 20 - 1 / 100)
    expected = (4.5, 4.5 * math.exp(-reach), 4.5 * math.exp(reach))
    assert found["lr_positive"][:3] == pytest.approx(expected)
    reach = stats.norm.ppf(0.975) * math.sqrt(1 / 5 - 1 / 50 + 1 / 80 - 1 / 100)
    expected = (0.125, 0.125 * math.exp(-reach), 0.125 * math.exp(reach))
    assert found["lr_negative"][:3] == pytest.approx(expected)


def test_copies_of_every_case_are_no_evidence_for_a_ratio():
    called, positive = table(45, 5, 20, 80)
    once, names = rates(called, positive)["lr_positive"], np.repeat(np.arange(150), 6)
    copies = rates(np.repeat(called, 6), np.repeat(positive, 6), names)["lr_positive"]
    assert copies.value == pytest.approx(once.value)
    # The t and k / (k - 1) for the normal: a little wider.
    ratio = math.log(copies.high / copies.low) / math.log(once.high / once.low)
    assert 1.0 < ratio < 1.05


def test_a_ratio_of_films_covers_the_truth_as_often_as_it_says():
    generator, covered, naive = np.random.default_rng(0), 0, 0
    owner = np.repeat(np.arange(100), 4)
    positive = owner < 50
    truth = stats.norm.sf(-0.2) / stats.norm.sf(0.8)
    for _ in range(150):
        common = generator.normal(size=100)[owner]
        called = math.sqrt(0.6) * common + math.sqrt(0.4) * generator.normal(size=400) + positive > 0.8
        one, other = (rates(called, positive, names)["lr_positive"] for names in (owner, None))
        covered += one.low <= truth <= one.high
        naive += other.low <= truth <= other.high
    assert stats.binom.ppf(0.001, 150, 0.95) <= covered
    assert naive < stats.binom.ppf(0.001, 150, 0.95)


def test_no_called_negative_is_a_ratio_without_an_upper_end():
    found = rates(*table(30, 10, 0, 60))
    low = stats.binomtest(30, 40).proportion_ci(method="wilson").low
    high = stats.binomtest(0, 60).proportion_ci(method="wilson").high
    assert found["lr_positive"][:3] == pytest.approx((math.inf, low / high, math.inf))
    assert "no upper end" in found["lr_positive"].reason
    assert found["specificity"].value == 1


def test_no_missed_positive_is_a_ratio_of_zero_with_an_upper_end():
    found = rates(*table(40, 0, 6, 54))["lr_negative"]
    high = stats.binomtest(0, 40).proportion_ci(method="wilson").high
    low = stats.binomtest(54, 60).proportion_ci(method="wilson").low
    assert found[:3] == pytest.approx((0, 0, high / low))
    assert found.reason


@pytest.mark.parametrize(
    ("cells", "lost"),
    [
        ((3, 2, 0, 0), {"specificity": "no negative", "lr_positive": "no negative", "lr_negative": "no negative"}),
        ((0, 0, 3, 2), {"sensitivity": "no positive", "lr_positive": "no positive", "lr_negative": "no positive"}),
        ((0, 3, 0, 3), {"ppv": "nothing was called", "lr_positive": "no case of either"}),
        ((3, 0, 3, 0), {"npv": "everything was called", "lr_negative": "no case of either"}),
        ((0, 0, 0, 0), dict.fromkeys(SHARES, "there is no case") | {"lr_positive": "no positive"}),
    ],
)
def test_what_cannot_be_told_is_nan_with_a_reason(cells, lost):
    found = rates(*table(*cells))
    for name, words in lost.items():
        assert math.isnan(found[name].value)
        assert words in found[name].reason
    assert all(math.isnan(found[name].value) == (name in lost) for name in SHARES)


def test_one_patient_with_many_films_has_values_and_no_interval():
    found = rates(*table(4, 1, 2, 3), ["a"] * 10)
    assert found["sensitivity"].value == 0.8
    assert all(math.isnan(one.low) and "one patient alone" in one.reason for one in found.values())


@settings(max_examples=50, deadline=None)
@given(*(st.integers(1, 60) for _ in range(4)), st.floats(0.001, 0.999))
def test_predictive_values_are_mercaldos_logit_intervals(hits, misses, alarms, passes, prevalence):
    found = rates(*table(hits, misses, alarms, passes))
    restated = at_prevalence(found["sensitivity"], found["specificity"], prevalence)
    se, sp = hits / (hits + misses), passes / (alarms + passes)
    z = stats.norm.ppf(0.975)
    ppv = se * prevalence / (se * prevalence + (1 - sp) * (1 - prevalence))
    reach = z * math.sqrt((1 - se) / se / (hits + misses) + sp / (1 - sp) / (alarms + passes))
    logits = math.log(ppv / (1 - ppv)) + np.array([-reach, reach])
    assert restated["ppv"][:3] == pytest.approx((ppv, *(1 / (1 + np.exp(-logits)))), rel=1e-6)
    npv = sp * (1 - prevalence) / (sp * (1 - prevalence) + (1 - se) * prevalence)
    reach = z * math.sqrt(se / (1 - se) / (hits + misses) + (1 - sp) / sp / (alarms + passes))
    logits = math.log(npv / (1 - npv)) + np.array([-reach, reach])
    assert restated["npv"][:3] == pytest.approx((npv, *(1 / (1 + np.exp(-logits)))), rel=1e-6)


def test_at_its_own_prevalence_the_ppv_stays():
    found = rates(*table(45, 5, 20, 80))
    restated = at_prevalence(found["sensitivity"], found["specificity"], 1 / 3)
    assert restated["ppv"].value == pytest.approx(found["ppv"].value)
    assert restated["npv"].value == pytest.approx(found["npv"].value)


def test_a_perfect_share_gets_the_adjusted_interval():
    found = rates(*table(30, 10, 0, 60))
    restated = at_prevalence(found["sensitivity"], found["specificity"], 0.05)["ppv"]
    z = stats.norm.ppf(0.975)
    se, sp = (30 + z**2 / 2) / (40 + z**2), (60 + z**2 / 2) / (60 + z**2)
    reach = z * math.sqrt((1 - se) / se / (40 + z**2) + sp / (1 - sp) / (60 + z**2))
    low = 1 / (1 + math.exp(-(math.log(0.05 / 0.95 * se / (1 - sp)) - reach)))
    assert restated[:3] == pytest.approx((1.0, low, 1.0))


def test_films_of_one_patient_widen_the_restated_values_too():
    called, positive = (np.repeat(part, 5) for part in table(45, 5, 20, 80))
    widths = []
    for names in (None, np.repeat(np.arange(150), 5)):
        found = rates(called, positive, names)
        one = at_prevalence(found["sensitivity"], found["specificity"], 0.1)["ppv"]
        widths.append(math.log(one.high / (1 - one.high)) - math.log(one.low / (1 - one.low)))
    assert widths[1] / widths[0] == pytest.approx(math.sqrt(5), rel=0.05)


def test_a_lost_share_is_a_lost_predictive_value():
    found = rates(*table(3, 2, 0, 0))
    restated = at_prevalence(found["sensitivity"], found["specificity"], 0.2)
    assert math.isnan(restated["ppv"].value)
    assert restated["ppv"].reason == "no negative"


def test_a_callers_mistake_says_what_was_given():
    found = rates(*table(3, 2, 4, 5))
    with pytest.raises(ValueError, match="prevalence is 5"):
        at_prevalence(found["sensitivity"], found["specificity"], 5)
    with pytest.raises(ValueError, match="one level"):
        at_prevalence(found["sensitivity"], found["specificity"]._replace(level=0.9), 0.5)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        rates(np.zeros(3, bool), np.zeros(4, bool))
    with pytest.raises(ValueError, match="level"):
        share(np.zeros(3, bool), level=95)
