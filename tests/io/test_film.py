from pathlib import Path

import numpy as np
import pytest
import torch

from medcnn.io.dicom_write import write_film
from medcnn.io.film import Film, as_image
from medcnn.io.read import read_film


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.uint8, torch.uint8),
        (np.int16, torch.int16),
        (np.uint16, torch.int32),
        (np.int32, torch.int32),
        (np.float32, torch.float32),
    ],
)  # fmt: skip
def test_the_tensor_holds_the_values_exactly(dtype: type, expected: torch.dtype) -> None:
    info = np.iinfo(dtype) if dtype is not np.float32 else np.finfo(dtype)
    pixels = np.array([[info.min, 0, info.max]], dtype)
    image = as_image(Film(pixels))
    assert image.dtype == expected
    assert image.shape == (1, 1, 3)
    assert image.numpy()[0].astype(np.float64).tolist() == pixels.astype(np.float64).tolist()


def test_the_affine_carries_the_spacing_of_rows_and_columns(tmp_path: Path) -> None:
    write_film(tmp_path / "a.dcm", np.zeros((4, 6), np.uint16), spacing_mm=(0.3, 0.302))
    image = as_image(read_film(tmp_path / "a.dcm"))
    place = image.affine @ torch.tensor([2.0, 5.0, 0.0, 1.0], dtype=image.affine.dtype)
    assert place.tolist() == pytest.approx([0.6, 1.51, 0.0, 1.0])


def test_no_text_of_a_header_comes_along(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    write_film(
        tmp_path / "a.dcm",
        np.eye(8, dtype=np.uint16),
        SeriesDescription=evil,
        StudyDescription=evil,
        BodyPartExamined="X",
    )
    told = repr(vars(read_film(tmp_path / "a.dcm")))
    assert "onerror" not in told, "what no later room holds, no page can show"
