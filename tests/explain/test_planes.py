"""Planes of a volume as a radiologist sees them, whatever the order of its axes."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medcnn.explain.planes import fitted_to, outlined, planes_through

ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
SPACING = np.array([0.9, 1.2, 3.0])  # along right, front and head


def affine_of(order: tuple[int, ...], signs: tuple[int, ...]) -> np.ndarray:
    """Index n runs along patient axis ``order[n]``; turned by 20 degrees, so that no axis is the patient's."""
    affine = np.eye(4)
    turned = Rotation.from_euler("xyz", (11, -7, 19), degrees=True).as_matrix()
    affine[:3, :3] = turned @ np.eye(3)[:, list(order)] * signs * SPACING[list(order)]
    return affine


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_every_orientation_gives_the_same_three_pictures(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    upright = np.arange(5 * 6 * 7).reshape(5, 6, 7)  # to the right, to the front, to the head
    at = (1, 4, 2)
    values = upright.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]
    index = tuple(int(one[0]) for one in np.nonzero(values == upright[at]))
    axial, coronal, sagittal = planes_through(values, affine_of(order, signs), index).images
    assert axial[0, 0] == upright[4, 5, 2], "the patient's right front is at the upper left"
    assert coronal[0, 0] == upright[4, 4, 6], "the right side of the head is at the upper left"
    assert sagittal[0, 0] == upright[1, 5, 6], "the forehead is at the upper left"
    assert axial.shape == (6, 5)
    assert sagittal[7 - 1 - 2, 6 - 1 - 4] == upright[at]


def test_the_size_of_a_pixel_follows_the_axes() -> None:
    found = planes_through(np.zeros((5, 6, 7)), affine_of((0, 1, 2), (1, 1, 1)), (0, 0, 0)).pixel_mm
    np.testing.assert_allclose(found, [(1.2, 0.9), (3.0, 0.9), (3.0, 1.2)])


def test_a_fitted_plane_has_square_pixels() -> None:
    assert fitted_to(np.zeros((7, 6)), (3.0, 1.2), 105).shape == (105, 36)  # 21 mm by 7.2 mm, 5 pixels a mm


def test_an_outline_is_the_inner_border_and_leaves_its_picture_alone() -> None:
    inside = np.zeros((7, 7), bool)
    inside[2:5, 1:7] = True
    picture = np.full((7, 7, 3), 9, np.uint8)
    line = (outlined(picture, inside) != 9).any(-1)
    expected = inside.copy()
    expected[3, 2:6] = False
    assert np.array_equal(line, expected)
    assert (picture == 9).all()
