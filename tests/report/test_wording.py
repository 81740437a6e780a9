"""Figures read as a clinician expects them to."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcnn.metrics.estimate import Estimate
from medcnn.report.page.tables import grid
from medcnn.report.page.wording import cell, column_style, count, interval, is_known, p_value, share, text


@pytest.mark.parametrize(
    ("value", "read"),
    [(0.91234, "0.912"), (1.0, "1.000"), (0.0, "0.000"), (0.00012, "0.00012"), (12345.6, "12,346"),
     (61.82, "61.8"), (250.187, "250"), (-0.25, "-0.250"),
     (math.nan, "not known"), (math.inf, "infinity"), (-math.inf, "minus infinity")],
)  # fmt: skip
def test_a_share_reads(value: float, read: str) -> None:
    assert share(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [(0.03449, "0.034"), (0.0, "< 0.001"), (0.00099, "< 0.001"), (0.9999, "> 0.999"), (math.nan, "not known")],
)
def test_a_p_value_reads(value: float, read: str) -> None:
    assert p_value(value) == read


@given(st.floats())
def test_no_number_reads_as_the_machine_writes_it(value: float) -> None:
    for style in (share, count, p_value):
        assert "nan" not in style(value)
        assert "inf" not in style(value).replace("infinity", "")


@pytest.mark.parametrize("name", ["p", "p value", "p_adjusted", "AUROC p", "gap/p"])
def test_a_column_of_p_values_is_known_by_its_name(name: str) -> None:
    assert column_style(name, [0.5]) is p_value


@pytest.mark.parametrize(
    ("values", "style"),
    [
        ([1, 20], count),
        ([1.0, 0.0], share),
        ([3.0, math.nan, 400.0], count),
        ([0.5, 2.0], share),
        ([np.int64(3)], count),
    ],
)
def test_counts_are_told_from_shares(values: list[float], style: object) -> None:
    assert column_style("ppv", values) is style


@pytest.mark.parametrize("value", [None, math.nan, pd.NA, pd.NaT, np.float64("nan"), Estimate(math.nan)])
def test_what_is_missing_is_not_known(value: object) -> None:
    assert not is_known(value)


def test_yes_and_no_are_words() -> None:
    assert cell(True, share) == cell(np.True_, share) == "yes"
    assert cell(np.False_, share) == "no"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert len(text("x" * 5000)) == 400
    assert text("x" * 5000).endswith("…")


def test_an_interval_needs_both_ends() -> None:
    assert interval(Estimate(0.5, 0.25, 0.75)) == "0.250 to 0.750"
    assert interval(Estimate(0.5, 0.25)) == ""


def test_a_grid_shows_the_first_rows_with_figures_at_the_right_and_each_reason_once() -> None:
    few = Estimate(math.nan, reason="too few cases")
    frame = pd.DataFrame({
        "group": list("abcd"), "n": [1, 2000, 3, 4], "AUROC": [few, Estimate(0.5, 0.25, 0.75), few, few],
        "flagged": [True, False, False, False], "note": [None] * 4,
    })  # fmt: skip
    shown = grid(frame, 3)
    assert [column.figures for column in shown.columns] == [False, True, True, False, False]
    assert not any(column.long for column in shown.columns)
    assert shown.total == 4
    assert shown.named
    assert shown.notes == {"a": "too few cases"}
    assert [row[2].mark for row in shown.rows] == ["a", "", "a"]
    assert [cell.text for cell in shown.rows[1]] == ["b", "2,000", "0.500", "no", "not known"]
    assert shown.rows[1][2].interval == "0.250 to 0.750"


def test_more_reasons_than_letters_have_two_letters() -> None:
    frame = pd.DataFrame({"a": [Estimate(math.nan, reason="x" * (k + 1)) for k in range(28)]})
    assert list(grid(frame, 28).notes)[24:] == ["y", "z", "aa", "ab"]


def test_reasons_that_differ_in_numbers_alone_share_a_letter_and_tell_the_range() -> None:
    few = [Estimate(math.nan, reason=f"{k:,} cases, and fewer than 20 are not judged") for k in (12, 1007, 7)]
    other = Estimate(math.nan, reason="all have it")
    shown = grid(pd.DataFrame({"a": [*few, other]}), 9)
    assert shown.notes == {"a": "7 to 1,007 cases, and fewer than 20 are not judged", "b": "all have it"}
    assert [row[0].mark for row in shown.rows] == ["a", "a", "a", "b"]
