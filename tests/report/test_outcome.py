"""Curves, counts and telling cases agree with scikit-learn and with what a reader would count by hand."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from medcnn.report.outcome import (
    Finding,
    Outcome,
    most_confident,
    precision_recall_of,
    reliability_of,
    roc_of,
)

quiet = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    """Scores with many ties, and both answers present."""
    n = draw(st.integers(2, 40))
    scores = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 10))) / 10
    positive = draw(hnp.arrays(bool, n))
    positive[:2] = [True, False]
    return Finding("a", scores, positive, draw(st.integers(0, 10)) / 10)


@quiet
@given(findings())
def test_the_roc_curve_is_scikit_learns(finding: Finding) -> None:
    ours = roc_of(finding)
    x, y, _ = sk.roc_curve(finding.positive, finding.scores, drop_intermediate=False)
    np.testing.assert_allclose((ours.x, ours.y), (x, y))
    assert ours.area == pytest.approx(sk.roc_auc_score(finding.positive, finding.scores))
    called = finding.scores >= finding.threshold
    assert ours.point == pytest.approx((
        1 - sk.recall_score(~finding.positive, ~called, zero_division=0), sk.recall_score(finding.positive, called)
    ))  # fmt: skip


@quiet
@given(findings())
def test_the_precision_recall_curve_is_scikit_learns(finding: Finding) -> None:
    ours = precision_recall_of(finding)
    precision, recall, _ = sk.precision_recall_curve(finding.positive, finding.scores)
    kept = len(ours.x)
    np.testing.assert_allclose(ours.y, precision[::-1][1 : kept + 1])
    np.testing.assert_allclose(ours.x, recall[::-1][1 : kept + 1])
    assert ours.area == pytest.approx(sk.average_precision_score(finding.positive, finding.scores))


@pytest.mark.parametrize("positive", [[True, True], [False, False], []])
def test_a_missing_side_gives_no_area_and_no_crash(positive: list[bool]) -> None:
    finding = Finding("a", np.linspace(0, 1, len(positive)), np.array(positive, dtype=bool), 0.5)
    assert np.isnan(roc_of(finding).area)
    assert roc_of(finding).point is None
    precision_recall_of(finding)
    reliability_of(finding)


def test_reliability_counts_every_case_once_and_puts_one_in_the_last_bin() -> None:
    finding = Finding("a", np.array([0.0, 0.05, 0.1, 0.95, 1.0]), np.array([False, True, False, True, True]), 0.5)
    bins = reliability_of(finding)
    assert bins["cases"].tolist() == [2, 1, 2]
    assert bins["share"].tolist() == [0.5, 0.0, 1.0]
    assert bins["probability"].tolist() == pytest.approx([0.025, 0.1, 0.975])


@pytest.fixture
def binary() -> Outcome:
    shares = np.array([0.9, 0.2, 0.6, 0.1, 0.7])
    return Outcome(
        cases=list("vwxyz"),
        probabilities=np.stack([1 - shares, shares], axis=1),
        labels=np.array([1, 1, 0, 0, -1]),
        calls=["b", "a", "b", "a", "b"],
        classes=["a", "b"],
        thresholds={"b": 0.5},
    )


@pytest.fixture
def several() -> Outcome:
    return Outcome(
        cases=list("xyz"),
        probabilities=np.array([[0.9, 0.1], [0.8, 0.7], [0.2, 0.4]]),
        labels=np.array([[1.0, 0.0], [0.0, 1.0], [np.nan, 0.0]]),
        calls=["a", "a;b", ""],
        classes=["a", "b"],
        multilabel=True,
        thresholds={"a": 0.5, "b": 0.5},
    )


def test_of_two_classes_the_second_is_the_finding_and_unknown_cases_ask_nothing(binary: Outcome) -> None:
    (finding,) = binary.findings()
    assert finding.name == "b"
    assert finding.positive.tolist() == [True, True, False, False]


def test_each_finding_asks_the_cases_it_is_known_for(several: Outcome) -> None:
    assert [len(finding.scores) for finding in several.findings()] == [2, 3]


def test_confusion_counts_truth_by_call_without_unknown_cases(binary: Outcome, several: Outcome) -> None:
    assert binary.confusion().to_numpy().tolist() == [[1, 1], [1, 1]]
    assert several.confusion().loc["a"].tolist() == [1, 0, 1, 0]
    assert several.confusion().loc["b"].tolist() == [1, 0, 0, 2]


def test_the_table_has_one_row_a_case_and_names_the_unknown(binary: Outcome, several: Outcome) -> None:
    assert binary.table()["label"].tolist() == ["b", "b", "a", "a", "unknown"]
    assert list(several.table().columns) == [
        "case", "label/a", "label/b", "probability/a", "probability/b", "call"
    ]  # fmt: skip


def test_the_most_telling_cases_are_ordered_by_what_was_believed_of_the_truth(binary: Outcome) -> None:
    assert most_confident(binary, 2, right=True) == [0, 3]  # 0.9 and 0.9 for the truth
    assert most_confident(binary, 5, right=False) == [1, 2]  # 0.2, then 0.4 for the truth; the unknown is neither


def test_with_several_findings_a_wrong_case_counts_by_its_worst_one(several: Outcome) -> None:
    assert most_confident(several, 3, right=False) == [1]
    assert most_confident(several, 3, right=True) == [0]  # z has nothing present to be right about
