"""A table of cases, and planes that stand as a radiologist expects them, whatever the order of a volume's axes."""

from itertools import permutations, product

import numpy as np
import pytest

from medcnn.report.segmentation import CaseScores, Shown, largest_section, planes_of

DICE = np.array([[0.9, 0.8], [np.nan, 0.5], [0.2, 0.4], [np.nan, np.nan]])
SCORES = CaseScores(["c1", "c2", "c3", "c4"], ["front", "back"], {"dice": DICE, "truth_mm3": np.ones((4, 2))})


def test_the_table_has_one_row_a_case_and_class() -> None:
    table = SCORES.table()
    assert list(table.columns) == ["case", "class", "dice", "truth_mm3"]
    assert table.loc[(table["case"] == "c3") & (table["class"] == "back"), "dice"].item() == 0.4
    assert len(table) == 8


def test_best_and_worst_leave_out_what_has_no_figure() -> None:
    np.testing.assert_allclose(SCORES.of_case(), [0.85, 0.5, 0.3, np.nan])
    assert SCORES.ranked(2, best=True) == [0, 1]
    assert SCORES.ranked(5, best=False) == [2, 1, 0]


def test_the_largest_section_is_the_middle_where_nothing_is() -> None:
    labels = np.zeros((5, 4, 3), dtype=int)
    assert largest_section(labels, 0) == 2
    labels[1, 0, 0], labels[3, :2, 0] = 1, 2
    assert largest_section(labels, 0) == 3


@pytest.mark.parametrize(("order", "signs"), product(permutations(range(3)), product((1, -1), repeat=3)))
def test_planes_stand_as_radiologists_look_at_them(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    # A head of 5 x 6 x 7 voxels in RAS+: bright at the patient's right, at the front, and at the top.
    world = np.zeros((5, 6, 7), dtype=np.float32)
    world[4, :, :] += 1
    world[:, 5, :] += 2
    world[:, :, 6] += 4
    truth = np.zeros(world.shape, dtype=int)
    truth[2, 3, 3] = 1
    flips = tuple(slice(None, None, sign) for sign in signs)
    # Array axis k runs along the patient's axis order[k], against it where its sign is negative.
    image, labels = (values.transpose(order)[flips] for values in (world, truth))
    affine = np.eye(4)
    affine[:3, :3] = 0
    for k, (axis, sign) in enumerate(zip(order, signs, strict=True)):
        affine[axis, k] = sign * (1.0, 1.5, 2.0)[axis]
    planes = {plane.name: plane for plane in planes_of(Shown(image, labels, labels, affine, ""))}
    axial, coronal, sagittal = (planes[name].image for name in ("axial", "coronal", "sagittal"))
    assert (axial[:, 0] >= 1).all()  # the right is drawn on the left
    assert (axial[0] >= 2).all()  # the front is drawn above
    assert (coronal[:, 0] % 2 == 1).all()
    assert (coronal[0] >= 4).all()
    assert (sagittal[0] >= 4).all()
    assert (sagittal[:, 0] % 4 >= 2).all()  # the front is drawn on the left
    assert planes["axial"].pixel_mm == (1.5, 1.0)
    assert planes["coronal"].pixel_mm == (2.0, 1.0)
    assert planes["sagittal"].pixel_mm == (2.0, 1.5)
    assert all((plane.truth == 1).sum() == 1 for plane in planes.values())


def test_a_flat_image_is_its_own_plane() -> None:
    image = np.arange(12.0).reshape(3, 4)
    [plane] = planes_of(Shown(image, image.astype(int), image.astype(int), np.diag([2.0, 3.0, 1.0, 1.0]), ""))
    assert plane.image is image
    assert plane.pixel_mm == (2.0, 3.0)
