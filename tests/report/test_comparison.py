"""Two runs stand side by side on the cases they share, or are refused in one line."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_fakes import planted

from medcnn.errors import ReportError
from medcnn.metrics.delong import compare_auroc
from medcnn.report.comparison import comparison_page, comparison_sections, flat
from medcnn.report.facts import RunFacts
from medcnn.report.outcome import Outcome
from medcnn.report.page.blocks import Headline, Page, Picture, Table

FIRST, SECOND = (
    RunFacts(name="one", config={"a": {"lr": 1, "same": 2}}),
    RunFacts(name="two", config={"a": {"lr": 3, "same": 2}}),
)


def worse(outcome: Outcome, seed: int = 5) -> Outcome:
    noise = np.random.default_rng(seed).random(len(outcome.cases))
    share = 0.6 * outcome.probabilities[:, 1] + 0.4 * noise
    calls = [outcome.classes[int(called)] for called in share >= 0.5]
    return replace(outcome, probabilities=np.stack([1 - share, share], axis=1), calls=calls)


def table(page: Page, name: str) -> pd.DataFrame:
    return next(block.frame for block in page.blocks() if isinstance(block, Table) and block.name == name)


def test_the_paired_test_is_that_of_the_shared_cases_in_whatever_order_they_come() -> None:
    first = planted(200)
    second = worse(first)
    shuffled = second.take(np.random.default_rng(1).permutation(200)[:150])
    page = comparison_page(first, shuffled, FIRST, SECOND)
    rows = np.array([first.cases.index(case) for case in first.cases if case in set(shuffled.cases)])
    own = first.take(rows)
    expected = compare_auroc(
        own.probabilities[:, 1], second.take(rows).probabilities[:, 1], own.labels == 1, own.patients
    )
    row = table(page, "compared_auroc").iloc[0]
    assert row["difference"] == expected.difference
    assert row["p"] == pytest.approx(expected.p)
    assert page.subtitle.startswith("150 cases")
    assert "The two share 150 cases; the others are not compared." in page.warnings


def test_both_curves_stand_in_one_picture_and_settings_that_differ_in_one_table() -> None:
    first = planted(200)
    page = comparison_page(first, worse(first), FIRST, SECOND)
    picture = next(block for block in page.blocks() if isinstance(block, Picture))
    assert picture.table is not None
    assert set(picture.table["run"]) == {"one", "two"}
    assert table(page, "compared_configuration").to_numpy().tolist() == [["a.lr", "1", "3"]]
    assert table(page, "compared_calls")["figure"].tolist() == ["sensitivity", "specificity"]


def test_runs_that_share_no_case_are_refused_in_one_line() -> None:
    with pytest.raises(ReportError, match="share no case") as caught:
        comparison_sections(planted(30), planted(30, split="other"), FIRST, SECOND)
    assert "\n" not in str(caught.value)


def test_runs_judged_by_another_truth_are_refused_by_the_first_case_that_differs() -> None:
    first = planted(30)
    labels = first.labels.copy()
    labels[4] = 1 - labels[4]
    with pytest.raises(ReportError, match=r"1 of 30 shared cases .* test-00004"):
        comparison_sections(first, replace(first, labels=labels), FIRST, SECOND)


def test_a_truth_that_one_run_alone_knows_is_not_compared() -> None:
    first = planted(60)
    labels = first.labels.copy()
    labels[:5] = -1
    page = comparison_page(first, replace(worse(first), labels=labels), FIRST, SECOND)
    assert page.subtitle.startswith("55 cases")


def test_runs_that_answer_different_questions_are_refused() -> None:
    with pytest.raises(ReportError, match="different questions"):
        comparison_sections(planted(30), planted(30, classes=3), FIRST, SECOND)


@pytest.mark.parametrize("multilabel", [False, True])
def test_several_classes_or_findings_are_compared_one_by_one(multilabel: bool) -> None:
    first = planted(120, classes=3, multilabel=multilabel)
    page = comparison_page(first, first, FIRST, SECOND)
    assert table(page, "compared_auroc")["finding"].tolist() == ["class 0", "class 1", "class 2"]


def test_nested_settings_become_one_level() -> None:
    assert flat({"a": {"b": 1, "c": [{"d": 2}, {"d": 3}]}, "e": [1, 2]}) == {
        "a.b": "1", "a.c.0.d": "2", "a.c.1.d": "3", "e": "[1, 2]"
    }  # fmt: skip


def test_two_tables_are_the_first_and_the_second_and_figures_have_names() -> None:
    first = planted(200)
    loose = RunFacts(name="a table of predictions")
    page = comparison_page(first, worse(first), loose, loose)
    assert page.title == "first table against second table"
    assert "AUROC, second table" in table(page, "compared_auroc")
    assert "calibration error" in table(page, "compared_calibration")["figure"].tolist()
    assert "AUROC difference" in next(block for block in page.blocks() if isinstance(block, Headline)).figures
