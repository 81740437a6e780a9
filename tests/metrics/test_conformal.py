"""Sets and selective accuracy against MAPIE, order statistics by hand, and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mapie.classification import SplitConformalClassifier
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from medcnn.metrics.conformal import Conformal, conformal_figures, fit_conformal, selective_accuracy


def drawn(count: int, classes: int, chance: np.random.Generator, rare: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of an over-confident model, and classes, class 0 less often by ``rare`` on the logit."""
    logits = 2 * chance.normal(size=(count, classes)) - np.eye(classes)[0] * rare
    labels = (softmax(logits, axis=1).cumsum(axis=1) > chance.random((count, 1))).argmax(axis=1)
    return softmax(3 * logits, axis=1), labels


def test_the_quantile_by_hand() -> None:
    # Scores of class 1: 0.1, 0.2, ..., 0.9. The ceil(10 * 0.8) = 8th smallest is 0.8.
    of_one = 1 - np.arange(1, 10) / 10
    model = fit_conformal(np.stack([1 - of_one, of_one], axis=1), np.ones(9, dtype=int), alpha=0.2)
    assert model.quantiles[1] == pytest.approx(0.8)
    assert model.quantiles[0] == math.inf
    assert model.classes_counts.tolist() == [0, 9]
    np.testing.assert_array_equal(model.sets([[0.5, 0.5], [0.9, 0.1]]), [[True, True], [True, False]])


@pytest.mark.parametrize(("count", "finite"), [(8, False), (9, True)])
def test_too_few_cases_exclude_nothing(count: int, finite: bool) -> None:
    model = fit_conformal(np.full((count, 2), 0.5), np.zeros(count, dtype=int), alpha=0.1)
    assert np.isfinite(model.quantiles[0]) == finite
    assert model.sets([[0.0, 1.0]])[0, 0] == (not finite)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_over_all_classes_it_is_mapies_split_conformal(alpha: float) -> None:
    chance = np.random.default_rng(0)
    points = chance.normal(size=(900, 2))
    labels = (points @ [1.0, 0.5] + chance.normal(size=900) > 0).astype(int) + (points[:, 1] > 1)
    model = LogisticRegression().fit(points[:300], labels[:300])
    theirs = SplitConformalClassifier(model, confidence_level=1 - alpha, conformity_score="lac", prefit=True)
    theirs.conformalize(points[300:600], labels[300:600])
    ours = fit_conformal(model.predict_proba(points[300:600]), labels[300:600], alpha, by_class=False)
    expected = theirs.predict_set(points[600:])[1][:, :, 0]
    np.testing.assert_array_equal(ours.sets(model.predict_proba(points[600:])), expected)


@pytest.mark.parametrize("classes", [2, 4])
def test_each_class_is_covered_as_often_as_was_asked_for(classes: int) -> None:
    chance, held = np.random.default_rng(1), []
    for _ in range(200):
        sets = fit_conformal(*drawn(60 * classes, classes, chance), alpha=0.1).sets
        probabilities, labels = drawn(500, classes, chance)
        covered = sets(probabilities)[np.arange(500), labels]
        held.append([covered[labels == k].mean() for k in range(classes)])
    assert (np.mean(held, axis=0) >= 0.9 - 0.005).all()
    assert (np.mean(held, axis=0) <= 0.95).all()


def test_without_classes_the_rare_one_is_missed_more_often_than_was_asked_for() -> None:
    chance = np.random.default_rng(2)
    probabilities, labels = drawn(20_000, 2, chance, rare=5)
    test, true = drawn(20_000, 2, chance, rare=5)
    by_class = conformal_figures(fit_conformal(probabilities, labels).sets(test), true)
    together = conformal_figures(fit_conformal(probabilities, labels, by_class=False).sets(test), true)
    assert together["coverage"].value == pytest.approx(0.9, abs=0.01)
    assert together["coverage/0"].value < 0.7
    assert by_class["coverage/0"].value == pytest.approx(0.9, abs=0.03)


def test_unknown_cases_take_no_part_and_a_case_without_probabilities_excludes_nothing() -> None:
    probabilities, labels = drawn(100, 3, np.random.default_rng(3))
    more = fit_conformal(
        np.vstack([probabilities, probabilities[:2], [[np.nan] * 3]]), np.concatenate([labels, [-1, -1, 0]])
    )
    np.testing.assert_array_equal(more.quantiles, fit_conformal(probabilities, labels).quantiles)
    assert more.sets([[np.nan] * 3]).all()


def test_figures_by_hand() -> None:
    sets = [[True, False], [True, False], [True, True], [False, False], [False, True], [True, True]]
    found = conformal_figures(sets, [0, 1, 1, 0, 1, -1])
    values = {name: one.value for name, one in found.items()}
    assert values == pytest.approx(
        {
            "coverage": 3 / 5, "coverage/0": 1 / 2, "coverage/1": 2 / 3,
            "abstained": 2 / 5, "accuracy_when_sure": 2 / 3, "size": 5 / 5,
        }
    )  # fmt: skip
    assert all(one.low < one.value < one.high for one in found.values())


@pytest.mark.filterwarnings("error")
def test_figures_without_a_case_are_missing_with_a_reason() -> None:
    found = conformal_figures(np.ones((3, 2), dtype=bool), [1, 1, 1])
    assert {name for name, one in found.items() if math.isnan(one.value)} == {"coverage/0", "accuracy_when_sure"}
    assert "class 0" in found["coverage/0"].reason
    assert "no set" in found["accuracy_when_sure"].reason
    assert "do not differ" in found["size"].reason
    assert all(math.isnan(one.value) and one.reason for one in conformal_figures(np.ones((0, 2)), []).values())


def test_intervals_know_whose_each_case_is() -> None:
    probabilities, labels = drawn(100, 2, np.random.default_rng(5))
    sets = fit_conformal(probabilities, labels).sets(probabilities)
    copies = conformal_figures(np.repeat(sets, 5, axis=0), np.repeat(labels, 5), [f"p{i // 5}" for i in range(500)])
    for name, one in conformal_figures(sets, labels).items():
        assert copies[name].high - copies[name].low == pytest.approx(one.high - one.low, rel=0.2), name


def test_selective_accuracy_by_hand() -> None:
    curve = selective_accuracy([0.9, 0.7, 0.9, 0.5, np.nan], [True, False, True, True, True])
    np.testing.assert_allclose(curve.kept_share, [2 / 5, 3 / 5, 4 / 5])
    np.testing.assert_allclose(curve.accuracy, [1, 2 / 3, 3 / 4])
    np.testing.assert_allclose(curve.threshold, [0.9, 0.7, 0.5])
    assert (curve.low < curve.accuracy).all()


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.float64, 120, elements=st.integers(0, 100).map(float)), hnp.arrays(np.bool_, 120))
def test_each_point_is_the_accuracy_at_or_above_its_threshold(confidence, right) -> None:
    curve = selective_accuracy(confidence, right)
    assert len(curve.threshold) <= 50
    assert curve.kept_share[-1] == 1
    for share, accuracy, threshold in zip(curve.kept_share, curve.accuracy, curve.threshold, strict=True):
        assert share == pytest.approx((confidence >= threshold).mean())
        assert accuracy == pytest.approx(right[confidence >= threshold].mean())


def test_no_case_makes_an_empty_curve() -> None:
    assert all(len(column) == 0 for column in selective_accuracy([], []))
    assert all(len(column) == 0 for column in selective_accuracy([np.nan], [True]))


@pytest.mark.parametrize(
    "call",
    [
        lambda: fit_conformal([[0.5, 0.5]], [0], alpha=0),
        lambda: fit_conformal([0.5, 0.5], [0, 1]),
        lambda: fit_conformal([[0.5, 0.5]], [2]),
        lambda: Conformal(np.zeros(3), 0.1, np.zeros(3, dtype=int)).sets([[0.5, 0.5]]),
        lambda: conformal_figures([[True, False]], [0, 1]),
        lambda: selective_accuracy([0.5], [True, False]),
    ],
)
def test_what_does_not_fit_is_refused(call) -> None:
    with pytest.raises(ValueError, match=r"give|calibrated on"):
        call()
