"""The temperature against scikit-learn's, by its law, and where it cannot be known."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from medcnn.metrics.calibration import HIGHEST, LOWEST, fit_temperature, temperature_of

CHANCE = np.random.default_rng(0)


def drawn(n, k, temperature):
    """Logits whose classes were drawn at a temperature."""
    logits = 3 * CHANCE.normal(size=(n, k))
    chances = np.exp(log_softmax(logits / temperature, axis=1))
    return logits, (chances.cumsum(1) > CHANCE.random((n, 1))).argmax(1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_it_finds_the_temperature_the_classes_were_drawn_at(temperature, classes):
    assert fit_temperature(*drawn(40_000, classes, temperature)) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_is_likelier():
    logits, labels = drawn(300, 3, 2.0)

    def cost(t):
        return -log_softmax(logits / t, axis=1)[np.arange(300), labels].mean()

    best = minimize_scalar(cost, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9}).x
    assert fit_temperature(logits, labels) == pytest.approx(best, rel=1e-5)


def test_it_equals_scikit_learn():
    points = CHANCE.normal(size=(400, 3))
    labels = (points[:, 0] + CHANCE.normal(size=400) > 0).astype(int)
    model = LogisticRegression(C=1e3).fit(points[:50], labels[:50])
    scaled = CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(points[50:], labels[50:])
    logits = np.stack([np.zeros(350), model.decision_function(points[50:])], axis=1)
    ours = expit(logits[:, 1] / fit_temperature(logits, labels[50:]))
    np.testing.assert_allclose(ours, scaled.predict_proba(points[50:])[:, 1], atol=1e-4)


def test_findings_share_one_temperature_and_unknown_ones_take_no_part():
    logits = 3 * CHANCE.normal(size=(20_000, 3))
    findings = (expit(logits / 2) > CHANCE.random(logits.shape)).astype(float)
    findings[CHANCE.random(logits.shape) < 0.3] = np.nan
    assert fit_temperature(logits, findings, multilabel=True) == pytest.approx(2, rel=0.05)


def test_unknown_classes_take_no_part():
    logits, labels = drawn(500, 2, 2.0)
    more = np.vstack([logits, 100 * np.ones((9, 2))])
    assert fit_temperature(more, np.append(labels, [-1] * 9)) == fit_temperature(logits, labels)


@pytest.mark.parametrize("labels", [[1, 1, 1], [-1, -1, 0], [-1, -1, -1]])
def test_one_class_alone_leaves_it_at_one_with_a_reason(labels):
    found = temperature_of(CHANCE.normal(size=(3, 2)), np.array(labels))
    assert found.value == 1
    assert "one class" in found.reason


def test_a_perfect_ranking_ends_at_the_lower_bound_and_says_so():
    found = temperature_of(np.array([[9.0, 0.0], [0.0, 9.0]]), np.array([0, 1]))
    assert found.value == LOWEST
    assert found.reason


def test_a_wrong_ranking_ends_at_the_upper_bound_and_says_so():
    found = temperature_of(np.array([[0.0, 9.0], [9.0, 0.0]]), np.array([0, 1]))
    assert found.value == HIGHEST
    assert found.reason


def test_huge_logits_do_not_overflow():
    logits = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, -1e4]])
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(fit_temperature(logits, np.array([0, 1, 1])))
        assert np.isfinite(fit_temperature(logits, np.array([[1.0, 0], [0, 1], [1, 1]]), multilabel=True))


def test_logits_that_are_not_finite_leave_it_at_one_with_a_reason():
    assert "finite" in temperature_of(np.array([[np.nan, 0], [0, 1]]), np.array([0, 1])).reason
