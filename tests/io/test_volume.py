"""The carrier of volumes."""

from pathlib import Path

import numpy as np
import pytest
from oblique_grids import SPACING, grid, marked

from medcnn.io.volume import Volume, volume_as_image


def test_spacing_is_the_length_of_a_step_however_the_grid_is_turned() -> None:
    assert Volume(marked(), grid()).spacing_mm == pytest.approx(SPACING)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32"])
def test_an_image_holds_the_values_and_the_place_exactly(dtype: str) -> None:
    voxels = np.array([0, 1, np.iinfo(np.dtype(dtype)).max if dtype != "float32" else 0.1], dtype).reshape(1, 1, 3)
    image = volume_as_image(Volume(voxels, grid()))
    assert image.shape == (1, 1, 1, 3)
    assert np.array_equal(image.numpy()[0].astype(np.float64), voxels.astype(np.float64))
    assert np.array_equal(image.affine.numpy(), grid())


def test_a_volume_tells_no_file_when_it_is_printed() -> None:
    assert "secret" not in repr(Volume(marked(), grid(), sources=(Path("secret.dcm"),)))
