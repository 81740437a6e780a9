"""What the page says of data that cannot answer: a plain sentence on top, never a crash, never a number made up."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from report_fakes import planted

from medcnn.errors import ReportError
from medcnn.report.classification_page import classification_page, headline, verdict
from medcnn.report.evidence import gather
from medcnn.report.facts import RunFacts
from medcnn.report.outcome import Outcome
from medcnn.report.page.blocks import Page

FACTS = RunFacts(run_id="r1")


def page_of(outcome: Outcome) -> Page:
    return classification_page(outcome, None, FACTS)


def said(page: Page) -> str:
    return " ".join(page.warnings)


def with_labels(outcome: Outcome, value: float) -> Outcome:
    return replace(outcome, labels=np.full_like(outcome.labels, value))


def with_gaps(outcome: Outcome, rows: list[int]) -> Outcome:
    shares = outcome.probabilities.copy()
    shares[rows] = np.nan
    return replace(outcome, probabilities=shares)


@pytest.mark.parametrize(("label", "words"), [(1, "Every case has pneumonia"), (0, "No case has pneumonia")])
def test_one_class_only_leaves_the_auc_unknown_and_says_why(label: int, words: str) -> None:
    outcome = with_labels(planted(60), label)
    assert words in said(page_of(outcome))
    auroc = headline(gather(outcome, None, FACTS))["AUROC"]
    assert np.isnan(auroc.value)
    assert "no pair" in auroc.reason


def test_one_patient_only_gives_values_without_intervals_and_says_so() -> None:
    outcome = replace(planted(60), patients=["only"] * 60)
    assert "All 60 cases come from one patient" in said(page_of(outcome))
    auroc = headline(gather(outcome, None, FACTS))["AUROC"]
    assert np.isfinite(auroc.value)
    assert np.isnan(auroc.low)


def test_three_cases_are_said_to_carry_no_decision() -> None:
    whole = planted(60)
    rows = np.array([*np.flatnonzero(whole.labels == 1)[:2], np.flatnonzero(whole.labels == 0)[0]])
    page = page_of(whole.take(rows))
    assert "only 3 cases" in said(page)
    assert "Fewer than 20 cases" in said(page)


def test_cases_without_a_probability_are_counted_named_and_left_out() -> None:
    whole = planted(60)
    page = page_of(with_gaps(whole, [3, 7]))
    assert "no probability (not a number) for 2 cases" in said(page)
    assert "test-00003, test-00007" in said(page)
    left = whole.take(np.setdiff1d(np.arange(60), [3, 7]))
    assert (
        headline(gather(with_gaps(whole, [3, 7]), None, FACTS))["AUROC"] == headline(gather(left, None, FACTS))["AUROC"]
    )


def test_where_no_case_has_a_probability_nothing_is_judged() -> None:
    page = page_of(with_gaps(planted(30), list(range(30))))
    assert "There is no case to judge" in said(page)


def test_a_case_that_stands_twice_with_equal_rows_counts_once() -> None:
    whole = planted(60)
    twice = whole.take(np.array([*range(60), 5, 5, 7]))
    page = page_of(twice)
    assert "2 cases stood more than once with equal rows and counted once: test-00005, test-00007." in page.warnings
    assert page.subtitle.startswith("60 test cases")
    assert headline(gather(twice, None, FACTS)) == headline(gather(whole, None, FACTS))


def test_a_case_that_stands_twice_with_different_rows_is_refused_in_one_line() -> None:
    whole = planted(30)
    cases = [*whole.cases[:29], whole.cases[4]]
    with pytest.raises(ReportError, match=r"case test-00004 stands twice with different rows") as caught:
        page_of(replace(whole, cases=cases))
    assert "\n" not in str(caught.value)


def test_cases_of_unknown_truth_are_counted_and_take_no_part() -> None:
    whole = planted(60)
    labels = whole.labels.copy()
    labels[:10] = -1
    page = page_of(replace(whole, labels=labels))
    assert "The truth of 10 cases of 60 is unknown: no figure counts them." in page.warnings
    assert verdict(gather(replace(whole, labels=labels), None, FACTS)).startswith("On 50 test cases")


def test_where_no_truth_is_known_nothing_is_said_of_the_model() -> None:
    outcome = with_labels(planted(30), -1)
    assert "The truth of no case is known" in said(page_of(outcome))
    assert verdict(gather(outcome, None, FACTS)).startswith("Nothing was judged")


@pytest.mark.parametrize("thresholds", [{}, {"pneumonia": float("nan")}])
def test_without_a_threshold_rates_are_unknown_and_areas_are_told(thresholds: dict[str, float]) -> None:
    outcome = replace(planted(60), thresholds=thresholds)
    assert "No threshold is stored for pneumonia" in said(page_of(outcome))
    figures = headline(gather(outcome, None, FACTS))
    assert np.isfinite(figures["AUROC"].value)
    assert figures["sensitivity"].reason == "no threshold is stored"


def test_equal_scores_are_said_to_tell_no_two_cases_apart() -> None:
    whole = planted(60)
    flat = replace(whole, probabilities=np.full_like(whole.probabilities, 0.5))
    assert "the model tells no two cases apart" in said(page_of(flat))
    assert headline(gather(flat, None, FACTS))["AUROC"].value == 0.5


def test_an_empty_set_makes_a_page_that_says_so() -> None:
    page = page_of(planted(20).take(np.arange(0)))
    assert page.warnings[0] == "There is no case to judge: every figure is not known."
    assert page.subtitle.startswith("0 test cases")


def test_patients_that_are_not_told_are_said_to_make_intervals_too_narrow() -> None:
    page = page_of(replace(planted(60), patients=None))
    assert any(words.startswith("Patients are not told") for words in page.warnings)
    assert "patients not told" in page.subtitle


ODD: dict[str, Callable[[Outcome], Outcome]] = {
    "one case": lambda whole: whole.take(np.arange(1)),
    "none": lambda whole: whole.take(np.arange(0)),
    "all present": lambda whole: with_labels(whole, 1),
    "none present": lambda whole: with_labels(whole, 0),
    "not a number": lambda whole: with_gaps(whole, [0, 1]),
    "sure of all": lambda whole: replace(whole, probabilities=np.ones_like(whole.probabilities)),
    "no threshold": lambda whole: replace(whole, thresholds={}),
    "bare": lambda whole: replace(whole, patients=None, logits=None, groups=None),
}


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("odd", ODD, ids=list(ODD))
def test_several_classes_or_findings_make_a_page_of_odd_data_too(odd: str, multilabel: bool) -> None:
    whole = planted(60, classes=3, multilabel=multilabel)
    page = classification_page(ODD[odd](whole), ODD[odd](planted(40, 30, 1, "val", 3, multilabel)), FACTS)
    assert page.sections[0].name == "headline"
