"""Columns as groups: names that a clinician reads, and nothing lost."""

import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medcnn.metrics.subgroup_columns import NOT_GIVEN, group_names


def test_text_is_grouped_by_value_and_what_is_missing_comes_last() -> None:
    names, order = group_names("sex", ["M", None, "F", "", float("nan"), "F", pd.NA])
    assert order == ["F", "M", NOT_GIVEN]
    assert names.tolist() == ["M", NOT_GIVEN, "F", NOT_GIVEN, NOT_GIVEN, "F", NOT_GIVEN]


def test_of_many_values_the_rarest_are_told_together() -> None:
    values = [f"site {n:02d}" for n in range(20) for _ in range(n + 1)]
    names, order = group_names("site", values)
    assert order[-1] == "others (9 values)"
    assert len(order) == 12
    assert (names == "others (9 values)").sum() == sum(range(1, 10))


def test_ages_are_bands_of_years() -> None:
    names, order = group_names("PatientAge", [3.0, 17, 18, 39, 40, 59, 60, 79, 80, 95])
    assert order == ["under 18", "18 to 39", "40 to 59", "60 to 79", "80 or over"]
    assert names.tolist() == [one for one in order for _ in range(2)]


def test_children_are_cut_at_quartiles_and_so_is_an_age_in_months() -> None:
    assert group_names("age", [float(n) for n in range(1, 17)])[1] == ["1 to 4", "5 to 8", "9 to 12", "13 to 16"]
    months = group_names("age_months", [float(n) for n in range(1, 801)])[1]
    assert months == ["1 to 200", "201 to 400", "401 to 600", "601 to 800"]


def test_a_percentage_and_a_stage_are_no_age() -> None:
    for column in ("percentage", "stage", "image"):
        assert group_names(column, [float(n) for n in range(1, 101)])[1][0] == "1 to 25"


def test_few_numbers_are_groups_by_value() -> None:
    names, order = group_names("grade", [3.0, 1.0, 2.0, np.nan, 1.0])
    assert order == ["1", "2", "3", NOT_GIVEN]
    assert names.tolist() == ["3", "1", "2", NOT_GIVEN, "1"]


def test_quartiles_that_fall_together_are_one_group() -> None:
    names, order = group_names("lesions", [0.0] * 60 + [float(n) for n in range(1, 41)])
    assert order[0] == "0"
    assert (names == "0").sum() == 60


@settings(max_examples=80, deadline=None)
@example([0.0, -0.0])
@example([0.1, 0.1 + 1e-12])
@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(float("nan")), st.integers(0, 5)), max_size=40))
def test_every_case_is_in_one_group_of_the_order(values: list[object]) -> None:
    names, order = group_names("dose", values)
    assert set(names.tolist()) == set(order)
    assert len(order) == len(set(order))
