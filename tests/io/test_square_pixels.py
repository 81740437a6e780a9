"""Pixels that are not square are shown as a viewer shows them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from medcnn.errors import ReadError
from medcnn.io.dicom_write import write_film
from medcnn.io.read import read_film
from medcnn.io.square_pixels import with_square_pixels


def test_a_circle_is_round_after_reading(tmp_path: Path) -> None:
    # 80 x 160 pixels of 0.4 x 0.2 mm cover 32 x 32 mm; the disc has a radius of 10 mm.
    y, x = np.meshgrid((np.arange(80) + 0.5) * 0.4 - 16, (np.arange(160) + 0.5) * 0.2 - 16, indexing="ij")
    write_film(tmp_path / "a.dcm", ((x**2 + y**2 < 100) * 1000).astype(np.uint16), spacing_mm=(0.4, 0.2))
    film = read_film(tmp_path / "a.dcm")
    assert film.flags == ("non_square_pixels",)
    assert np.diag(film.affine).tolist() == pytest.approx([0.2, 0.2, 1, 1])
    disc = film.pixels > 500
    assert abs(np.ptp(np.nonzero(disc)[0]) - np.ptp(np.nonzero(disc)[1])) <= 2
    assert disc.sum() * 0.2**2 == pytest.approx(np.pi * 100, rel=0.02)


@pytest.mark.parametrize("ratio", [[4, 3], [1, 2]])
def test_a_ratio_serves_where_there_is_no_spacing(tmp_path: Path, ratio: list[int]) -> None:
    write_film(tmp_path / "a.dcm", np.eye(60, 90, dtype=np.uint16), spacing_mm=None, PixelAspectRatio=ratio)
    film = read_film(tmp_path / "a.dcm")
    assert film.pixels.shape == ((80, 90) if ratio == [4, 3] else (60, 180))
    assert film.flags == ("no_spacing", "non_square_pixels")


@given(st.integers(2, 9), st.integers(2, 9), st.floats(1.1, 4))
def test_it_interpolates_as_scipy_does(rows: int, columns: int, ratio: float) -> None:
    pixels = np.random.default_rng(rows).normal(size=(rows, columns)).astype(np.float32)
    square, _, _ = with_square_pixels(pixels, (ratio, 1.0))
    zoom = (square.shape[0] / rows, 1)
    expected = ndimage.zoom(pixels.astype(np.float64), zoom, order=1, mode="nearest", grid_mode=True)
    assert square == pytest.approx(expected, abs=1e-5)
    assert pytest.approx(expected, abs=1e-5) == with_square_pixels(pixels.T, (1.0, ratio))[0].T


def test_a_ratio_that_no_detector_has_is_refused() -> None:
    with pytest.raises(ReadError, match="times as high as wide"):
        with_square_pixels(np.zeros((4, 4)), (100.0, 0.1))
