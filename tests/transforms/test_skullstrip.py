"""The images of a case lose their skull, and a failure is told as it was asked for."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medcnn.data.phantom_head import draw_head, oblique_affine
from medcnn.errors import MedcnnError
from medcnn.transforms.brain import FAILED, strip_skull
from medcnn.transforms.skullstrip import SkullStripped


def test_the_transform_adds_the_mask_and_darkens_the_rest() -> None:
    voxels, _, _, affine = draw_head(oblique_affine((2.0, 2.0, 2.0)))
    case = {"image": MetaTensor(torch.from_numpy(voxels[None]), affine=torch.from_numpy(affine))}
    out = SkullStripped("image")(case)
    mask = strip_skull(voxels, affine).mask
    assert mask.any()
    assert np.array_equal(out["brain"][0].numpy(), mask)
    assert torch.equal(out["brain"].affine, case["image"].affine)
    assert np.array_equal(out["image"][0].numpy(), np.where(mask, voxels, 0))
    assert np.array_equal(case["image"][0].numpy(), voxels)
    kept = SkullStripped("image", apply=False, mask_key="mask")(case)
    assert torch.equal(kept["image"], case["image"])
    assert torch.equal(kept["mask"], out["brain"])


def test_a_failure_is_a_flag_or_a_refusal_in_one_line() -> None:
    case = {"image": MetaTensor(torch.rand(1, 60, 60, 60), affine=torch.diag(torch.tensor([3.0, 3.0, 3.0, 1.0])))}
    assert SkullStripped("image")(case)["flags"] == [FAILED]
    with pytest.raises(MedcnnError, match="no brain that can be trusted") as refusal:
        SkullStripped("image", on_failure="refuse")(case)
    assert "\n" not in str(refusal.value)
