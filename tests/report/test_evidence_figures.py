"""Figures of evidence draw what they are given, state on what they stand, and say so where there is nothing."""

import numpy as np
import pytest
from drawing import drawn, words
from matplotlib.collections import PathCollection

from medcnn.metrics.agreement import bland_altman
from medcnn.metrics.conformal import Selective
from medcnn.metrics.decision_curve import DecisionCurve
from medcnn.metrics.estimate import Estimate
from medcnn.metrics.reliability import ReliabilityBin
from medcnn.report.figures.evidence import (
    bland_altman_figure,
    decision_curve_figure,
    reliability_figure,
    score_histogram_figure,
    selective_figure,
    threshold_figure,
)

NAN = float("nan")
SCORES = np.array([0.1, 0.2, 0.6, 0.4, 0.7, 0.9])
POSITIVE = np.array([False, False, False, True, True, True])


def bins(*shares: float) -> list[ReliabilityBin]:
    edges = np.linspace(0, 1, len(shares) + 1)
    found = [Estimate(share, max(share - 0.1, 0), min(share + 0.1, 1), 10) for share in shares]
    return [
        ReliabilityBin(low, high, (low + high) / 2, share, 10 * (k + 1))
        for k, (low, high, share) in enumerate(zip(edges, edges[1:], found, strict=False))
    ]


def test_reliability_shows_both_curves_their_intervals_and_the_cases_of_each_bin() -> None:
    figure = reliability_figure(bins(0.4, 0.6), bins(0.25, 0.75))
    above, below = figure.axes
    lines = {line.get_label(): line.get_xydata() for line in above.get_lines()}
    bars = {container.get_label(): container for container in above.containers}
    np.testing.assert_allclose(lines["perfect"], [[0, 0], [1, 1]])
    np.testing.assert_allclose(bars["after scaling"][0].get_xydata(), [[0.25, 0.25], [0.75, 0.75]])
    (reach,) = bars["before scaling"][2]
    np.testing.assert_allclose(reach.get_segments()[0][:, 1], [0.3, 0.5])
    assert sorted(patch.get_data().values[0] for patch in below.patches)[-1] == 20
    assert "n = 30" in words(figure)
    assert above.get_legend() is None, "the legend lies under the histogram, on no curve"
    drawn(figure)


@pytest.mark.parametrize("share", [Estimate(NAN), Estimate(0.5)])
def test_a_bin_without_a_share_or_an_interval_is_no_trouble(share: Estimate) -> None:
    drawn(reliability_figure(None, [ReliabilityBin(0, 1, 0.5, share, 3)]))
    drawn(reliability_figure(None, []))


def test_sensitivity_and_specificity_are_those_at_each_threshold() -> None:
    figure = threshold_figure(SCORES, POSITIVE, 0.5)
    sensitivity, specificity = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) > 100]
    x = np.asarray(sensitivity.get_xdata())
    for at in (0.05, 0.4, 0.5, 0.65, 0.95):
        k = int(np.argmin(np.abs(x - at)))
        assert sensitivity.get_ydata()[k] == pytest.approx((SCORES[POSITIVE] >= x[k]).mean())
        assert specificity.get_ydata()[k] == pytest.approx((SCORES[~POSITIVE] < x[k]).mean())
    said = words(figure)
    for told in ("sensitivity 0.667", "specificity 0.667", "stored threshold 0.500", "n = 6, 3 with the finding"):
        assert told in said
    drawn(figure)


def test_a_histogram_shows_shares_of_each_side_and_leaves_out_what_has_no_score() -> None:
    figure = score_histogram_figure(np.append(SCORES, NAN), np.append(POSITIVE, True), 0.5)
    filled = [patch for patch in figure.axes[0].patches if patch.get_fill()]
    assert [patch.get_data().values.sum() for patch in filled] == pytest.approx([1, 1])
    assert "1 without a score" in words(figure)
    drawn(figure)


@pytest.mark.parametrize("make", [threshold_figure, score_histogram_figure])
def test_one_class_no_threshold_no_case_and_scores_beyond_one_are_drawn(make: object) -> None:
    for scores, positive in ((SCORES, POSITIVE | True), (SCORES[:0], POSITIVE[:0]), (SCORES * 9 - 4, POSITIVE)):
        drawn(make(scores, positive, NAN))  # type: ignore[operator]


def test_a_decision_curve_has_its_band_and_both_ways_of_not_asking_a_model() -> None:
    t = np.array([0.1, 0.5, 0.9])
    curve = DecisionCurve(t, np.array([0.4, 0.3, 0.1]), np.array([0.3, 0.2, 0.0]), np.array([0.5, 0.4, 0.2]),
                          np.array([0.44, 0.0, -4.0]), "")  # fmt: skip
    figure = decision_curve_figure(curve, 624)
    labels = [line.get_label() for line in figure.axes[0].get_lines()]
    assert labels == ["treat none", "treat all", "act on the model"]
    assert figure.axes[0].get_ylim()[0] > -0.3, "treating all falls without end and must not flatten the rest"
    assert "n = 624" in words(figure)
    drawn(figure)


def test_a_curve_that_is_not_known_says_why() -> None:
    nothing = np.full(2, NAN)
    said = words(decision_curve_figure(DecisionCurve(nothing, nothing, nothing, nothing, nothing, "one class alone")))
    assert "one class alone" in said


def test_accuracy_over_the_share_that_is_kept() -> None:
    share, accuracy = np.array([0.5, 1.0]), np.array([1.0, 0.8])
    figure = selective_figure(Selective(share, accuracy, accuracy - 0.1, np.ones(2), share), 624)
    assert "n = 624" in words(figure)
    (line,) = figure.axes[0].get_lines()
    np.testing.assert_allclose(line.get_xydata(), [[0.5, 1.0], [1.0, 0.8]])
    assert figure.axes[0].get_ylim()[0] < 0.7
    drawn(figure)
    drawn(selective_figure(Selective(*(np.zeros(0),) * 5)))


def test_bland_and_altman_shows_bias_limits_and_on_what_they_stand() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(3000, 400, 40)
    found = bland_altman(true + rng.normal(30, 90, 40), true, list(range(20)) * 2)
    figure = bland_altman_figure(found, "Volume", "mm³")
    (points,) = [part for part in figure.axes[0].collections if isinstance(part, PathCollection)]
    np.testing.assert_allclose(points.get_offsets(), np.column_stack([found.means, found.differences]))
    levels = [line.get_ydata()[0] for line in figure.axes[0].get_lines()]
    assert {found.upper.value, found.bias.value, found.lower.value} <= set(levels)
    assert "n = 40 cases of 20 patients" in words(figure)
    assert "mean of both [mm³]" in words(figure)
    drawn(figure)


def test_too_few_measurements_to_agree_are_drawn_with_the_reason() -> None:
    figure = bland_altman_figure(bland_altman(np.array([1.0]), np.array([2.0])))
    assert "fewer than three patients" in words(figure)
    drawn(figure)
