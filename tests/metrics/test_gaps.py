"""Gaps between a group and the rest: hand arithmetic, all pairs, and simulation with patients on both sides."""

import numpy as np
import pytest
from scipy.special import expit, logit

from medcnn.metrics.by_patient import owners
from medcnn.metrics.estimate import Estimate
from medcnn.metrics.gaps import FIGURES, Judged, calibration_of, gap, holm


def judged(scores: object, positive: object, called: object = None, patients: list[int] | None = None) -> Judged:
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive, bool)
    calls = scores >= 0.5 if called is None else np.asarray(called, bool)
    return Judged(scores, positive, calls, owners(patients, len(scores)), True)


def gap_of(cohort: Judged, inside: np.ndarray, figure: str) -> tuple[Estimate, float]:
    return gap(cohort, inside, figure, 0.95)


def variance_of_all_pairs(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """AUROC and DeLong's variance from the table of all pairs."""
    hits, others = scores[positive], scores[~positive]
    table = (hits[:, None] > others).astype(float) + 0.5 * (hits[:, None] == others)
    return table.mean(), table.mean(1).var(ddof=1) / len(hits) + table.mean(0).var(ddof=1) / len(others)


def test_the_gap_in_auroc_has_the_variances_of_both_sides() -> None:
    chance = np.random.default_rng(3)
    positive, inside = chance.random(400) < 0.4, chance.random(400) < 0.5
    # Never below DeLong's variance, and near it where both sides spread about alike.
    scores = expit(chance.normal(0, 1, 400) + positive * np.where(inside, 0.6, 1.8)).round(2)
    found, p = gap_of(judged(scores, positive), inside, "auroc")
    (one, first), (other, second) = (variance_of_all_pairs(scores[s], positive[s]) for s in (inside, ~inside))
    assert found.value == pytest.approx(one - other)
    error = (found.high - found.low) / 2 / 1.966
    assert error >= np.sqrt(first + second) * 0.999
    assert error == pytest.approx(np.sqrt(first + second), rel=0.05)
    assert p < 0.01


def test_the_gap_in_sensitivity_is_that_of_two_proportions() -> None:
    # 30 of 40 found in the group, 54 of 60 in the rest: 84 of 100 in all.
    called = np.repeat([True, False, True, False], [30, 10, 54, 6])
    inside, positive = np.arange(100) < 40, np.full(100, True)
    cohort = judged(np.full(120, 0.5), np.append(positive, [False] * 20), np.append(called, [False] * 20))
    found, p = gap_of(cohort, np.append(inside, [True] * 10 + [False] * 10), "sensitivity")
    own = 0.75 * 0.25 / 39 + 0.9 * 0.1 / 59
    alike = (40 * 0.75 * 0.25 + 60 * 0.9 * 0.1) / 100 * (1 / 40 + 1 / 60)
    assert found.value == pytest.approx(-0.15)
    freedom = own**2 / ((0.75 * 0.25 / 39) ** 2 / 39 + (0.9 * 0.1 / 59) ** 2 / 59)
    assert (found.high - found.low) / 2 == pytest.approx(np.sqrt(max(own, alike)) * 2, rel=0.01)
    assert freedom > 50
    assert 0.03 < p < 0.08


def test_a_small_group_without_an_error_is_no_proof() -> None:
    # All of 6 found, against 80 of 100: by its own variance the group would be flawless for certain.
    called = np.repeat([True, True, False], [6, 80, 20])
    positive = np.append(np.full(106, True), [False] * 20)
    inside = np.append(np.arange(106) < 6, [True] * 6 + [False] * 14)
    _, p = gap_of(judged(np.full(126, 0.5), positive, np.append(called, [False] * 20)), inside, "sensitivity")
    assert p > 0.2


def test_calibration_is_the_intercept_that_makes_the_mean_right() -> None:
    positive = np.repeat([True, False, True, False], [30, 10, 20, 20])
    inside = np.arange(80) < 40
    cohort = judged(np.full(80, 0.5), positive)
    intercept, ratio = calibration_of(cohort, inside, 0.95)
    assert intercept.value == pytest.approx(logit(0.75))
    assert ratio.value == pytest.approx(1.5)
    assert ratio.low < 1.5 < ratio.high
    assert intercept.high - intercept.low == pytest.approx(2 * 2.02 * np.sqrt(1 / 30 + 1 / 10), rel=0.03)
    found, _ = gap_of(cohort, inside, "calibration")
    assert found.value == pytest.approx(logit(0.75))


def test_groups_that_do_not_differ_at_all_have_p_of_one() -> None:
    positive, inside = np.tile([True, False], 10), np.arange(20) < 10
    found, p = gap_of(judged(np.where(positive, 0.9, 0.1), positive), inside, "auroc")
    assert (found.value, p) == (0.0, 1.0)
    assert "no spread" in found.reason


def test_holm_is_hand_arithmetic_and_keeps_the_order() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([])).shape == (0,)


@pytest.mark.parametrize("figure", FIGURES)
def test_the_error_is_that_of_simulation_where_patients_have_films_on_both_sides(figure: str) -> None:
    """Every patient has four films, two in each group: the shared part of a patient's score cancels in the gap."""
    chance, values, errors = np.random.default_rng(17), [], []
    people = 80
    owner, inside = np.repeat(np.arange(people), 4), np.tile([True, True, False, False], people)
    for _ in range(250):
        positive = (chance.random(people) < 0.4)[owner]
        odds = 1.5 * chance.normal(size=people)[owner] + chance.normal(size=4 * people)
        scores = expit(odds + np.where(positive, 1.0, -1.0))
        found, _ = gap_of(judged(scores, positive, None, owner.tolist()), inside, figure)
        values.append(found.value)
        errors.append((found.high - found.low) / 2 / 1.98)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(values), rel=0.15)
