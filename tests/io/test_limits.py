"""Limits of size are absolute, and the environment moves them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medcnn.errors import ReadError
from medcnn.io.dicom_write import write_film
from medcnn.io.limits import MAX_PIXELS, check_decoded_bytes, check_pixels
from medcnn.io.read import read_film


def test_the_largest_image_is_read_and_one_pixel_more_is_not() -> None:
    check_pixels(1, MAX_PIXELS)
    with pytest.raises(ReadError, match="MEDCNN_MAX_PIXELS") as caught:
        check_pixels(1, MAX_PIXELS + 1)
    assert caught.value.code == "too_large"
    check_decoded_bytes(4 * MAX_PIXELS)
    with pytest.raises(ReadError):
        check_decoded_bytes(4 * MAX_PIXELS + 1)


@pytest.mark.parametrize("name", ["a.dcm", "a.png"])
def test_the_environment_moves_the_limit(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    write_film(tmp_path / "a.dcm", pixels)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    monkeypatch.setenv("MEDCNN_MAX_PIXELS", "600")
    assert read_film(tmp_path / name).pixels.shape == (20, 30)
    monkeypatch.setenv("MEDCNN_MAX_PIXELS", "599")
    with pytest.raises(ReadError, match="20 x 30 pixels") as caught:
        read_film(tmp_path / name)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("value", ["-1", "1e9", "many", "1.5"])
def test_a_limit_that_is_no_number_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_MAX_PIXELS", value)
    with pytest.raises(ReadError, match="whole number in MEDCNN_MAX_PIXELS"):
        check_pixels(1, 1)
