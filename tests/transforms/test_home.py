"""Labels come home: copied where grids differ by whole voxels, else as scipy interpolates, and never moved in mm."""

import itertools

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import CropForeground, Orientation, SpatialPad
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from medcnn.transforms import home
from medcnn.transforms.home import labels_at_home, resampled

SHAPE = (7, 9, 12)
ORIENTATIONS = [
    "".join(pair[flip] for pair, flip in zip(axes, flips, strict=True))
    for axes in itertools.permutations(["RL", "AP", "SI"])
    for flips in itertools.product((0, 1), repeat=3)
]


def oblique(spacing: tuple[float, ...] = (0.8, 1.5, 3.0), degrees: tuple[float, ...] = (20, -35, 50)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ np.diag(spacing)
    affine[:3, 3] = [-40.0, 25.5, 110.0]
    return affine


def one_hot(labels: np.ndarray, classes: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([labels == value for value in range(classes)]).astype(np.float32))


def by_scipy(values: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], onto: np.ndarray) -> np.ndarray:
    """Trilinear, the outermost values held for half a voxel, 0 beyond."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).reshape(3, -1)
    found = np.linalg.solve(affine, onto @ np.vstack([index, np.ones(index.shape[1])]))[:3]
    size = np.array(values.shape[1:])[:, None]
    inside = ((found >= -0.5) & (found <= size - 0.5)).all(0)
    out = [map_coordinates(channel, found, order=1, mode="nearest", prefilter=False) for channel in values]
    return (np.stack(out) * inside).reshape(-1, *shape)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_labels_return_exactly_from_every_orientation_with_a_crop_and_a_pad(orientation: str) -> None:
    labels = np.random.default_rng(5).integers(0, 3, SHAPE)
    labels[:2] = labels[:, -2:] = 0
    source = MetaTensor(torch.from_numpy(labels[None]).float(), affine=torch.from_numpy(oblique()))
    turned = CropForeground()(Orientation(orientation)(source))
    prepared = SpatialPad((16, 16, 16), method="end")(turned)
    back = labels_at_home(one_hot(prepared.numpy()[0], 3), prepared.affine, SHAPE, oblique())
    assert back.dtype == np.uint8
    assert np.array_equal(back, labels)


def test_a_turn_by_whole_voxels_is_nibabels() -> None:
    values = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    image = nib.Nifti1Image(values, oblique())
    turned = image.as_reoriented([[1, -1], [2, 1], [0, -1]])
    ours = resampled(torch.from_numpy(values)[None], image.affine, turned.shape, turned.affine)
    assert np.array_equal(ours.numpy()[0], np.asarray(turned.dataobj))


@settings(max_examples=20, deadline=None)
@given(
    degrees=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 4.0)] * 3),
    shape=st.tuples(*[st.integers(1, 12)] * 3),
)
def test_between_any_two_grids_the_values_are_scipys(
    degrees: tuple[float, ...], spacing: tuple[float, ...], shape: tuple[int, ...]
) -> None:
    values = np.random.default_rng(0).normal(size=(2, *SHAPE))
    onto = oblique(spacing, degrees)
    onto[:3, 3] = oblique()[:3] @ [3, 4, 5.5, 1] - onto[:3, :3] @ (np.array(shape) / 2)
    ours = resampled(torch.from_numpy(values), oblique(), shape, onto).numpy()
    theirs = by_scipy(values, oblique(), shape, onto)
    # Where a center lies on the very border, either answer is right.
    assert (~np.isclose(ours, theirs, atol=1e-9)).mean() < 0.02


@pytest.mark.parametrize("chunk", [1, 500, 1 << 22])
def test_labels_are_the_argmax_of_resampled_probabilities_however_they_are_cut(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "_CHUNK", chunk)
    axes = np.stack(np.meshgrid(*map(np.arange, (14, 15, 16)), indexing="ij"))
    logits = [np.full((14, 15, 16), 1.0)]
    logits += [6 - np.linalg.norm(axes - np.reshape(at, (3, 1, 1, 1)), axis=0) for at in ([5, 6, 7], [5, 10, 8])]
    probabilities = torch.softmax(torch.from_numpy(np.stack(logits)), 0)
    affine, onto, shape = oblique((1, 1, 1)), oblique((0.7, 0.9, 2.0), (5, 10, -20)), (20, 22, 9)
    onto[:3, 3] = affine[:3] @ [7, 7, 8, 1] - onto[:3, :3] @ [10, 11, 4]
    expected = by_scipy(probabilities.numpy(), affine, shape, onto).argmax(0)
    assert {1, 2} <= set(np.unique(expected))
    assert np.array_equal(labels_at_home(probabilities, affine, shape, onto), expected)


def test_a_planted_ball_keeps_its_place_and_its_shape_in_mm() -> None:
    prepared, onto, shape = oblique((1, 1, 1), (0, 0, 0)), oblique((0.8, 1.1, 2.5)), (60, 50, 24)
    center = onto[:3] @ [30, 25, 12, 1]
    prepared[:3, 3] = center - 20.3
    place = np.stack(np.meshgrid(*map(np.arange, (41, 41, 41)), indexing="ij"), -1) + prepared[:3, 3]
    inside = torch.sigmoid(torch.from_numpy(10.0 - np.linalg.norm(place - center, axis=-1)))
    back = labels_at_home(torch.stack([1 - inside, inside]), prepared, shape, onto)
    found = onto[:3] @ [*np.argwhere(back).mean(0), 1]
    assert np.linalg.norm(found - center) < 0.2
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    truth = np.linalg.norm(index @ onto[:3, :3].T + onto[:3, 3] - center, axis=-1) < 10
    assert (back != truth).sum() < 0.02 * truth.sum()


def test_outside_the_prepared_grid_is_background_even_if_background_is_never_likely_inside() -> None:
    probabilities = torch.tensor([0.1, 0.9]).view(2, 1, 1, 1).expand(2, 4, 4, 4)
    whole, part = np.eye(4), oblique((0.9, 0.9, 0.9))
    part[:3, 3] = [3.0, 3.0, 3.0]
    back = labels_at_home(probabilities, part, (10, 10, 10), whole)
    index = np.stack(np.meshgrid(*map(np.arange, (10, 10, 10)), indexing="ij"), -1)
    found = (index - part[:3, 3]) @ np.linalg.inv(part[:3, :3]).T
    assert np.array_equal(back, ((found >= -0.5) & (found <= 3.5)).all(-1))


def test_nearest_keeps_whole_numbers_and_their_dtype() -> None:
    labels = torch.from_numpy(np.random.default_rng(2).integers(0, 70_000, (1, *SHAPE)))
    onto = oblique((0.4, 0.75, 1.5))
    back = resampled(labels, oblique(), (13, 17, 23), onto, mode="nearest")
    assert back.dtype == labels.dtype
    assert torch.equal(back[:, ::2, ::2, ::2], labels)


def test_one_grid_in_two_headers_is_one_grid() -> None:
    values = torch.rand(2, *SHAPE)
    rounded = oblique().astype(np.float32)
    assert torch.equal(resampled(values, rounded, SHAPE, oblique()), values)


def test_a_film_and_a_line_come_home_too() -> None:
    film = torch.rand(1, 6, 8)
    affine = np.diag([2.0, 2.0, 1.0, 1.0])
    half = resampled(film, affine, (12, 16), np.diag([1.0, 1.0, 1.0, 1.0]))
    assert torch.allclose(half[:, ::2, ::2], film)
    assert torch.allclose(half[0, 1, 0], (film[0, 0, 0] + film[0, 1, 0]) / 2)
    line = resampled(film[:, 0], affine, (16,), np.eye(4))
    assert torch.allclose(line[:, ::2], film[:, 0])


def test_nothing_found_comes_home_as_nothing() -> None:
    probabilities = torch.tensor([0.9, 0.1]).view(2, 1, 1, 1).expand(2, 4, 4, 4)
    assert not labels_at_home(probabilities, oblique((1, 1, 1)), SHAPE, oblique()).any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_folded_axis_is_refused(axis: int) -> None:
    affine = oblique()
    affine[:, axis] = 0
    with pytest.raises(ValueError, match="folds an axis"):
        labels_at_home(torch.rand(2, 3, 3, 3), affine, SHAPE, oblique())


def test_another_number_of_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="3 axes"):
        resampled(torch.rand(1, 3, 3, 3), oblique(), (4, 4), oblique())
