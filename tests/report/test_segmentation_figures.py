"""Figures of a segmentation draw what they are given, and say on how many cases they stand."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from medcnn.report.figures.segmentation import CLASS_COLORS, FILL, dice_figure, overlay_figure
from medcnn.report.segmentation import CaseScores, Shown

CLASSES = ["background", "front", "back"]


def words(figure: Figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(Text))


def drawn(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))


def case(size: tuple[int, ...] = (8, 9, 10)) -> Shown:
    image = np.zeros(size, dtype=np.float32)
    image[(0,) * len(size)] = 1000.0
    truth, found = np.zeros(size, dtype=int), np.zeros(size, dtype=int)
    truth[tuple(slice(2, 6) for _ in size)] = 1
    found[tuple(slice(3, 5) for _ in size)] = 2
    return Shown(image, truth, found, np.diag([1.0, 1.0, 2.0, 1.0]), "c0123456789ab\nDice front 0.5")


def test_the_box_plot_shows_each_case_and_tells_mean_number_and_empty_truths() -> None:
    dice = np.array([[0.9, np.nan], [0.7, 0.5], [0.8, 0.7]])
    truth = np.array([[5.0, 0.0], [5.0, 5.0], [5.0, 5.0]])
    figure = dice_figure(CaseScores(["a", "b", "c"], CLASSES[1:], {"dice": dice, "truth_mm3": truth}))
    said = words(figure)
    assert "mean 0.800\nn = 3" in said
    assert "mean 0.600\nn = 2" in said
    assert "n = 3 cases; 1 truths are empty" in said
    points = [np.sort(dots.get_offsets()[:, 1]) for dots in figure.axes[0].collections]
    np.testing.assert_allclose(np.concatenate(points), [0.7, 0.8, 0.9, 0.5, 0.7])
    assert drawn(figure).std() > 0


def test_a_class_without_a_figure_is_told_and_not_drawn() -> None:
    dice = np.array([[0.9, np.nan], [0.7, np.nan]])
    figure = dice_figure(CaseScores(["a", "b"], CLASSES[1:], {"dice": dice, "truth_mm3": np.zeros((2, 2))}))
    assert "no figure" in words(figure)
    assert drawn(figure).std() > 0


def test_what_was_found_is_filled_and_what_is_true_is_outlined() -> None:
    figure = overlay_figure([case()], CLASSES, "title", "note")
    assert len(figure.axes) == 3
    tile = np.asarray(figure.axes[0].images[0].get_array(), dtype=float)
    filled = np.abs(tile - FILL * np.array(to_rgb(CLASS_COLORS[1]))).max(axis=2) < 1e-6
    assert filled.sum() == 4  # the image is dark there
    [outline] = figure.axes[0].collections
    corners = np.concatenate([path.vertices for path in outline.get_paths()])
    assert np.ptp(corners, axis=0) == pytest.approx([4, 4], abs=0.01)
    said = words(figure)
    assert all(part in said for part in ("title", "note; fill: prediction, outline: truth", "front", "back"))


@pytest.mark.parametrize("size", [(8, 9), (8, 9, 10)])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_captions_stay_inside_the_picture(size: tuple[int, ...], n: int) -> None:
    figure = overlay_figure([case(size)] * n, CLASSES, "title", "note")
    canvas = figure.canvas
    canvas.draw()
    width, height = canvas.get_width_height()
    for text in [*figure.texts, *figure.legends[0].get_texts()]:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width + 1
        assert box.y1 <= height + 1


def test_an_image_of_one_value_is_drawn() -> None:
    flat = case()._replace(image=np.full((8, 9, 10), 7.0))
    assert drawn(overlay_figure([flat], CLASSES)).std() > 0
