import numpy as np
import pytest
from nibabel.affines import voxel_sizes
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from medcnn.data.fingerprint import fingerprint
from medcnn.data.ripe import Ripe


def case(shape: tuple[int, int, int], spacing: tuple[float, float, float], codes: str = "RAS") -> Ripe:
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    affine = np.diag([*spacing, 1.0]) @ inv_ornt_aff(turn, shape)
    turned = tuple(int(n) for n in np.array(shape)[np.argsort(turn[:, 0])])
    mask = np.zeros(turned, np.uint8)
    return Ripe(0, mask[None].astype(np.float32), mask, (), affine, np.zeros(2), turned, affine, np.zeros(2))


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "PIL", "IRA"])
def test_sizes_are_told_to_the_right_the_front_and_the_head_whatever_the_files_order(codes: str) -> None:
    one = case((10, 20, 30), (1.0, 2.0, 2.5), codes)
    found = fingerprint([one])
    assert found.size == (10, 20, 30)
    assert found.spacing_mm == pytest.approx((1.0, 2.0, 2.5))
    # nibabel agrees on which axis of the file is which.
    order = io_orientation(one.affine)[:, 0].astype(int)
    assert voxel_sizes(one.affine)[np.argsort(order)] == pytest.approx((1.0, 2.0, 2.5))


def test_the_target_is_the_median_and_sizes_are_told_at_it() -> None:
    found = fingerprint([case((10, 10, 10), (1.0, 1.0, 1.0)), case((10, 10, 10), (1.0, 1.0, 1.0)),
                         case((10, 10, 10), (2.0, 2.0, 2.0))])  # fmt: skip
    assert found.spacing_mm == (1.0, 1.0, 1.0)
    assert found.resampled
    assert found.largest == (20, 20, 20)
    assert found.size == (10, 10, 10)


def test_equal_spacings_are_not_resampled() -> None:
    assert not fingerprint([case((8, 9, 10), (1.0, 1.0, 3.0))] * 3).resampled


def test_along_thick_slices_the_target_follows_the_finer_cases() -> None:
    # Ten percent of the way from 2 to 6 mm, by hand: percentile 10 of (2, 6, 6, 6, 6) is 3.6.
    cases = [case((30, 30, 20), (1.0, 1.0, mm)) for mm in (2.0, 6.0, 6.0, 6.0, 6.0)]
    assert fingerprint(cases).spacing_mm == pytest.approx((1.0, 1.0, 3.6))
