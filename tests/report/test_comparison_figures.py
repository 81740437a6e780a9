"""Groups and models side by side: what is flagged is seen without color, what is not judged is said."""

import numpy as np
import pytest
from drawing import drawn, words
from matplotlib.figure import Figure

from medcnn.metrics.delong import compare_auroc
from medcnn.metrics.estimate import Estimate
from medcnn.metrics.subgroups import Gap, Group
from medcnn.report.figures.comparison import compared_roc_figure, forest_figure
from medcnn.report.outcome import Finding, roc_of

UNKNOWN = Estimate(float("nan"), reason="too few")


def group(column: str, name: str, value: Estimate, reason: str = "") -> Group:
    return Group(column, name, 1300, 300, 180, value, value, value, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, reason)


GROUPS = [
    group("sex", "female", Estimate(0.93, 0.90, 0.95)),
    group("sex", "male", Estimate(0.82, 0.78, 0.86)),
    group("device", "a scanner whose name does not end where others do", UNKNOWN, "too few"),
]


def markers(figure: Figure) -> list[tuple[str, float]]:
    return [
        (line.get_marker(), line.get_xdata()[0]) for line in figure.axes[0].get_lines() if line.get_marker() in "oD"
    ]


def test_a_flagged_group_has_its_own_shape_and_the_word() -> None:
    gap = Gap("sex", "male", "auroc", Estimate(-0.11), 0.001, 0.004, True)
    figure = forest_figure(GROUPS, [gap], overall=Estimate(0.88, n=2600))
    assert markers(figure) == [("o", 0.93), ("D", 0.82)]
    said = words(figure)
    for told in ("0.820 (0.780 to 0.860)  flagged", "1,300 cases, 180 with", "not judged", "all 2,600 cases, 0.880"):
        assert told in said
    assert said.count("flagged") == 2, "one group, and the note that explains the sign"
    drawn(figure)


@pytest.mark.parametrize("other", [("sex", "male", "sensitivity", True), ("sex", "male", "auroc", False)])
def test_a_flag_of_another_figure_marks_nobody(other: tuple[str, str, str, bool]) -> None:
    *at, flagged = other
    figure = forest_figure(GROUPS, [Gap(*at, Estimate(-0.1), 0.5, 0.5, flagged)])  # type: ignore[arg-type]
    assert [marker for marker, _ in markers(figure)] == ["o", "o"]


def test_no_group_and_many_groups_are_drawn() -> None:
    assert "no groups" in words(forest_figure([]))
    drawn(forest_figure([]))
    drawn(forest_figure([group("site", f"hospital {k}", Estimate(0.9, 0.8, 0.95)) for k in range(40)]))


def test_two_models_are_drawn_with_their_areas_and_the_paired_test() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(200) < 0.5
    first, second = (positive + rng.normal(size=200) * spread for spread in (0.8, 2.0))
    compared = compare_auroc(first, second, positive)
    curves = [roc_of(Finding(name, scores, positive, 0.5)) for name, scores in (("one", first), ("two", second))]
    figure = compared_roc_figure(*curves, compared)
    labels = [line.get_label() for line in figure.axes[0].get_lines()]
    assert f"one: AUROC {compared.first}" in labels
    assert f"two: AUROC {compared.second}" in labels
    assert f"difference {compared.difference}, p < 0.001" in words(figure)
    assert "n = 200" in words(figure)
    drawn(figure)


def test_without_a_test_the_curves_are_drawn_alone() -> None:
    curve = roc_of(Finding("one", np.array([0.1, 0.9]), np.array([False, True]), float("nan")))
    figure = compared_roc_figure(curve, curve)
    assert "difference" not in words(figure)
    drawn(figure)
