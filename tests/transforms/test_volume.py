"""Sequences joined on the grid of the first: planted positions on oblique grids, and MONAI's own resampling."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import SpatialResample

from medcnn.transforms.volume import ChannelsJoined

SIZE = (15, 20, 17)


def turned(affine: torch.Tensor, spacing: tuple[float, ...], shift: float = 0.0) -> torch.Tensor:
    """Another grid around the same place: axes exchanged and mirrored, other spacing."""
    change = np.zeros((4, 4))
    change[0, 2], change[1, 0], change[2, 1] = spacing[0], -spacing[1], spacing[2]
    change[:3, 3] = [-2 + shift, SIZE[1] + 1, -1]
    change[3, 3] = 1
    return affine @ torch.from_numpy(change)


def smooth_at(affine: torch.Tensor, size: tuple[int, ...]) -> MetaTensor:
    """A linear function of the position in mm: exact between voxels."""
    index = np.stack([*np.indices(size), np.ones(size)]).reshape(4, -1)
    position = affine.numpy() @ index
    values = (np.array([0.3, -0.2, 0.5]) @ position[:3] + 100).reshape(1, *size)
    return MetaTensor(torch.from_numpy(values.astype(np.float32)), affine=affine)


def test_every_channel_shows_the_same_place(oblique_affine: torch.Tensor) -> None:
    first = smooth_at(oblique_affine, SIZE)
    second = smooth_at(turned(oblique_affine, (0.7, 0.9, 0.8)), (33, 30, 40))
    case = ChannelsJoined(["t1", "t2"])({"t1": first, "t2": second, "case": 4})
    image = case["image"]
    assert image.shape == (2, *SIZE)
    assert torch.equal(image.affine, oblique_affine)
    assert case["flags"] == ["resampled"]
    assert set(case) == {"image", "case", "flags"}
    assert torch.equal(image[0].as_tensor(), first[0].as_tensor())
    covered = image[1] != 0
    assert covered.float().mean() > 0.8
    torch.testing.assert_close(image[1][covered].as_tensor(), first[0][covered].as_tensor(), atol=0.5, rtol=0)
    inside = (slice(2, -2),) * 3
    torch.testing.assert_close(image[1][inside].as_tensor(), first[0][inside].as_tensor(), atol=1e-3, rtol=0)


def test_it_equals_monais_resampling_inside(oblique_affine: torch.Tensor) -> None:
    first = smooth_at(oblique_affine, SIZE)
    values = torch.rand(1, 33, 30, 40, generator=torch.Generator().manual_seed(0))
    second = MetaTensor(values, affine=turned(oblique_affine, (0.7, 0.9, 0.8)))
    ours = ChannelsJoined(["a", "b"])({"a": first, "b": second})["image"][1]
    theirs = SpatialResample(padding_mode="zeros", align_corners=False)(
        second, dst_affine=oblique_affine, spatial_size=SIZE
    )[0]
    inside = (slice(2, -2),) * 3
    torch.testing.assert_close(ours[inside].as_tensor(), theirs[inside].as_tensor().float(), atol=1e-3, rtol=0)


def test_images_on_one_grid_are_stacked_as_they_are(oblique_affine: torch.Tensor) -> None:
    first = MetaTensor(torch.randint(0, 900, (1, *SIZE), dtype=torch.int16), affine=oblique_affine)
    rounded = oblique_affine.float().double()  # as a NIfTI header keeps it
    second = MetaTensor(torch.randint(0, 900, (2, *SIZE), dtype=torch.int16), affine=rounded)
    case = ChannelsJoined(["image", "flair"])({"image": first, "flair": second})
    assert torch.equal(case["image"].as_tensor(), torch.cat([first.as_tensor(), second.as_tensor()]))
    assert "flags" not in case
    assert "flair" not in case


def test_nearest_makes_no_new_values(oblique_affine: torch.Tensor) -> None:
    labels = torch.randint(1, 4, (1, 33, 30, 40), dtype=torch.uint8)
    second = MetaTensor(labels, affine=turned(oblique_affine, (0.7, 0.9, 0.8)))
    first = MetaTensor(torch.ones(1, *SIZE, dtype=torch.uint8), affine=oblique_affine)
    joined = ChannelsJoined(["a", "b"], mode="nearest")({"a": first, "b": second})["image"]
    assert joined.dtype == torch.uint8
    assert set(joined[1].unique().tolist()) <= {0, 1, 2, 3}


def test_a_field_of_view_that_ends_early_is_flagged_and_zero_beyond(oblique_affine: torch.Tensor) -> None:
    first = smooth_at(oblique_affine, SIZE)
    second = MetaTensor(torch.ones(1, 7, 20, 17), affine=oblique_affine)
    case = ChannelsJoined(["a", "b"])({"a": first, "b": second})
    assert case["flags"] == ["resampled", "partial_overlap"]
    assert (case["image"][1, :7] == 1).all()
    assert (case["image"][1, 8:] == 0).all()


def test_images_that_do_not_meet_are_refused_by_name(oblique_affine: torch.Tensor) -> None:
    far = oblique_affine.clone()
    far[:3, 3] += 500
    images = {"t1": smooth_at(oblique_affine, SIZE), "flair": smooth_at(far, SIZE)}
    with pytest.raises(ValueError, match=r"flair beside t1: their fields of view do not meet"):
        ChannelsJoined(["t1", "flair"])(images)


def test_images_without_a_place_or_of_another_kind_are_refused(oblique_affine: torch.Tensor) -> None:
    first = smooth_at(oblique_affine, SIZE)
    with pytest.raises(ValueError, match=r"b beside a: .*affine"):
        ChannelsJoined(["a", "b"])({"a": first, "b": torch.zeros(1, *SIZE)})
    with pytest.raises(ValueError, match="2 axes beside 3"):
        ChannelsJoined(["a", "b"])({"a": first, "b": MetaTensor(torch.zeros(1, 5, 5), affine=oblique_affine)})
