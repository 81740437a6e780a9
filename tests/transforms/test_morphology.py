"""Morphology of the masks of a case: by the affine in millimeters, each channel by itself."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medcnn.transforms.morphology import Closed, Dilated, Eroded, Opened


def test_a_radius_in_mm_reaches_equally_far_in_the_patient(oblique_affine: torch.Tensor) -> None:
    mask = torch.zeros((1, 15, 11, 9), dtype=torch.uint8)
    mask[0, 7, 5, 4] = 1
    grown = Dilated("mask", radius=4.0, unit="mm")({"mask": MetaTensor(mask, affine=oblique_affine)})["mask"]
    affine = oblique_affine.numpy()
    center = affine @ [7, 5, 4, 1]
    for index in np.ndindex(15, 11, 9):
        distance = np.linalg.norm((affine @ [*index, 1] - center)[:3])
        assert bool(grown[0][index]) == (distance <= 4.0 + 1e-5)


@pytest.mark.parametrize("transform", [Dilated, Eroded, Opened, Closed])
def test_every_channel_of_a_mask_is_worked_by_itself(transform: type) -> None:
    masks = torch.from_numpy(np.random.default_rng(1).random((3, 12, 20)) < 0.7)
    together = transform("mask", radius=1.5)({"mask": masks})["mask"]
    alone = [transform("mask", radius=1.5)({"mask": masks[i : i + 1]})["mask"] for i in range(3)]
    assert together.dtype == torch.bool
    assert torch.equal(together, torch.cat(alone))


def test_mm_without_an_affine_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a MetaTensor with an affine"):
        Dilated("mask", radius=1.0, unit="mm")({"mask": torch.ones(1, 3, 3)})
