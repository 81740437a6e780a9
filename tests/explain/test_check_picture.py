"""The picture of the check holds every map and grows with the steps."""

import numpy as np

from medcnn.explain.check_picture import check_figure, pixels_of
from medcnn.explain.randomization import Step


def steps(count: int) -> list[Step]:
    values = [np.full((3, 1), 1.0 / (1 + number)) for number in range(count)]
    return [Step(f"features.{number}.with.a.long.name", one, one) for number, one in enumerate(values)]


def test_every_map_is_in_the_picture() -> None:
    shades = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200)]
    tiles = [np.full((40, 50, 3), shade, np.uint8) for shade in shades]
    picture = pixels_of(check_figure(steps(5), tiles, "effusion: does the map depend?", "it does"))
    assert picture.dtype == np.uint8
    for shade in shades:
        assert (picture == shade).all(-1).sum() > 500
    assert pixels_of(check_figure(steps(9), [tiles[0]] * 9, "", "")).shape[1] > picture.shape[1]


def test_one_draw_has_no_spread_and_is_drawn_all_the_same() -> None:
    single = [Step("as trained", np.ones((1, 2)), np.ones((1, 2))), Step("last", np.zeros((1, 2)), np.zeros((1, 2)))]
    assert pixels_of(check_figure(single, [np.zeros((9, 9, 3), np.uint8)] * 2, "t", "s")).std() > 0


def test_a_long_verdict_is_broken_and_all_of_it_stands_within_the_figure() -> None:
    sentence = "with all weights random the map keeps a rank correlation of 0.12 with the first: " + "and so on " * 60
    figure = check_figure(steps(4), [np.zeros((40, 50, 3), np.uint8)] * 4, "t", sentence.strip() + " to the end")
    pixels_of(figure)
    note = figure.texts[-1]
    assert note.get_text().count("\n") > 5
    assert "to the end\nMaps of the first draw" in note.get_text()
    box = note.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    tiles = [axes for axes in figure.axes if axes.images]
    assert all(box.y1 <= axes.get_window_extent().y0 + 1 for axes in tiles)


def test_a_draw_that_left_no_map_says_so_on_its_tile() -> None:
    figure = check_figure(steps(3), [np.zeros((40, 50, 3), np.uint8)] * 3, "t", "s", empty=[1])
    told = [axes.texts[0].get_text() if axes.texts else "" for axes in figure.axes if axes.images]
    assert [" ".join(text.split()) for text in told] == ["", "no positive evidence in this draw", ""]
