"""Every figure against scikit-learn or by hand; every NaN with its reason."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics

from medcnn.metrics.classification import summarize

CHANCE = np.random.default_rng(0)
NAMES = ("normal", "effusion")


def shares(n, k):
    logits = CHANCE.normal(size=(n, k))
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_two_classes_at_a_threshold_equal_scikit_learn():
    label = CHANCE.integers(0, 2, 80)
    given = shares(80, 2)
    found = summarize(given, label, NAMES, thresholds={"effusion": 0.6})
    called = given[:, 1] >= 0.6
    expected = {
        "auroc": metrics.roc_auc_score(label, given[:, 1]),
        "average_precision": metrics.average_precision_score(label, given[:, 1]),
        "brier": metrics.brier_score_loss(label, given[:, 1]),
        "accuracy": metrics.accuracy_score(label, called),
        "balanced_accuracy": metrics.balanced_accuracy_score(label, called),
        "sensitivity": metrics.recall_score(label, called),
        "specificity": metrics.recall_score(1 - label, ~called),
        "ppv": metrics.precision_score(label, called),
        "npv": metrics.precision_score(1 - label, ~called),
        "f1": metrics.f1_score(label, called),
    }
    assert found.values == pytest.approx(expected)
    assert not found.reasons


def test_the_second_class_is_the_finding_by_hand():
    found = summarize([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], [0, 1, 0], NAMES, thresholds={"effusion": 0.6})
    assert (found.values["sensitivity"], found.values["specificity"], found.values["ppv"]) == (1, 0.5, 0.5)


def test_without_a_threshold_two_classes_are_not_judged_at_one_half():
    assert set(summarize(shares(9, 2), np.arange(9) % 2, NAMES).values) == {"auroc", "average_precision", "brier"}


def test_several_classes_equal_scikit_learn():
    names = ("a", "b", "c")
    label, given = CHANCE.integers(0, 3, 90), shares(90, 3)
    found, called = summarize(given, label, names).values, given.argmax(1)
    assert found["auroc"] == pytest.approx(metrics.roc_auc_score(label, given, multi_class="ovr", average="macro"))
    one_hot = np.eye(3)[label]
    assert found["average_precision"] == pytest.approx(metrics.average_precision_score(one_hot, given))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(label, called))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(label, called))
    assert found["f1"] == pytest.approx(metrics.f1_score(label, called, average="macro"))
    assert found["ppv"] == pytest.approx(metrics.precision_score(label, called, average="macro"))
    assert found["brier"] == pytest.approx(((given - one_hot) ** 2).sum(1).mean())
    for k, name in enumerate(names):
        assert found[f"auroc/{name}"] == pytest.approx(metrics.roc_auc_score(label == k, given[:, k]))
        assert found[f"sensitivity/{name}"] == pytest.approx(metrics.recall_score(label == k, called == k))
        assert found[f"specificity/{name}"] == pytest.approx(metrics.recall_score(label != k, called != k))


def test_findings_are_judged_where_they_are_known():
    names, known = ("mass", "nodule"), CHANCE.random((70, 2)) < 0.7
    truth, given = CHANCE.integers(0, 2, (70, 2)).astype(float), CHANCE.random((70, 2))
    found = summarize(given, np.where(known, truth, np.nan), names, True, {"mass": 0.3, "nodule": 0.7}).values
    for k, (name, threshold) in enumerate({"mass": 0.3, "nodule": 0.7}.items()):
        label, score = truth[known[:, k], k], given[known[:, k], k]
        assert found[f"auroc/{name}"] == pytest.approx(metrics.roc_auc_score(label, score))
        assert found[f"f1/{name}"] == pytest.approx(metrics.f1_score(label, score >= threshold))
    assert found["auroc"] == pytest.approx((found["auroc/mass"] + found["auroc/nodule"]) / 2)


def test_unknown_labels_take_no_part():
    given, label = shares(20, 2), np.arange(20) % 2
    with_unknown = summarize(
        np.vstack([given, shares(5, 2)]), np.append(label, [-1] * 5), NAMES, False, {"effusion": 0.4}
    )
    assert with_unknown == summarize(given, label, NAMES, False, {"effusion": 0.4})


def test_an_absent_class_is_nan_with_a_reason_never_zero():
    found = summarize(shares(5, 2), np.zeros(5, int), NAMES, thresholds={"effusion": 0.5})
    for name in ("auroc", "average_precision", "sensitivity", "balanced_accuracy"):
        assert math.isnan(found.values[name])
        assert found.reasons[name]
    assert "effusion" in found.reasons["auroc"]
    assert {name for name, value in found.values.items() if math.isnan(value)} == set(found.reasons)


def test_a_mean_over_fewer_classes_says_so():
    found = summarize(shares(9, 3), np.arange(9) % 2, ("a", "b", "c"))
    assert found.values["auroc"] == pytest.approx((found.values["auroc/a"] + found.values["auroc/b"]) / 2)
    assert found.reasons["auroc"] == "mean over 2 of 3: none for c"


@pytest.mark.parametrize(("multilabel", "label"), [(False, [-1, -1]), (True, [[np.nan] * 2] * 2)])
def test_nothing_known_is_nan_throughout(multilabel, label):
    found = summarize(shares(2, 2), np.array(label), NAMES, multilabel, {"normal": 0.5, "effusion": 0.5})
    assert all(map(math.isnan, found.values.values()))
    assert found.reasons.keys() == found.values.keys()


def test_a_threshold_that_could_not_be_chosen_judges_nothing():
    found = summarize(shares(4, 2), [0, 1, 0, 1], NAMES, thresholds={"effusion": float("nan")})
    assert math.isnan(found.values["sensitivity"])
    assert "no threshold" in found.reasons["sensitivity"]
    assert not math.isnan(found.values["auroc"])


def test_tensors_and_arrays_give_the_same():
    given, label = shares(10, 2), np.arange(10) % 2
    assert summarize(torch.tensor(given), torch.tensor(label), NAMES) == summarize(given, label, NAMES)


@pytest.mark.parametrize(
    ("given", "label", "multilabel"), [((4, 3), (4,), False), ((4, 2), (3,), False), ((4, 2), (4,), True)]
)
def test_shapes_that_do_not_fit_are_refused(given, label, multilabel):
    with pytest.raises(ValueError, match="expected probabilities"):
        summarize(np.zeros(given), np.zeros(label), NAMES, multilabel)
