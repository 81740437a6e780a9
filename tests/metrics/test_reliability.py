"""The reliability curve and its figures: scikit-learn, hand arithmetic, a refit of every draw, a planted truth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from medcnn.metrics.recalibration import calibration_intercept, calibration_line, logits_of, probability_of
from medcnn.metrics.reliability import calibration_figures, reliability

PROBABILITIES = hnp.arrays(np.float64, 20, elements=st.integers(0, 20).map(lambda n: n / 20))
POSITIVE = hnp.arrays(np.bool_, 20)
FIGURES = {
    "intercept", "slope", "observed_over_expected", "ece", "ece_debiased",
    "brier", "brier_reliability", "brier_resolution", "brier_uncertainty", "brier_within_bins",
}  # fmt: skip


def drawn(count: int, factor: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose logits are ``factor`` times too far from 0, and findings."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(-0.5, 1.5, count)
    return probability_of(factor * logits), chance.random(count) < probability_of(logits)


@pytest.mark.parametrize(("equal_counts", "strategy"), [(False, "uniform"), (True, "quantile")])
def test_the_curve_is_that_of_scikit_learn(equal_counts: bool, strategy: str) -> None:
    probabilities, positive = drawn(500, 2)
    probabilities[::7] = np.round(probabilities[::7], 1)
    shares, means = calibration_curve(positive, probabilities, n_bins=8, strategy=strategy)
    curve = reliability(probabilities, positive, bins=8, equal_counts=equal_counts)
    np.testing.assert_allclose([one.mean_probability for one in curve], means)
    np.testing.assert_allclose([one.share.value for one in curve], shares)
    assert sum(one.cases for one in curve) == 500
    assert all(one.low <= one.mean_probability <= one.high for one in curve)


def test_the_interval_of_a_bin_is_wilsons_and_wider_where_its_cases_are_of_few_patients() -> None:
    probabilities, positive = drawn(300)
    for one in reliability(probabilities, positive):
        hits = round(one.share.value * one.cases)
        expected = binomtest(hits, one.cases).proportion_ci(method="wilson")
        assert (one.share.low, one.share.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    [one] = reliability(np.full(60, 0.5), np.repeat([True, False], 30), np.repeat(np.arange(6), 10))
    [alone] = reliability(np.full(60, 0.5), np.repeat([True, False], 30))
    assert one.share.high - one.share.low > 1.5 * (alone.share.high - alone.share.low)


def test_figures_by_hand() -> None:
    found = calibration_figures([0.1, 0.3, 0.8, 0.6], [False, True, True, True], bins=2)
    # Bins: {0.1, 0.3} with a half, {0.8, 0.6} with all.
    expected = {
        "observed_over_expected": 3 / 1.8,
        "brier": (0.01 + 0.49 + 0.04 + 0.16) / 4,
        "brier_reliability": (0.3**2 + 0.3**2) / 2,
        "brier_resolution": (0.25**2 + 0.25**2) / 2,
        "brier_uncertainty": 0.75 * 0.25,
        "ece": 0.3,
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    assert found["brier"][3:6] == (4, 4, 3)


@settings(max_examples=60, deadline=None)
@given(PROBABILITIES, POSITIVE, st.integers(1, 12), st.booleans())
@pytest.mark.filterwarnings("error")
def test_the_parts_of_the_brier_score_make_it_up(probabilities, positive, bins, equal_counts) -> None:
    found = calibration_figures(probabilities, positive, bins=bins, draws=10, equal_counts=equal_counts)
    assert set(found) == FIGURES
    of = {name.removeprefix("brier_"): estimate.value for name, estimate in found.items()}
    assert of["brier"] == pytest.approx(brier_score_loss(positive, probabilities, labels=[0, 1], pos_label=1))
    assert of["brier"] == pytest.approx(of["reliability"] - of["resolution"] + of["uncertainty"] + of["within_bins"])
    # The three parts of Murphy are the score of the means of the bins.
    curve = reliability(probabilities, positive, bins=bins, equal_counts=equal_counts)
    of_means = sum(
        one.cases
        * (one.share.value * (1 - one.mean_probability) ** 2 + (1 - one.share.value) * one.mean_probability**2)
        for one in curve
    )
    assert of["reliability"] - of["resolution"] + of["uncertainty"] == pytest.approx(of_means / 20)
    # And the error of calibration can be read off the curve.
    gaps = sum(one.cases * abs(one.share.value - one.mean_probability) for one in curve)
    assert of["ece"] == pytest.approx(gaps / 20)


def test_intervals_are_those_of_a_refit_for_each_draw_of_patients() -> None:
    probabilities, positive = drawn(400, 2)
    patients = np.repeat(np.arange(200), 2)
    found = calibration_figures(probabilities, positive, patients, draws=3000)
    chance, logits = np.random.default_rng(1), logits_of(probabilities)
    refits = []
    for _ in range(600):
        rows = (2 * chance.integers(0, 200, 200)[:, None] + [0, 1]).ravel()
        line, truth = calibration_line(logits[rows], positive[rows]), positive[rows]
        ratio = truth.sum() / probabilities[rows].sum()
        refits.append((calibration_intercept(logits[rows], truth)[0], line[1], ratio))
    ends = np.percentile(refits, [2.5, 97.5], axis=0).T
    for name, (low, high) in zip(("intercept", "slope", "observed_over_expected"), ends, strict=True):
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=0.15 * (high - low)), name


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_the_planted_truth_is_covered_and_by_chance_alone_there_is_no_error(factor: float) -> None:
    probabilities, positive = drawn(300_000, factor, seed=99)
    truth = {name: one.value for name, one in calibration_figures(probabilities, positive, draws=2).items()}
    covered = dict.fromkeys(("intercept", "slope", "ece", "observed_over_expected", "brier"), 0)
    errors = []
    for seed in range(150):
        found = calibration_figures(*drawn(200, factor, seed), draws=200, seed=seed)
        errors.append((found["ece"].value, found["ece_debiased"].value))
        for name in covered:
            covered[name] += found[name].low <= truth[name] + 1e-3 and truth[name] <= found[name].high
    assert min(covered.values()) >= 0.95 * 150 - 3 * np.sqrt(150 * 0.05 * 0.95), covered
    plain, less = np.mean(errors, axis=0) - truth["ece"]
    assert plain > 0.01
    assert abs(less) < plain / 2


def test_copies_of_a_case_are_no_evidence_where_the_patient_is_known() -> None:
    probabilities, positive = drawn(100)
    names = [f"p{i // 9}" for i in range(900)]
    copies = calibration_figures(np.repeat(probabilities, 9), np.repeat(positive, 9), names)
    for name, one in calibration_figures(probabilities, positive).items():
        assert copies[name][:3] == pytest.approx(one[:3], abs=1e-6), name
        assert (copies[name].n, copies[name].patients) == (900, 100)


def test_many_patients_are_drawn_in_groups_with_the_same_spread() -> None:
    probabilities, positive = drawn(60_000)
    found = calibration_figures(probabilities, positive, draws=400)["observed_over_expected"]
    spread = 1.96 * (positive - probabilities).std() / np.sqrt(60_000) / probabilities.mean()
    assert found.high - found.low == pytest.approx(2 * spread, rel=0.15)


def test_a_case_without_a_probability_is_left_out_and_told() -> None:
    probabilities, positive = drawn(50)
    whole = calibration_figures(np.append(probabilities, np.nan), np.append(positive, True))
    for name, one in calibration_figures(probabilities, positive).items():
        assert whole[name][:6] == one[:6]
        assert "left out: 1" in whole[name].reason
    assert sum(one.cases for one in reliability([0.2, np.nan], [True, True])) == 1


@pytest.mark.parametrize(
    ("probabilities", "positive", "missing"),
    [
        ([], [], FIGURES),
        ([np.nan], [True], FIGURES),
        ([0.2, 0.4, 0.9], [True, True, True], {"intercept", "slope"}),
        ([0.2, 0.4, 0.9], [False, False, False], {"intercept", "slope"}),
        ([0.1, 0.2, 0.8], [False, False, True], {"slope"}),
        ([0.3, 0.3, 0.3], [False, False, True], {"slope"}),
        ([0.0, 0.0, 0.0], [False, False, True], {"slope", "observed_over_expected"}),
        ([0.0, 1.0, 1.0, 0.0], [False, True, False, True], set()),
        ([0.4], [True], {"intercept", "slope", "ece_debiased"}),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_cannot_be_told_is_missing_with_a_reason(probabilities, positive, missing) -> None:
    found = calibration_figures(probabilities, positive)
    assert {name for name, one in found.items() if math.isnan(one.value)} == missing
    for one in found.values():
        assert one.reason or not math.isnan(one.low)
        assert math.isnan(one.low) == math.isnan(one.high)


@pytest.mark.parametrize(
    ("given", "reason"),
    [(([0.1], [True, False]), "both as"), (([1.2], [True]), "logits"), (([-3.0], [True]), "logits")],
)
def test_what_is_no_probability_is_refused(given, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        calibration_figures(*given)
