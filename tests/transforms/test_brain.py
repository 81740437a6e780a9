"""The brain is found in a phantom head in any orientation, and what holds no brain is flagged."""

import nibabel as nib
import numpy as np
import pytest

from medcnn.data.phantom_head import Head, draw_head, oblique_affine
from medcnn.transforms.brain import FAILED, STRIPPED, strip_skull

GRIDS = {
    "RAS 2 mm": oblique_affine((2.0, 2.0, 2.0)),
    "sagittal, unequal": oblique_affine((1.8, 2.2, 2.0), (1, 2, 0), (-1, -1, 1)),
    "coronal, thick": oblique_affine((2.0, 1.9, 3.0), (0, 2, 1), (1, -1, -1)),
    "upside down": oblique_affine((2.2, 2.2, 2.2), (2, 0, 1), (-1, 1, -1)),
}


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.fixture(scope="module")
def phantom() -> Head:
    return draw_head(GRIDS["RAS 2 mm"])


@pytest.mark.parametrize("name", GRIDS)
def test_the_brain_of_a_phantom_is_found_in_any_orientation_and_spacing(name: str) -> None:
    voxels, truth, _, affine = draw_head(GRIDS[name])
    before = voxels.copy()
    strip = strip_skull(voxels, affine)
    assert strip.mask.shape == voxels.shape
    assert strip.mask.dtype == bool
    assert dice(strip.mask, truth) > 0.95
    assert np.array_equal(voxels, before)


def test_the_mask_does_not_depend_on_gain_or_on_the_run(phantom: Head) -> None:
    voxels, _, _, affine = phantom
    masks = [strip_skull(voxels * np.float32(gain), affine).mask for gain in (1.0, 1.0, 0.125)]
    assert all(np.array_equal(mask, masks[0]) for mask in masks)


def test_whole_numbers_and_floats_of_the_same_values_give_the_same_mask(phantom: Head) -> None:
    voxels, _, _, affine = phantom
    whole = voxels.astype(np.int16)
    assert np.array_equal(strip_skull(whole, affine).mask, strip_skull(whole.astype(np.float64), affine).mask)


@pytest.fixture(scope="module")
def planted(phantom: Head) -> dict[str, np.ndarray]:
    voxels = phantom.image
    empty, *_ = draw_head(GRIDS["RAS 2 mm"], brain=False)
    half = voxels.copy()
    half[len(half) // 2 :] = 0
    return {
        "no brain": empty,
        "noise": 1000 * np.random.default_rng(0).random(voxels.shape, dtype=np.float32),
        "half a head": half,
        "inverted": voxels.max() - voxels,
        "black": np.zeros_like(voxels),
    }


@pytest.mark.parametrize("name", ["no brain", "noise", "half a head", "inverted", "black"])
def test_what_holds_no_whole_brain_is_flagged(name: str, planted: dict, phantom: Head) -> None:
    strip = strip_skull(planted[name], phantom.affine)
    assert FAILED in strip.flags
    assert not strip.ok


def test_a_brain_that_is_stripped_already_is_named_so(phantom: Head) -> None:
    voxels, truth, _, affine = phantom
    assert STRIPPED in strip_skull(np.where(truth, voxels, 0), affine).flags


def test_values_that_are_not_finite_are_told_and_do_not_spoil_the_mask(phantom: Head) -> None:
    voxels, truth, _, affine = phantom
    broken = voxels.copy()
    broken[3, 4, 5], broken[60, 70, 70] = np.nan, np.inf
    strip = strip_skull(broken, affine)
    assert "non_finite" in strip.flags
    assert dice(strip.mask, truth) > 0.95


def test_an_affine_that_folds_an_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="must be finite and span space"):
        strip_skull(np.ones((9, 9, 9)), np.diag([1.0, 0.0, 1.0, 1.0]))


@pytest.mark.data
@pytest.mark.parametrize(
    ("image", "masks"),
    [
        ("robex_atlas_t1.nii.gz", ["robex_atlas_mask.nii.gz"]),
        ("colin27_t1.nii.gz", ["colin27_mask_deepbet.nii.gz", "colin27_mask_robex.nii.gz"]),
    ],
)
def test_real_heads_agree_with_the_masks_of_others(shared_data, image: str, masks: list[str]) -> None:
    file = nib.load(shared_data / "heads" / image)
    truths = [np.asarray(nib.load(shared_data / "heads" / name).dataobj).squeeze() > 0 for name in masks]
    strip = strip_skull(np.asarray(file.dataobj).squeeze(), file.affine)
    assert dice(strip.mask, np.logical_and.reduce(truths)) > 0.955
    assert strip.ok
