"""Patches: where they lie, what surrounds them, and that chance is repeated to the voxel."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medcnn.data.loader import EachCaseOnce
from medcnn.data.patches import EachCaseAlone, PatchLoader, WholeCaseLoader, shared_evenly, windows
from medcnn.data.ripe import Ripe

SHAPE = (20, 18, 16)


def case(row: int, shape: tuple[int, int, int] = SHAPE) -> Ripe:
    """Every voxel of the image tells its own place; a large structure, and one of a single voxel in a corner."""
    mask = np.zeros(shape, np.uint8)
    mask[2:12, 2:12, 2:12] = 1
    mask[-1, -1, -1] = 2
    image = np.arange(mask.size, dtype=np.float32).reshape(1, *shape) + 1
    places = tuple(np.flatnonzero(mask == value) for value in (1, 2))
    counts = np.bincount(mask.reshape(-1), minlength=3)
    return Ripe(row, image, mask, places, np.eye(4), counts, shape, np.eye(4), counts)


def loader(
    cases: list[Ripe], size: tuple[int, int, int], share: float = 0.5, epoch: int = 0, draws: int | None = None
) -> PatchLoader:
    order = EachCaseOnce(torch.arange(len(cases)), 4, shuffle=True, seed=3, draws=draws)
    order.set_epoch(epoch)
    return PatchLoader(cases, order, size, share)


def test_a_patch_is_cut_from_image_and_mask_at_one_place() -> None:
    for batch in loader([case(n) for n in range(8)], (6, 5, 4)):
        for image, mask in zip(batch["image"][:, 0], batch["mask"], strict=True):
            start = np.unravel_index(int(image[0, 0, 0]) - 1, SHAPE)
            take = tuple(slice(at, at + size) for at, size in zip(start, (6, 5, 4), strict=True))
            whole = case(0)
            assert np.array_equal(image, whole.image[0][take])
            assert np.array_equal(mask, whole.mask[take])


def test_a_structure_of_one_voxel_is_seen_as_often_as_a_large_one() -> None:
    batches = list(loader([case(n) for n in range(8)], (5, 5, 5), share=1.0, draws=400))
    masks = torch.cat([batch["mask"] for batch in batches])
    small = (masks == 2).flatten(1).any(1).float().mean()
    assert 0.4 < small < 0.6
    assert (masks > 0).flatten(1).any(1).all()


def test_without_a_share_patches_lie_anywhere() -> None:
    batches = list(loader([case(n) for n in range(8)], (5, 5, 5), share=0.0, draws=400))
    starts = torch.cat([batch["image"][:, 0, 0, 0, 0] for batch in batches]).long().numpy() - 1
    for axis, at in enumerate(np.unravel_index(starts, SHAPE)):
        assert set(np.unique(at)) == set(range(SHAPE[axis] - 5 + 1))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.floats(0, 1), st.floats(0, 1, exclude_max=True))
def test_the_share_of_a_batch_is_met_to_less_than_one_patch(count: int, share: float, offset: float) -> None:
    assert abs(sum(shared_evenly(count, share, offset)) - share * count) < 1 + 1e-9


@pytest.mark.parametrize("padding", ["zeros", "minimum"])
def test_a_small_image_stands_in_the_middle_of_its_patch_with_background_about_it(padding: str) -> None:
    small = case(0, (13, 13, 13))
    order = EachCaseOnce(torch.zeros(1, dtype=torch.long), 1, shuffle=True)
    batch = next(iter(PatchLoader([small], order, (16, 13, 10), 0.5, padding)))  # type: ignore[arg-type]
    image, mask = batch["image"][0, 0], batch["mask"][0]
    inside = image[1:14]
    assert int(inside.min()) >= 1
    assert (image[[0, 14, 15]] == (0 if padding == "zeros" else 1)).all()
    assert not mask[[0, 14, 15]].any()
    assert inside.shape[2] == 10


def test_an_epoch_is_repeated_to_the_voxel_and_the_next_one_differs() -> None:
    cases = [case(n) for n in range(8)]
    first, again, other = (list(loader(cases, (6, 6, 6), epoch=epoch)) for epoch in (1, 1, 2))
    for one, same, different in zip(first, again, other, strict=True):
        assert torch.equal(one["image"], same["image"])
        assert one["draw"] == same["draw"] != different["draw"]
        assert not torch.equal(one["image"], different["image"])


def test_several_turns_an_epoch_take_each_case_equally_often() -> None:
    seen = torch.cat([batch["case"] for batch in loader([case(n) for n in range(8)], (4, 4, 4), draws=24)])
    assert torch.bincount(seen).tolist() == [3] * 8


def test_a_batch_is_a_copy() -> None:
    cases = [case(0)]
    for made in (PatchLoader(cases, EachCaseOnce(torch.zeros(1).long(), 1, shuffle=True), SHAPE), whole(cases)):
        next(iter(made))["image"].zero_()
        next(iter(made))["mask"].zero_()
    assert cases[0].image.min() == 1
    assert cases[0].mask.max() == 2


def whole(cases: list[Ripe], rank: int = 0, world: int = 1) -> WholeCaseLoader:
    return WholeCaseLoader(cases, EachCaseAlone(torch.arange(len(cases)), rank=rank, world=world))


def test_each_case_is_judged_alone_and_once_over_all_processes() -> None:
    cases = [case(n, (14 + n, 14, 13)) for n in range(5)]
    loaders = [whole(cases, rank, 2) for rank in range(2)]
    batches = [list(each) for each in loaders]
    assert [len(each) for each in batches] == [len(each) for each in loaders] == [3, 2]
    assert [int(batch["case"]) for each in batches for batch in each] == [0, 1, 2, 3, 4]
    assert batches[1][0]["image"].shape == (1, 1, 17, 14, 13)


@settings(max_examples=100, deadline=None)
@given(st.integers(-6, 12), st.integers(1, 9), st.integers(1, 12))
def test_a_window_takes_what_is_there_and_puts_it_where_it_belongs(start: int, size: int, length: int) -> None:
    line = np.arange(length) + 1
    take, put = windows([start], [size], [length])
    patch = np.zeros(size, int)
    if take[0].stop > take[0].start:
        patch[put] = line[take]
    assert patch.tolist() == [at + 1 if 0 <= at < length else 0 for at in range(start, start + size)]
