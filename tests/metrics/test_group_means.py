"""Means of groups against hand arithmetic and Welch, and flags that null data does not raise."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_ind

from medcnn.metrics.group_means import group_means, mean_difference, mean_of


def test_the_mean_and_its_numbers() -> None:
    found = mean_of(np.array([0.8, 0.9, np.nan, 0.7]), ["a", "a", "b", "c"])
    assert found.value == pytest.approx(0.8)
    assert (found.n, found.patients) == (3, 2)
    assert found.low <= found.value <= found.high


def test_one_patient_alone_has_no_interval_and_none_no_mean() -> None:
    assert np.isnan(mean_of(np.array([0.8, 0.9]), ["a", "a"]).low)
    assert mean_of(np.array([np.nan])).reason == "no case in which it is defined"


def test_with_one_case_a_patient_the_gap_is_that_of_a_t_test() -> None:
    draw = np.random.default_rng(0)
    values = np.concatenate([draw.normal(0.85, 0.05, 200), draw.normal(0.83, 0.05, 200)])
    of = ["a"] * 200 + ["b"] * 200
    one = next(group for group in group_means(values, {"site": of}) if group.group == "a")
    expected = ttest_ind(values[:200], values[200:], equal_var=False)
    assert one.gap.value == pytest.approx(values[:200].mean() - values[200:].mean())
    assert one.p == pytest.approx(expected.pvalue, rel=0.1)


def test_the_same_cases_ten_times_prove_nothing_more() -> None:
    draw = np.random.default_rng(1)
    values, of = draw.normal(size=60), ["a"] * 30 + ["b"] * 30
    once = group_means(values, {"site": of}, list(range(60)))[0]
    often = group_means(np.repeat(values, 10), {"site": list(np.repeat(of, 10))}, list(np.repeat(range(60), 10)))[0]
    assert often.p == pytest.approx(once.p)


def test_null_data_is_flagged_in_few_draws_and_a_gap_in_most() -> None:
    flags, found = 0, 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        people = np.repeat(np.arange(60), 2)
        values = 0.85 + draw.normal(0, 0.04, 60)[people] + draw.normal(0, 0.02, 120)
        columns = {
            "site": [str(site) for site in draw.integers(0, 3, 60)[people]],
            "age": draw.normal(60, 9, 60)[people],
        }
        flags += any(one.flagged for one in group_means(values, columns, list(people)))
        worse = values - 0.08 * (np.array(columns["site"]) == "1")
        found += any(one.flagged and one.group == "1" for one in group_means(worse, columns, list(people)))
    assert flags <= 20, "5 % of 200 are 10; chance alone gives at most about twice that"
    assert found > 180


def test_small_groups_are_told_and_not_judged_and_empty_values_are_a_group() -> None:
    groups = group_means(np.linspace(0.7, 0.9, 30), {"site": ["a"] * 14 + ["b"] * 3 + [None] * 13})
    told = {one.group: one for one in groups}
    assert set(told) == {"a", "b", "not given"}
    assert told["b"].gap.reason.startswith("fewer than 10 cases")
    assert not told["b"].flagged


def test_numbers_are_cut_at_their_quartiles() -> None:
    groups = group_means(np.ones(80), {"dose": [float(dose) for dose in range(20, 100)]})
    assert [one.group for one in groups] == ["20 to 39", "40 to 59", "60 to 79", "80 to 99"]
    assert all(one.mean.n == 20 for one in groups)


def test_a_paired_difference_is_a_t_test_of_patients() -> None:
    values = np.random.default_rng(4).normal(0.01, 0.03, 40)
    found, p = mean_difference(values)
    expected = ttest_1samp(values, 0)
    assert p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(), rel=1e-9)
    often, p_often = mean_difference(np.repeat(values, 3), list(np.repeat(range(40), 3)))
    assert p_often == pytest.approx(p)
    assert often.n == 120
