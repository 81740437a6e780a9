"""Subgroups: what is judged, what is withheld, and what is flagged."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from subgroup_cohorts import drawn

from medcnn.metrics.counts import Counts
from medcnn.metrics.ranking import auroc
from medcnn.metrics.subgroups import subgroups


@pytest.fixture(scope="module")
def cohort() -> dict[str, Any]:
    return drawn(1, 900)


def test_a_group_has_the_figures_of_its_cases_alone(cohort: dict[str, Any]) -> None:
    group = next(g for g in subgroups(**cohort).groups if (g.column, g.name) == ("view", "AP"))
    inside = np.array([view == "AP" for view in cohort["columns"]["view"]])
    positive, called = cohort["positive"][inside], cohort["called"][inside]
    expected = Counts.of(called, positive).figures()
    assert (group.cases, group.events) == (inside.sum(), positive.sum())
    assert group.patients == len(np.unique(np.array(cohort["patients"])[inside]))
    assert group.auroc.value == pytest.approx(auroc(cohort["scores"][inside], positive))
    for figure in ("sensitivity", "specificity", "ppv", "npv"):
        estimate = getattr(group, figure)
        assert estimate.value == pytest.approx(expected[figure])
        assert estimate.low < estimate.value < estimate.high
    ratio = positive.sum() / cohort["scores"][inside].sum()
    assert group.observed_over_expected.value == pytest.approx(ratio)


def test_a_group_that_is_too_small_is_counted_and_withheld() -> None:
    given = drawn(2, 300)
    given["columns"] = {"site": ["far away"] * 7 + ["here"] * 150 + ["there"] * 143}
    found = subgroups(**given)
    small = next(g for g in found.groups if g.name == "far away")
    assert small.cases == 7
    assert np.isnan(small.auroc.value)
    assert small.reason == small.auroc.reason == "7 cases, and fewer than 20 are not judged"
    assert {gap.group for gap in found.gaps} == {"here", "there"}


def test_a_group_in_which_all_have_the_finding_has_a_sensitivity_and_no_more() -> None:
    given = drawn(5, 600)
    cause = np.where(given["positive"], np.where(np.arange(600) % 2, "virus", "bacteria"), "none")
    found = subgroups(**given | {"columns": {"cause": cause.tolist()}})
    virus = next(g for g in found.groups if g.name == "virus")
    assert virus.sensitivity.value == pytest.approx(given["called"][cause == "virus"].mean())
    assert not virus.reason
    assert virus.auroc.reason == "0 patients without the finding, and fewer than 5 are not judged"
    assert np.isnan(virus.specificity.value)
    assert {(gap.group, gap.figure) for gap in found.gaps} == {("bacteria", "sensitivity"), ("virus", "sensitivity")}


def test_one_patient_with_many_films_is_no_group() -> None:
    given = drawn(3, 300)
    given["patients"] = [0] * 60 + given["patients"][60:]
    given["columns"] = {"ward": ["icu"] * 60 + ["other"] * 240}
    group = next(g for g in subgroups(**given).groups if g.name == "icu")
    assert "1 patients with" in group.reason or "1 patients without" in group.reason


def test_the_two_groups_of_a_column_are_one_look_and_mirror_each_other(cohort: dict[str, Any]) -> None:
    found = subgroups(**cohort | {"columns": {"sex": cohort["columns"]["sex"]}})
    assert found.looks == 4
    women, men = ([gap for gap in found.gaps if gap.group == name] for name in "FM")
    for one, other in zip(women, men, strict=True):
        assert (one.figure, one.p, one.p_adjusted) == (other.figure, other.p, other.p_adjusted)
        assert one.value.value == -other.value.value
        assert one.value.low == -other.value.high


def test_columns_that_tell_no_groups_are_skipped_with_a_reason(cohort: dict[str, Any]) -> None:
    n = len(cohort["scores"])
    columns = {"one": ["x"] * n, "ward": [f"ward {row}" for row in range(n)], "empty": [None] * n}
    found = subgroups(**cohort | {"columns": columns})
    assert not found.groups
    assert found.skipped == {
        "one": "all cases are in one group",
        "ward": "nearly every case has a value of its own",
        "empty": "all cases are in one group",
    }


def test_scores_that_are_no_probabilities_have_no_calibration(cohort: dict[str, Any]) -> None:
    found = subgroups(**cohort | {"scores": 10 * cohort["scores"] - 3})
    assert {gap.figure for gap in found.gaps} == {"auroc", "sensitivity", "specificity"}
    assert "not probabilities" in found.groups[0].observed_over_expected.reason
    assert found.groups[0].auroc.value == pytest.approx(subgroups(**cohort).groups[0].auroc.value)


def test_cases_without_a_score_are_left_out_and_counted(cohort: dict[str, Any]) -> None:
    scores = cohort["scores"].copy()
    scores[:5] = np.nan
    found = subgroups(**cohort | {"scores": scores})
    assert found.left_out == 5
    assert sum(group.cases for group in found.groups if group.column == "sex") == len(scores) - 5


@pytest.mark.parametrize("positive", [np.zeros(40, bool), np.ones(40, bool)])
def test_one_class_only_is_told_and_not_judged(positive: np.ndarray) -> None:
    found = subgroups(np.full(40, 0.5), positive, ~positive, {"sex": ["F", "M"] * 20})
    assert [group.cases for group in found.groups] == [20, 20]
    assert all(np.isnan(group.auroc.value) for group in found.groups)
    assert {gap.figure for gap in found.gaps} == {"sensitivity" if positive.all() else "specificity"}
    assert "0 patients" in found.groups[0].auroc.reason


def test_nothing_at_all_is_no_error() -> None:
    empty = np.zeros(0, bool)
    assert subgroups(np.zeros(0), empty, empty, {"sex": []}).skipped == {"sex": "all cases are in one group"}


def test_the_order_of_the_cases_has_no_part_in_it(cohort: dict[str, Any]) -> None:
    order = np.random.default_rng(0).permutation(len(cohort["scores"]))
    mixed = {name: np.array(cohort[name])[order] for name in ("scores", "positive", "called", "patients")}
    columns = {name: [values[row] for row in order] for name, values in cohort["columns"].items()}
    one, other = subgroups(**cohort), subgroups(**mixed, columns=columns)
    assert [g.name for g in one.groups] == [g.name for g in other.groups]
    assert [g.p for g in one.gaps] == pytest.approx([g.p for g in other.gaps])


def test_columns_of_a_table_are_taken_by_place(cohort: dict[str, Any]) -> None:
    table = pd.DataFrame(cohort["columns"] | {"patient": cohort["patients"]})[::-1]
    turned = {name: cohort[name][::-1] for name in ("scores", "positive", "called")}
    found = subgroups(**turned, columns=dict(table.drop(columns="patient").items()), patients=table["patient"])
    assert [g.cases for g in found.groups] == [g.cases for g in subgroups(**cohort).groups]


def test_lengths_that_differ_are_a_mistake(cohort: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give one a case"):
        subgroups(**cohort | {"columns": {"sex": ["F"]}})


def test_a_planted_gap_is_flagged_and_named() -> None:
    found = subgroups(**drawn(5, 4000, weaker=0.80))
    flagged = {(gap.column, gap.group) for gap in found.gaps if gap.figure == "auroc" and gap.flagged}
    assert flagged == {("sex", "F"), ("sex", "M")}
    women = next(gap for gap in found.gaps if (gap.group, gap.figure) == ("F", "auroc"))
    assert women.value.low < -0.10 < women.value.high


def test_null_data_is_rarely_flagged() -> None:
    """A few draws of what `benchmarks/subgroups.py` does at length."""
    flagged = [any(gap.flagged for gap in subgroups(**drawn(100 + seed, 400)).gaps) for seed in range(40)]
    assert sum(flagged) <= 4


def test_without_calls_nothing_that_needs_one_is_looked_at_or_corrected_for(cohort: dict[str, Any]) -> None:
    whole, bare = subgroups(**cohort), subgroups(**cohort | {"called": None})
    assert {gap.figure for gap in bare.gaps} == {"auroc", "calibration"}
    called = [gap for gap in whole.gaps if gap.figure in ("sensitivity", "specificity") and gap.column != "sex"]
    two = len({gap.figure for gap in whole.gaps if gap.column == "sex"}) - 2
    assert bare.looks == whole.looks - len(called) - two
    assert all(np.isnan(g.sensitivity.value) and g.ppv.reason == "no threshold is stored" for g in bare.groups)
    assert [g.auroc for g in bare.groups] == [g.auroc for g in whole.groups]
