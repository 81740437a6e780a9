"""Sheets of small pictures, by hand arithmetic."""

import numpy as np
import pytest
import torch

from medcnn.explain.sheets import GAP, enlarged, feature_sheet, filter_sheet, grid_of, patch_sheet, strongest_units


def test_tiles_stand_by_rows_with_white_between() -> None:
    tiles = [np.full((4, 6, 3), shade, np.uint8) for shade in (10, 20, 30)]
    sheet = grid_of(tiles, columns=2)
    assert sheet.shape == (8 + GAP, 12 + GAP, 3)
    assert (sheet[:4, :6] == 10).all()
    assert (sheet[:4, 6 + GAP :] == 20).all()
    assert (sheet[4 + GAP :, :6] == 30).all()
    assert (sheet[4 : 4 + GAP] == 255).all()
    assert (sheet[4 + GAP :, 6:] == 255).all()


def test_pixels_are_repeated_and_never_invented() -> None:
    assert enlarged(np.array([[1, 2]]), 6).tolist() == [[1, 1, 1, 2, 2, 2]] * 3
    assert enlarged(np.zeros((9, 9)), 4).shape == (9, 9)


def test_filters_share_one_scale_around_gray() -> None:
    filters = torch.zeros(2, 1, 3, 3)
    filters[0, 0, 1, 1], filters[1, 0, 0, 0] = -2.0, 1.0
    sheet = filter_sheet(filters, side=3)
    assert sheet[1, 1, 0] == 0
    assert sheet[0, 3 + GAP, 0] == 191  # half of the greatest weight of all
    assert sheet[2, 2, 0] == 128
    cube = torch.zeros(1, 2, 3, 3, 3)
    cube[0, 1, 1, 2, 2] = 1.0
    middle = filter_sheet(cube, side=3)
    assert middle.shape == (3, 6 + GAP, 3)
    assert middle[2, -1, 0] == 255


@pytest.mark.parametrize("dims", [2, 3])
def test_the_maps_that_vary_most_come_first_and_a_limit_holds(dims: int) -> None:
    maps = torch.zeros(3, *[5] * dims)
    maps[1, 2], maps[2, 2] = 1.0, 3.0
    assert strongest_units(maps).tolist() == [2, 1, 0]
    sheet = feature_sheet(maps, limit=2, side=10)
    assert sheet.dtype == np.uint8
    assert sheet.shape in ((10, 20 + GAP, 3), (20 + GAP, 10, 3))


@pytest.mark.parametrize("dims", [2, 3])
def test_patches_become_gray_tiles(dims: int) -> None:
    sheet = patch_sheet(torch.rand(4, 1, *[8] * dims), side=16)
    assert sheet.shape == (32 + GAP, 32 + GAP, 3)
    assert (sheet[..., 0] == sheet[..., 1]).all()
