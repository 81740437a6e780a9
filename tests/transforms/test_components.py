"""Components and holes of the masks of a case, each channel by itself."""

import torch

from medcnn.transforms.components import ComponentsLabeled, HolesFilled, LargestComponent


def test_channels_are_labeled_by_themselves() -> None:
    masks = torch.zeros((2, 3, 5))
    masks[0, 0, 0] = masks[0, 2, 4] = masks[1, 1, 1] = 1
    labels = ComponentsLabeled("mask", connectivity=8)({"mask": masks})["mask"]
    assert labels.dtype == torch.int32
    assert labels.amax(dim=(1, 2)).tolist() == [2, 1]
    assert LargestComponent("mask")({"mask": masks})["mask"].sum(dim=(1, 2)).tolist() == [1, 1]


def test_a_ring_is_filled_in_its_own_channel_alone() -> None:
    masks = torch.zeros((2, 5, 5), dtype=torch.uint8)
    masks[0, 1:4, 1:4] = 1
    masks[0, 2, 2] = 0
    result = HolesFilled("mask")({"mask": masks})["mask"]
    assert result.dtype == torch.bool
    assert result.sum(dim=(1, 2)).tolist() == [9, 0]
