"""Figures say on how many cases they stand, draw what they are given, and leave no window behind."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from medcnn.report.figures.evaluation import (
    cam_grid_figure,
    confusion_figure,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
)
from medcnn.report.outcome import Finding, precision_recall_of, reliability_of, roc_of


def words(figure: Figure) -> str:
    from matplotlib.text import Text

    return " | ".join(text.get_text() for text in figure.findobj(Text))


def drawn(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.fixture
def finding() -> Finding:
    chance = np.random.default_rng(3)
    positive = chance.random(120) < 0.4
    return Finding("effusion", np.clip(positive * 0.3 + chance.random(120) * 0.6, 0, 1), positive, 0.5)


def test_curves_name_the_area_and_the_cases_behind_it(finding: Finding) -> None:
    roc, recall = roc_of(finding), precision_recall_of(finding)
    positives = int(finding.positive.sum())
    assert f"effusion: AUROC {roc.area:.3f} ({positives} of 120)" in words(roc_figure([roc]))
    assert f"effusion: AP {recall.area:.3f} ({positives} of 120)" in words(precision_recall_figure([recall]))
    assert "n = 120; the dot is the stored threshold" in words(roc_figure([roc]))


def test_an_area_that_cannot_be_told_is_not_drawn_as_a_number() -> None:
    lonely = Finding("effusion", np.array([0.1, 0.9]), np.array([True, True]), float("nan"))
    figure = roc_figure([roc_of(lonely)])
    assert "undefined: one side is missing" in words(figure)
    assert "the dot" not in words(figure)
    assert drawn(figure).std() > 0


def test_confusion_shows_every_count_and_its_share_of_the_row() -> None:
    counts = pd.DataFrame([[90, 10], [4, 1236]], index=["normal", "effusion"], columns=["normal", "effusion"])
    said = words(confusion_figure(counts))
    assert "1,236\n99.7%" in said
    assert "90\n90.0%" in said
    assert "n = 1,340" in said


def test_calibration_draws_a_line_for_each_finding(finding: Finding) -> None:
    figure = reliability_figure({"effusion": reliability_of(finding), "nodule": reliability_of(finding)})
    assert len(figure.axes[0].lines) == 3  # two findings and the diagonal
    assert "n = 120" in words(figure)


def test_a_map_colors_only_where_it_is_relevant() -> None:
    image = np.full((1, 1, 20, 20), 0.5, dtype=np.float32)
    image[0, 0, 0, 0] = 1.0
    relevance = np.zeros((1, 20, 20), dtype=np.float32)
    relevance[0, 5:8, 5:8] = 1.0
    (axes,) = cam_grid_figure(image, relevance, ["c1"], "title", "note").axes
    tile = axes.images[0].get_array()
    colored = np.abs(np.diff(np.asarray(tile, dtype=float), axis=2)).max(axis=2) > 1e-6
    assert colored.sum() == 9
    assert colored[5:8, -15:-12].all()  # in the right half, at the same place


def test_of_a_volume_the_slice_that_mattered_most_is_shown() -> None:
    volume = np.zeros((1, 1, 5, 8, 8), dtype=np.float32)
    volume[0, 0, 3, 2, 2] = 1.0
    relevance = np.zeros((1, 5, 8, 8), dtype=np.float32)
    relevance[0, 3] = 0.1
    (axes,) = cam_grid_figure(volume, relevance, ["c1"]).axes
    assert np.asarray(axes.images[0].get_array())[2, 2, 0] == pytest.approx(1.0)


@pytest.mark.parametrize("n", [1, 4, 9])
def test_captions_stay_inside_the_picture_for_any_number_of_cases(n: int) -> None:
    image = np.random.default_rng(0).random((n, 1, 28, 40)).astype(np.float32)
    figure = cam_grid_figure(image, np.zeros((n, 28, 40), np.float32), [f"c{k}\np = 0.5" for k in range(n)], "t", "n")
    canvas = figure.canvas
    canvas.draw()
    width, height = canvas.get_width_height()
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box is not None
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width + 1
        assert box.y1 <= height + 1


def test_drawing_leaves_nothing_behind_in_pyplot() -> None:
    code = (
        "import sys, numpy as np; from medcnn.report.figures.evaluation import *; from medcnn.report.outcome import *;"
        "roc_figure([roc_of(Finding('a', np.array([.1, .9]), np.array([False, True]), .5))]);"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    import subprocess
    import sys

    assert subprocess.check_output([sys.executable, "-c", code]).strip() == b"False"
