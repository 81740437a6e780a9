"""Pictures of maps, by hand arithmetic."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from medcnn.explain.overlay import in_gray, overlay, side_by_side


def ramp() -> np.ndarray:
    return np.linspace(0, 4000, 30 * 40).reshape(30, 40)


def test_where_nothing_spoke_the_image_stays_as_it_was() -> None:
    assert np.array_equal(overlay(ramp(), np.zeros((30, 40))), in_gray(ramp()))


def test_full_relevance_at_full_strength_is_the_color_itself() -> None:
    color = np.rint(np.array(matplotlib.colormaps["inferno"](255)[:3]) * 255)
    assert np.array_equal(overlay(ramp(), np.ones((30, 40)), strength=1.0)[3, 4], color)


def test_the_color_is_blended_by_strength_and_relevance() -> None:
    relevance = np.full((30, 40), 0.2)
    color = np.array(matplotlib.colormaps["inferno"](51)[:3]) * 255
    expected = in_gray(ramp()) * (1 - 0.5 * 0.2) + color * 0.5 * 0.2
    assert np.abs(overlay(ramp(), relevance, strength=0.5) - expected).max() <= 1


def test_gray_runs_from_black_to_white_whatever_the_range() -> None:
    shown = in_gray(ramp() - 1000)
    assert shown.dtype == np.uint8
    assert shown.shape == (30, 40, 3)
    assert (shown.min(), shown.max()) == (0, 255)
    assert (np.diff(shown[..., 0].ravel().astype(int)) >= 0).all()


def test_one_bright_pixel_on_black_is_still_seen() -> None:
    image = np.zeros((50, 50))
    image[7, 8] = 3
    assert in_gray(image)[7, 8].tolist() == [255] * 3


def test_a_constant_image_is_no_division_by_zero() -> None:
    assert np.isfinite(overlay(np.full((4, 4), 7.0), np.full((4, 4), np.nan))).all()


def test_a_volume_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="slice by slice"):
        overlay(np.zeros((3, 4, 5)), np.zeros((3, 4, 5)))


def test_panels_stand_in_a_row_over_their_captions() -> None:
    left, right = in_gray(ramp()), overlay(ramp(), np.ones((30, 40)))
    sheet = side_by_side([left, right], ["effusion: probability 0.9", "a second line"])
    assert np.array_equal(sheet[:30, :40], left)
    assert np.array_equal(sheet[:30, -40:], right)
    assert sheet.shape[0] > 30
    assert (sheet[30:] < 128).any()  # there is text


def test_the_bar_of_colors_runs_from_no_color_to_the_brightest_and_says_what_it_means() -> None:
    panel = in_gray(np.linspace(0, 1, 300 * 400).reshape(300, 400))
    plain, scaled = side_by_side([panel], ["one"]), side_by_side([panel], ["one"], "0 to most")
    assert scaled.shape[0] > plain.shape[0]
    bar = scaled[312, 8:136]
    assert bar[0].tolist() == [128] * 3
    brightest = 128 + 0.6 * (np.array(matplotlib.colormaps["inferno"](255)[:3]) * 255 - 128)
    assert np.abs(bar[-1] - brightest).max() <= 4
    assert (np.diff(bar @ np.array([0.3, 0.6, 0.1]))[20:] > -1).all()


def test_a_long_caption_is_broken_between_words_and_none_is_lost() -> None:
    panel = np.zeros((20, 200, 3), np.uint8)
    one, long = side_by_side([panel], ["short"]), side_by_side([panel], ["a caption of many words " * 6])
    assert long.shape[1] == one.shape[1]
    assert long.shape[0] >= one.shape[0] + 60
    assert (long[-4:] == 255).all()


def test_importing_draws_in_neither_matplotlib_nor_pillow() -> None:
    code = "import sys, medcnn.explain.overlay; sys.exit('matplotlib' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
