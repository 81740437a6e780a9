"""The pointing game by hand arithmetic, and with nets that learned to find what was planted."""

import math

import numpy as np
import pytest
import torch
from trained_on_squares import squares, trained

from medcnn.explain.grad_cam import explain_maps
from medcnn.explain.pointing import plant, pointing, random_corners


@pytest.mark.parametrize("dims", [2, 3])
def test_a_square_is_planted_where_it_was_told_and_the_images_stay(dims: int) -> None:
    images = torch.zeros(2, 3, *(9, 8, 7)[:dims])
    at = torch.tensor([[5, 4, 3], [0, 1, 2]])[:, :dims]
    planted = plant(images, 4, at, 2.5)
    assert not images.any()
    assert planted.masks.flatten(1).sum(1).tolist() == [4**dims] * 2
    assert (planted.images == 2.5 * planted.masks[:, None]).all()
    assert torch.nonzero(planted.masks[0])[0].tolist() == at[0].tolist()


def test_places_are_seeded_inside_the_image_and_reach_every_border() -> None:
    corners = random_corners(4000, (9, 6), 4, torch.Generator().manual_seed(3))
    assert corners.amin(0).tolist() == [0, 0]
    assert corners.amax(0).tolist() == [5, 2]
    assert torch.equal(corners, random_corners(4000, (9, 6), 4, torch.Generator().manual_seed(3)))


def test_a_square_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        random_corners(1, (9, 6), 7, torch.Generator())
    with pytest.raises(ValueError, match="4 pixels fit"):
        plant(torch.zeros(1, 1, 9, 6), 4, torch.tensor([[0, 3]]), 1.0)


def test_hit_energy_and_overlap_by_hand() -> None:
    maps, masks = torch.zeros(1, 10, 10), torch.zeros(1, 10, 10, dtype=torch.bool)
    maps[0, 2, 3:6] = torch.tensor([1.0, 4.0, 3.0])
    masks[0, 2:4, 4:6] = True
    found = pointing(maps, masks, quantile=0.98)  # two values of a hundred
    assert found.hits.tolist() == [True]
    assert found.energy.tolist() == [7 / 8]
    assert found.iou.tolist() == [2 / 4]
    assert found.area.tolist() == [0.04]


def test_the_tolerance_is_a_distance_in_pixels_or_in_mm() -> None:
    maps, masks = torch.zeros(1, 9, 9, 9), torch.zeros(1, 9, 9, 9, dtype=torch.bool)
    maps[0, 7, 4, 4] = 1
    masks[0, 4, 4, 4] = True
    assert not pointing(maps, masks).hits[0]
    assert not pointing(maps, masks, tolerance=2.9).hits[0]
    assert pointing(maps, masks, tolerance=3).hits[0]
    assert not pointing(maps, masks, tolerance=3, spacing=(2.0, 1.0, 1.0)).hits[0]
    assert pointing(maps, masks, tolerance=6, spacing=(2.0, 1.0, 1.0)).hits[0]
    assert pointing(maps, masks, tolerance=1).area[0] == pytest.approx(7 / 729)


def test_a_map_that_shows_nothing_misses_and_one_that_shows_everything_does_not_hit_by_luck() -> None:
    masks = torch.zeros(2, 6, 6, dtype=torch.bool)
    masks[:, 0, 0] = True
    found = pointing(torch.stack([torch.zeros(6, 6), torch.ones(6, 6)]), masks)
    assert found.hits.tolist() == [False, False]
    assert math.isnan(found.energy[0])
    assert math.isnan(found.iou[0])
    assert found.energy[1] == pytest.approx(1 / 36)


def test_an_empty_mask_and_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="mask 1 is empty"):
        pointing(torch.ones(2, 3, 3), torch.tensor([True, False]).view(2, 1, 1).expand(2, 3, 3))
    with pytest.raises(ValueError, match="one shape"):
        pointing(torch.ones(2, 3, 3), torch.ones(2, 3, 4))


@pytest.mark.parametrize(("dims", "steps", "size", "side"), [(2, 60, 8, 32), (3, 40, 5, 14)])
def test_grad_cam_points_at_the_square_that_a_net_learned_to_find(dims: int, steps: int, size: int, side: int) -> None:
    net = trained(dims, steps, size, side, batch=16)
    held_out = squares(dims, 64, size, side, seed=1)
    with torch.no_grad():
        called = net(held_out.images).argmax(1)
    assert (called == held_out.labels).float().mean() > 0.9
    there = held_out.labels == 1
    maps = explain_maps(net, held_out.images[there], torch.ones(int(there.sum()), dtype=torch.int64)).maps
    found = pointing(maps, held_out.masks[there])
    assert found.hits.mean() > 0.9
    assert np.nanmean(found.energy) > 3 * found.area.mean()
