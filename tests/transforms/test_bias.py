"""N4 against shading that was planted, on an anisotropic grid."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medcnn.transforms.bias import N4Corrected, _shrink_factors

SIZE = (24, 40, 40)


def phantom() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ball of two tissues in layers, the shading on it, and where it is."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SIZE], indexing="ij"))
    radius = np.sqrt((grid**2).sum(0))
    head = radius < 0.85
    tissue = np.where(np.sin(14 * radius) > 0, 100.0, 160.0) + np.random.default_rng(0).normal(0, 2, SIZE)
    shading = np.exp(0.35 * grid[0] - 0.3 * grid[1] * grid[2])
    return np.where(head, tissue, 0).astype(np.float32), shading.astype(np.float32), head


@pytest.fixture(scope="module")
def corrected(oblique_affine: torch.Tensor) -> tuple[dict, np.ndarray, np.ndarray, np.ndarray]:
    tissue, shading, head = phantom()
    image = MetaTensor(torch.from_numpy(tissue * shading)[None], affine=oblique_affine)
    return N4Corrected("image", shrink=2)({"image": image, "case": 1}), tissue, shading, head


def test_planted_shading_is_taken_out(corrected: tuple[dict, np.ndarray, np.ndarray, np.ndarray]) -> None:
    case, tissue, shading, head = corrected
    left = np.log(case["image"].numpy()[0][head] / tissue[head])
    assert left.std() < 0.3 * np.log(shading[head]).std()
    assert "flags" not in case


def test_the_grid_and_what_is_outside_stay(
    corrected: tuple[dict, np.ndarray, np.ndarray, np.ndarray], oblique_affine: torch.Tensor
) -> None:
    case, _, _, head = corrected
    assert torch.equal(case["image"].affine, oblique_affine)
    assert case["image"].dtype == torch.float32
    assert (case["image"].numpy()[0][~head] == 0).all()


def test_a_given_mask_is_where_it_looks(oblique_affine: torch.Tensor) -> None:
    tissue, shading, head = phantom()
    disturbed = tissue * shading
    disturbed[:, :4] = 5000  # an implant outside the mask, which would rule Otsu's threshold
    image = MetaTensor(torch.from_numpy(disturbed)[None], affine=oblique_affine)
    mask = MetaTensor(torch.from_numpy(head)[None], affine=oblique_affine)
    inner = head & (np.indices(SIZE)[1] >= 4)
    case = N4Corrected("image", mask_key="brain", shrink=2)({"image": image, "brain": mask & torch.from_numpy(inner)})
    left = np.log(case["image"].numpy()[0][inner] / tissue[inner])
    assert left.std() < 0.3 * np.log(shading[inner]).std()


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_an_image_that_holds_nothing_stays_and_is_flagged(value: float, oblique_affine: torch.Tensor) -> None:
    image = MetaTensor(torch.full((1, 9, 9, 9), value), affine=oblique_affine)
    case = N4Corrected("image")({"image": image})
    assert case["flags"] == ["bias_uncorrected"]
    assert torch.equal(case["image"].as_tensor(), image.as_tensor())


def test_thick_slices_are_not_thinned_out() -> None:
    assert _shrink_factors((30, 256, 256), (5.0, 1.0, 1.0), 4) == [1, 4, 4]
    assert _shrink_factors((200, 200, 20), (1.0, 1.0, 1.0), 4) == [4, 4, 2]


def test_a_mask_of_another_shape_and_a_shrink_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mask of image .*\(1, 8, 8, 8\).*\(1, 8, 8, 9\)"):
        N4Corrected("image", mask_key="m")({"image": torch.ones(1, 8, 8, 8), "m": torch.ones(1, 8, 8, 9)})
    with pytest.raises(ValueError, match="shrink"):
        N4Corrected("image", shrink=0)
