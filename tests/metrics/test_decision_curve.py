"""Net benefit by hand, by the literal formula, and with a refit of every draw."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medcnn.metrics.decision_curve import decision_curve
from medcnn.metrics.recalibration import probability_of

PROBABILITIES = hnp.arrays(np.float64, 25, elements=st.integers(0, 20).map(lambda n: n / 20))
POSITIVE = hnp.arrays(np.bool_, 25)


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    logits = chance.normal(-1, 1.5, count)
    return probability_of(logits), chance.random(count) < probability_of(logits)


def net_benefit(probabilities: np.ndarray, positive: np.ndarray, threshold: float) -> float:
    hits = sum(1 for p, y in zip(probabilities, positive, strict=True) if p >= threshold and y)
    alarms = sum(1 for p, y in zip(probabilities, positive, strict=True) if p >= threshold and not y)
    return hits / len(positive) - alarms / len(positive) * threshold / (1 - threshold)


def test_by_hand() -> None:
    curve = decision_curve([0.9, 0.5, 0.4, 0.1], [True, False, True, False], thresholds=[0.2, 0.5])
    # At 0.2: two found, one false alarm that costs a quarter of a finding. At 0.5: one found, one that costs as much.
    np.testing.assert_allclose(curve.model, [(2 - 0.25) / 4, (1 - 1) / 4])
    np.testing.assert_allclose(curve.treat_all, [(2 - 2 / 4) / 4, 0])
    np.testing.assert_allclose(curve.harm_to_benefit, [0.25, 1])


@settings(max_examples=30, deadline=None)
@given(PROBABILITIES, POSITIVE, st.lists(st.integers(1, 39).map(lambda n: n / 40), min_size=1, max_size=6))
def test_it_is_the_literal_formula_in_any_order_of_thresholds(probabilities, positive, thresholds) -> None:
    curve = decision_curve(probabilities, positive, thresholds=thresholds, draws=5)
    np.testing.assert_allclose(curve.threshold, thresholds)
    expected = [net_benefit(probabilities, positive, t) for t in thresholds]
    np.testing.assert_allclose(curve.model, expected, atol=1e-12)
    everybody = [net_benefit(np.ones(25), positive, t) for t in thresholds]
    np.testing.assert_allclose(curve.treat_all, everybody, atol=1e-12)


def test_true_probabilities_are_worth_more_than_treating_all_or_none() -> None:
    curve = decision_curve(*drawn(200_000), draws=20)
    assert (curve.model >= np.maximum(curve.treat_all, 0) - 1e-3).all()
    assert (curve.low <= curve.model).all()
    assert (curve.model <= curve.high).all()


def test_its_interval_is_that_of_a_loop_over_patients() -> None:
    (probabilities, positive), patients = drawn(300), np.arange(300) // 3
    curve = decision_curve(probabilities, positive, patients.tolist(), thresholds=[0.1, 0.4], draws=3000)
    chance, found = np.random.default_rng(4), []
    for _ in range(800):
        rows = (3 * chance.integers(0, 100, 100)[:, None] + [0, 1, 2]).ravel()
        found.append([net_benefit(probabilities[rows], positive[rows], t) for t in (0.1, 0.4)])
    low, high = np.percentile(found, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(curve.low, low, atol=0.01)
    np.testing.assert_allclose(curve.high, high, atol=0.01)


def test_it_covers_the_truth_where_patients_have_several_cases() -> None:
    probabilities, positive = drawn(400_000, seed=9)
    truth = decision_curve(probabilities, positive, thresholds=[0.2], draws=2).model[0]
    covered = 0
    for seed in range(200):
        given, found = drawn(120, seed)
        curve = decision_curve(np.repeat(given, 4), np.repeat(found, 4), np.arange(480) // 4, thresholds=[0.2])
        covered += curve.low[0] <= truth <= curve.high[0]
    assert 0.90 <= covered / 200 <= 0.99


@pytest.mark.parametrize(
    ("probabilities", "patients", "reason"),
    [([], None, "no case"), ([np.nan], None, "no case"), ([0.2, 0.6], ["a", "a"], "one patient"), ([0.2], None, "one")],
)
@pytest.mark.filterwarnings("error")
def test_what_cannot_be_told_has_a_reason(probabilities, patients, reason) -> None:
    curve = decision_curve(probabilities, [True] * len(probabilities), patients)
    assert np.isnan(curve.low).all()
    assert reason in curve.reason
    assert len(curve.model) == 99


def test_a_case_without_a_probability_is_left_out() -> None:
    curve = decision_curve([0.9, np.nan, 0.1], [True, True, False], thresholds=[0.5])
    assert curve.model == pytest.approx(0.5)
    assert "left out: 1" in curve.reason


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, np.nan])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="thresholds"):
        decision_curve([0.5], [True], thresholds=[threshold])
