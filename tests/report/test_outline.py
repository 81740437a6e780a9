"""The picture of a segmented volume says which side is which, and what was found."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from medcnn.report.figures.outline import outline_figure

CLASSES = ("background", "ball")
FLIPPED = np.diag([-1.0, 1.0, 2.0, 1.0])


def drawn(affine: np.ndarray, caption: str = "", found: bool = True) -> Figure:
    labels = np.zeros((20, 16, 12), np.uint8)
    labels[3:8, 4:12, 5:9] = found
    image = np.random.default_rng(0).normal(labels * 50, 5)
    image[:2] = 500.0  # one side is bright: the right where index 0 runs to the left of the patient
    return outline_figure(image, labels, affine, CLASSES, caption)


@pytest.mark.parametrize(("affine", "bright"), [(FLIPPED, "R"), (np.diag([1.0, 1.0, 2.0, 1.0]), "L")])
def test_letters_stand_at_the_sides_of_the_planes_that_show_both(affine: np.ndarray, bright: str) -> None:
    axial, coronal, sagittal = drawn(affine).axes
    for axes in (axial, coronal):
        places = {text.get_text(): text.get_position()[0] for text in axes.texts}
        assert places["R"] < 0.5 < places["L"]
        shown = np.asarray(axes.images[0].get_array())
        left, right = shown[:, :2].mean(), shown[:, -2:].mean()
        assert (left > right) == (bright == "R")
    assert not sagittal.texts


def test_the_caption_tells_where_nothing_was_found() -> None:
    assert [text.get_text() for text in drawn(FLIPPED, "one_slice", found=False).texts] == [
        "one_slice; nothing was found"
    ]
    assert [text.get_text() for text in drawn(FLIPPED, "", found=False).texts] == ["nothing was found"]
