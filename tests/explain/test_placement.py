"""A map goes home by the affines of both grids."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import CenterSpatialCrop, Compose, Flip, Resize, SpatialPad
from torch import Tensor

from medcnn.explain.placement import fitted, onto_grid

# Unequal spacing, and a shift: never the identity.
AFFINE = torch.tensor([[0.2, 0, 0, -31.0], [0, 0.15, 0, 12.0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.float64)


def spot(rows: int = 90, columns: int = 120, row: int = 60, column: int = 33) -> Tensor:
    """A smooth spot on a film, its greatest value at (row, column)."""
    r, c = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.exp(-((r - row) ** 2 + (c - column) ** 2) / 72.0)


@pytest.mark.parametrize(
    "steps",
    [
        [Resize((45, 40))],
        [SpatialPad((120, 120)), Resize((60, 60))],
        [CenterSpatialCrop((80, 90)), Resize((50, 60))],
        [Flip(1), Resize((64, 64))],
    ],
    ids=["resized", "padded", "cropped", "mirrored"],
)
def test_a_spot_comes_home_through_the_steps_of_a_model(steps: list) -> None:
    seen = Compose(steps)(MetaTensor(spot()[None], affine=AFFINE))
    home = onto_grid(seen.as_tensor()[0], torch.as_tensor(seen.affine), (90, 120), AFFINE)
    assert np.abs(np.subtract(np.unravel_index(int(home.argmax()), home.shape), (60, 33))).max() <= 1
    torch.testing.assert_close(home[50:70, 23:43], spot()[50:70, 23:43], atol=0.08, rtol=0)


def test_what_the_net_did_not_see_is_zero() -> None:
    seen = CenterSpatialCrop((40, 60))(MetaTensor(torch.ones(1, 90, 120), affine=AFFINE))
    home = onto_grid(seen.as_tensor()[0], torch.as_tensor(seen.affine), (90, 120), AFFINE)
    expected = torch.zeros(90, 120)
    expected[25:65, 30:90] = 1
    assert torch.equal(home, expected)


@pytest.mark.parametrize("longest", [60, 240])
def test_a_grid_for_showing_covers_the_same_field(longest: int) -> None:
    (rows, columns), affine = fitted((90, 120), AFFINE, longest)
    assert (rows, columns) == (longest * 3 // 4, longest)
    corners = torch.tensor([[-0.5, -0.5, 0, 1], [rows - 0.5, columns - 0.5, 0, 1]], dtype=torch.float64)
    home = torch.tensor([[-0.5, -0.5, 0, 1], [89.5, 119.5, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(corners @ affine.T, home @ AFFINE.T)


def test_an_affine_that_folds_an_axis_is_refused() -> None:
    flat = AFFINE.clone()
    flat[0, 0] = 0
    with pytest.raises(ValueError, match="folds an axis"):
        onto_grid(spot(), flat, (90, 120), AFFINE)
