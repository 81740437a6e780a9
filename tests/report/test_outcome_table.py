"""A table of predictions comes back as the outcome it was; a stranger's is read or refused in one line."""

import io

import numpy as np
import pandas as pd
import pytest
from report_fakes import planted

from medcnn.errors import ReportError
from medcnn.report.admission import admit
from medcnn.report.outcome import roc_of
from medcnn.report.outcome_table import at_threshold, outcome_from_table, refuse_undecided


@pytest.mark.parametrize(("classes", "multilabel"), [(2, False), (3, False), (3, True)])
def test_the_table_of_an_outcome_reads_back_through_a_file(classes: int, multilabel: bool) -> None:
    whole = planted(50, 20, classes=classes, multilabel=multilabel)
    text = whole.table().to_csv(index=False)
    back = outcome_from_table(pd.read_csv(io.StringIO(text)), None, whole.thresholds)
    assert (back.cases, back.patients) == (whole.cases, whole.patients)
    assert (back.calls, back.classes, back.multilabel) == (whole.calls, whole.classes, multilabel)
    np.testing.assert_array_equal(back.labels, whole.labels)
    np.testing.assert_allclose(back.probabilities, whole.probabilities, atol=1e-11)
    np.testing.assert_allclose(back.logits, whole.logits, rtol=1e-12)
    pd.testing.assert_frame_equal(back.groups, whole.groups)


def test_label_and_probability_are_enough_of_two_classes() -> None:
    outcome = outcome_from_table(pd.DataFrame({"label": [0, 1, None], "probability": [0.2, 0.9, 0.4]}))
    assert outcome.classes == ["negative", "positive"]
    assert outcome.labels.tolist() == [0, 1, -1]
    np.testing.assert_allclose(outcome.probabilities, [[0.8, 0.2], [0.1, 0.9], [0.6, 0.4]])
    assert outcome.cases == ["row 1", "row 2", "row 3"]
    assert outcome.calls == ["", "", ""]  # no threshold, no call
    assert outcome.findings()[0].called is None


def test_names_of_classes_serve_as_labels_and_a_threshold_calls() -> None:
    frame = pd.DataFrame(
        {"label": ["ill", "well", "unknown"], "probability": [0.6, 0.5, 0.1], "patient": ["a", "", "a"]}
    )
    outcome = outcome_from_table(frame, ["well", "ill"], {"ill": 0.5})
    assert outcome.labels.tolist() == [1, 0, -1]
    assert outcome.calls == ["ill", "ill", "well"]
    assert outcome.patients == ["a", "(of row 2)", "a"]


def test_numbers_are_names_where_they_are_given_as_such_and_minus_1_is_unknown_beside_0() -> None:
    outcome = outcome_from_table(pd.DataFrame({"label": [1.0, 2.0], "probability": [0.1, 0.9]}), ["1", "2"])
    assert outcome.labels.tolist() == [0, 1]
    assert outcome_from_table(pd.DataFrame({"label": [0, 1, -1], "probability": [0.1] * 3})).labels.tolist() == [
        0,
        1,
        -1,
    ]


def test_a_single_named_probability_is_asked_against_the_rest() -> None:
    outcome = outcome_from_table(pd.DataFrame({"label": [1, 0], "probability/mass": [0.7, 0.1]}))
    assert outcome.classes == ["not mass", "mass"]
    assert outcome.findings()[0].positive.tolist() == [True, False]


def test_columns_without_a_meaning_are_left_out_unless_somebody_says_which_describe_groups() -> None:
    frame = pd.DataFrame({"label": [0, 1], "probability": [0.1, 0.9], "sex": ["F", "M"], "PatientName": ["A", "B"]})
    assert outcome_from_table(frame).groups is None
    kept = outcome_from_table(frame, describing=lambda columns: (columns[["sex"]], ("PatientName",))).groups
    assert kept is not None
    assert list(kept) == ["sex"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"label": [1]}, "column probability"),
        ({"probability": [0.5]}, "column label"),
        ({"label": ["ill"], "probability": [0.5]}, "say which is the finding"),
        ({"label": [1], "probability": [1.7]}, "row 1 holds 1.7 as a probability"),
        ({"label": [1], "probability": [-0.1]}, "row 1 holds -0.1 as a probability"),
        ({"label": [1], "probability/a": [1.1], "probability/b": [0.1]}, "row 1 holds 1.1 as a probability"),
        ({"label": [1], "probability": ["0,5"]}, "expected a decimal point, as 0.5"),
        ({"label": [1], "probability": ["much"]}, "column probability holds 'much' in row 1"),
        ({"label": [2], "probability": [0.5]}, "say which is the finding"),
        ({"label": ["1", "2"], "probability": [0.5, 0.4]}, """--classes '["1", "2"]'"""),
        ({"label": ["-1", "1", "-1"], "probability": [0.5] * 3}, "labels are -1 and 1: write 0 and 1"),
        ({"label": [-1.0, 1.0], "probability": [0.5] * 2}, "labels are -1 and 1: write 0 and 1"),
        ({"label": ["c"], "probability/a": [0.5], "probability/b": [0.5]}, "label 'c' is none of a, b"),
        ({"label/a": [2], "probability/a": [0.5]}, "hold 0 for no, 1 for yes"),
        ({"label": [1], "probability": [0.5], "call": ["maybe"]}, "call 'maybe' is none of"),
        ({"label": [1, 0, 1], "probability": [0.5] * 3, "case": ["a", " ", None]}, "2 rows have no case name"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(columns: dict[str, list[object]], words: str) -> None:
    with pytest.raises(ReportError) as caught:
        outcome_from_table(pd.DataFrame(columns))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_threshold_of_a_class_that_is_not_there_is_refused() -> None:
    with pytest.raises(ReportError, match="threshold is given for 'mass'"):
        outcome_from_table(pd.DataFrame({"label": [1], "probability": [0.5]}), None, {"mass": 0.5})


@pytest.mark.parametrize("calls", [["1", "0", "1", "0"], ["yes", "no", "yes", "no"], ["positive", "negative"] * 2])
def test_calls_of_a_table_are_judged_as_they_are_without_a_threshold(calls: list[str]) -> None:
    frame = pd.DataFrame({"label": [1, 1, 0, 0], "probability": [0.2, 0.9, 0.8, 0.1], "call": calls})
    outcome = outcome_from_table(frame)
    finding = outcome.findings()[0]
    assert outcome.called_by == "table"
    assert finding.called is not None
    assert finding.called.tolist() == [True, False, True, False]
    assert np.isnan(finding.threshold)
    # Of two with it one was called, of two without one was not.
    assert outcome.confusion().to_numpy().tolist() == [[1, 1], [1, 1]]
    assert roc_of(finding).point == (0.5, 0.5)


def test_calls_of_several_findings_stand_in_columns_or_in_one() -> None:
    frame = pd.DataFrame(
        {"label/a": [1, 0], "label/b": [0, 1], "probability/a": [0.9, 0.2], "probability/b": [0.3, 0.4]}
    )
    columns = outcome_from_table(frame.assign(**{"call/a": [1, 0], "call/b": [1, 0]}))
    words = outcome_from_table(frame.assign(call=["a;b", ""]))
    assert columns.calls == words.calls == ["a;b", ""]
    assert [f.called is not None and f.called.tolist() for f in columns.findings()] == [[True, False]] * 2


def test_a_case_without_a_call_among_called_ones_is_refused() -> None:
    frame = pd.DataFrame({"label": [1, 0], "probability": [0.2, 0.9], "call": ["1", ""]})
    with pytest.raises(ReportError, match="row 2 holds no call and others do"):
        outcome_from_table(frame)


def test_a_threshold_that_is_given_takes_the_place_of_calls_and_of_the_stored_one() -> None:
    frame = pd.DataFrame({"label": [1, 1, 0], "probability": [0.5, 0.4, 0.7], "call": [0, 0, 0]})
    judged = at_threshold(outcome_from_table(frame), 0.5)
    assert judged.calls == ["positive", "negative", "positive"]
    assert (judged.called_by, judged.thresholds) == ("given", {"positive": 0.5})
    three = pd.DataFrame({"label": [0, 1, 2], **{f"probability/{k}": [0.3, 0.3, 0.4] for k in "abc"}})
    with pytest.raises(ReportError, match="of 3 classes"):
        at_threshold(outcome_from_table(three), 0.5)


def test_logits_alone_become_probabilities() -> None:
    two = outcome_from_table(pd.DataFrame({"label": [0, 1], "logit": [0.0, 2.0]}))
    np.testing.assert_allclose(two.probabilities[:, 1], [0.5, 1 / (1 + np.exp(-2.0))])
    three = pd.DataFrame({"label": ["a", "c"], **{f"logit/{k}": [float(k == "a"), 0.0] for k in "abc"}})
    weights = np.exp([1.0, 0.0, 0.0])
    np.testing.assert_allclose(outcome_from_table(three).probabilities, [weights / weights.sum(), [1 / 3] * 3])
    several = pd.DataFrame({"label/a": [1], "label/b": [1], "logit/a": [0.0], "logit/b": [0.0]})
    np.testing.assert_allclose(outcome_from_table(several).probabilities, [[0.5, 0.5]])


@pytest.mark.parametrize(("classes", "multilabel"), [(2, False), (3, False), (3, True)])
def test_logits_that_contradict_the_probabilities_are_ignored_and_told(classes: int, multilabel: bool) -> None:
    frame = planted(50, 20, classes=classes, multilabel=multilabel).table()
    fine = outcome_from_table(frame)
    assert fine.logits is not None
    assert not fine.notes
    columns = [name for name in frame if name.startswith("logit")]
    wrong = outcome_from_table(frame.assign(**{name: -frame[name] for name in columns}))
    assert wrong.logits is None
    assert "they are ignored" in admit(wrong).warnings[0]


def test_logits_of_probabilities_that_were_rounded_to_0_and_1_are_kept() -> None:
    logit = np.linspace(-400, 400, 41)
    frame = pd.DataFrame({"label": [0, 1] * 20 + [1], "logit": logit, "probability": (logit > 0).astype(float)})
    assert outcome_from_table(frame).logits is not None


def test_probabilities_that_do_not_add_up_to_1_are_told_with_their_number_and_the_farthest() -> None:
    frame = pd.DataFrame({"label": [0, 1, 2], "probability/a": [0.9, 0.2, 0.334], "probability/b": [0.6, 0.9, 0.333]})
    told = admit(outcome_from_table(frame.assign(**{"probability/c": [0.0, 0.0, 0.333]}))).warnings[0]
    assert "The probabilities of 2 cases do not add up to 1 (the farthest to 1.5)" in told
    assert not [words for words in admit(planted(50, 20, classes=3)).warnings if "add up" in words]


def test_patients_that_are_told_of_some_cases_alone_are_counted() -> None:
    frame = pd.DataFrame({"label": [0, 1, 0], "probability": [0.1, 0.9, 0.2]})
    some = outcome_from_table(frame.assign(patient=["a", "", None]))
    assert "Of 2 cases the patient is not told" in some.notes[0]
    assert not outcome_from_table(frame.assign(patient=["", "", ""])).notes
    assert not outcome_from_table(frame.assign(patient=["a", "a", "b"])).notes


@pytest.mark.parametrize("names", [("abnormal", "normal"), ("normal", "abnormal")])
def test_the_order_of_the_columns_does_not_choose_the_finding(names: tuple[str, str]) -> None:
    frame = pd.DataFrame({"label": ["abnormal", "normal"], "probability/abnormal": [0.9, 0.2]})
    frame["probability/normal"] = 1 - frame["probability/abnormal"]
    outcome = outcome_from_table(frame[["label", *(f"probability/{name}" for name in names)]])
    assert outcome.classes == ["normal", "abnormal"]
    assert outcome.positive == "abnormal"
    assert outcome.labels.tolist() == [1, 0]
    np.testing.assert_allclose(outcome.probabilities[:, 1], [0.9, 0.2])


def test_names_of_two_classes_are_asked_for_with_a_proposal() -> None:
    frame = pd.DataFrame({"label": ["abnormal", "normal"], "probability": [0.9, 0.2]})
    with pytest.raises(ReportError, match=r"--classes '\[normal, abnormal\]'"):
        outcome_from_table(frame)
    with pytest.raises(ReportError, match=r"--classes '\[None, effusion\]'"):
        outcome_from_table(frame.assign(label=["effusion", "None"]))
    with pytest.raises(ReportError, match="virus, bacteria"):
        refuse_undecided(pd.DataFrame(columns=["probability/virus", "probability/bacteria"]))
