"""Corruptions, learning curves, random weights and maps of cases are drawn from their tables."""

import numpy as np
import pandas as pd
import pytest
from drawing import drawn, words
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from medcnn.report.figures.canvas import COLORS
from medcnn.report.figures.examination import (
    embedding_figure,
    learning_curve_figure,
    randomization_figure,
    robustness_figure,
)


def corruptions(names: int) -> pd.DataFrame:
    rows = [
        {"corruption": f"kind_{k}", "strength": s, "figure": figure, "value": 0.9 - 0.1 * s, "low": 0.8 - 0.1 * s,
         "high": 0.95 - 0.1 * s, "n": 624}
        for k in range(names) for s in range(4) for figure in ("auroc", "sensitivity")
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("names", [1, 3, 5, 9])
def test_each_corruption_has_a_panel_and_all_share_one_scale(names: int) -> None:
    figure = robustness_figure(corruptions(names), "auroc")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == [f"kind {k}" for k in range(names)]
    assert len({axes.get_ylim() for axes in panels}) == 1
    for axes in panels:
        curve = axes.get_lines()[0]
        np.testing.assert_allclose(curve.get_ydata(), [0.9, 0.8, 0.7, 0.6])
        assert len(axes.collections) == 1, "one band"
    assert "n = 624" in words(figure)
    drawn(figure)


def test_a_table_without_rows_says_so() -> None:
    figure = robustness_figure(corruptions(1).iloc[:0])
    assert "nothing" in words(figure)
    drawn(figure)
    assert "nothing" in words(learning_curve_figure(pd.DataFrame({"cases": [10], "value": [float("nan")]})))


def test_a_learning_curve_stands_at_its_sizes() -> None:
    table = pd.DataFrame({"cases": [400, 100], "value": [0.9, 0.8], "low": [0.85, 0.7], "high": [0.95, 0.9], "n": 50})
    figure = learning_curve_figure(table)
    (line,) = figure.axes[0].get_lines()
    np.testing.assert_allclose(line.get_xydata(), [[100, 0.8], [400, 0.9]])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["100", "400"]
    drawn(figure)


def test_likeness_under_random_weights_is_drawn_in_the_order_of_the_steps() -> None:
    table = pd.DataFrame({
        "step": [1, 0, 1], "layer": ["fc", "as trained", "fc"], "spearman": [0.2, 1.0, 0.4], "ssim": [0.1, 1.0, 0.3],
    })  # fmt: skip
    figure = randomization_figure(table)
    spearman = figure.axes[0].get_lines()[0]
    np.testing.assert_allclose(spearman.get_ydata(), [1.0, 0.3])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["as trained", "fc"]
    drawn(figure)


def cases(labels: list[object]) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"x": rng.normal(size=len(labels)), "y": rng.normal(size=len(labels)), "label": labels})


def test_a_name_keeps_its_color_however_often_it_stands() -> None:
    for labels in (["normal"] * 9 + ["sick"], ["normal"] + ["sick"] * 9):
        figure = embedding_figure(cases(list(labels)))
        first, second = [part for part in figure.axes[0].collections if isinstance(part, PathCollection)]
        assert to_hex(first.get_facecolor()[0]).upper() == COLORS[0]
        assert str(first.get_label()).startswith("normal")
        assert len(first.get_offsets()) + len(second.get_offsets()) == 10
        drawn(figure)


def test_rare_names_are_drawn_together_and_numbers_on_a_scale() -> None:
    figure = embedding_figure(cases([f"site {k % 9}" for k in range(60)]))
    assert "others" in words(figure)
    assert sum(len(part.get_offsets()) for part in figure.axes[0].collections) == 60
    drawn(figure)
    scaled = embedding_figure(cases(list(np.linspace(0, 90, 60))))
    assert len(scaled.axes) == 2
    drawn(scaled)


def test_what_a_case_is_not_known_to_be_is_a_name_too() -> None:
    figure = embedding_figure(cases(["normal", None, "sick", float("nan")]))
    assert "not known (2)" in words(figure)
