"""Batches: each case once, equal steps, the same order on a resumed run."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medcnn.data.loader import EachCaseOnce, SlicingLoader, derived_seed
from medcnn.errors import ConfigError


def ranks(n: int, size: int, world: int, shuffle: bool, epoch: int = 0) -> list[EachCaseOnce]:
    orders = [
        EachCaseOnce(torch.arange(n) + 5, size, shuffle=shuffle, seed=1, rank=r, world=world) for r in range(world)
    ]
    for order in orders:
        order.set_epoch(epoch)
    return orders


sizes = st.tuples(st.integers(1, 90), st.integers(1, 17), st.integers(1, 5)).filter(lambda t: t[0] >= t[2])


@settings(max_examples=200, deadline=None)
@given(sizes)
def test_evaluation_sees_each_case_once_in_equally_many_batches_none_empty(t: tuple[int, int, int]) -> None:
    n, size, world = t
    batches = [list(order) for order in ranks(n, size, world, shuffle=False)]
    assert sorted(torch.cat([torch.cat(each) for each in batches]).tolist()) == list(range(5, n + 5))
    assert len({len(each) for each in batches}) == 1
    assert min(len(batch) for each in batches for batch in each) > 0
    # One more case than asked for is the price of no empty batch, paid only by batches of one.
    assert max(len(batch) for each in batches for batch in each) <= max(size, 2)


@settings(max_examples=200, deadline=None)
@given(sizes)
def test_training_takes_equal_steps_on_different_cases(t: tuple[int, int, int]) -> None:
    n, size, world = t
    orders = ranks(n, size, world, shuffle=True)
    batches = [list(order) for order in orders]
    assert {len(each) for each in batches} == {len(orders[0])}
    seen = torch.cat([torch.cat(each) for each in batches]).tolist()
    assert len(seen) == len(set(seen))
    assert len({tuple(len(batch) for batch in each) for each in batches}) == 1


@settings(max_examples=100, deadline=None)
@given(sizes, st.integers(1, 200))
def test_draws_of_an_epoch_take_each_row_as_often_to_within_one_on_equally_many_steps(
    t: tuple[int, int, int], draws: int
) -> None:
    n, size, world = t
    draws = max(draws, world)
    orders = [
        EachCaseOnce(torch.arange(n), size, shuffle=True, rank=rank, world=world, draws=draws) for rank in range(world)
    ]
    batches = [list(order) for order in orders]
    assert {len(each) for each in batches} == {len(orders[0])}
    taken = torch.cat([torch.cat(each) for each in batches])
    # What does not fill a batch on every process is left out.
    assert draws - len(taken) < world * size
    assert torch.bincount(taken, minlength=n).max() <= -(-draws // n)


def test_fewer_cases_than_processes_is_refused() -> None:
    with pytest.raises(ConfigError, match="val has 3 cases for 4 processes"):
        EachCaseOnce(torch.arange(3), 2, world=4, split="val")


def loader(n: int = 10, size: int = 3, shuffle: bool = True, seed: int = 1) -> SlicingLoader:
    images = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 1, 4, 4).contiguous()
    return SlicingLoader(images, torch.arange(n) % 2, EachCaseOnce(torch.arange(n), size, shuffle=shuffle, seed=seed))


def test_a_batch_holds_the_images_and_labels_of_its_cases_as_float32() -> None:
    for batch in loader():
        assert batch["image"].dtype == torch.float32
        assert batch["image"].shape == (3, 1, 4, 4)
        assert torch.equal(batch["image"][:, 0, 0, 0].long(), batch["case"])
        assert torch.equal(batch["label"], batch["case"] % 2)


def test_writing_into_a_batch_leaves_the_cohort_alone() -> None:
    images = torch.zeros(4, 1, 2, 2)
    for batch in SlicingLoader(images, torch.zeros(4), EachCaseOnce(torch.arange(4), 2)):
        batch["image"] += 1
    assert images.sum() == 0


def test_an_epoch_has_its_order_whatever_ran_before() -> None:
    through, resumed = loader(), loader()
    orders = []
    for epoch in range(4):
        through.sampler.set_epoch(epoch)
        orders.append([(batch["case"].tolist(), batch["draw"]) for batch in through])
    resumed.sampler.set_epoch(3)
    assert [(batch["case"].tolist(), batch["draw"]) for batch in resumed] == orders[3]
    assert len({str(order) for order in orders}) == 4


def test_a_run_saved_in_mid_epoch_goes_on_with_the_next_batch() -> None:
    whole = [batch["case"].tolist() for batch in loader()]
    stopped = loader()
    iterator = iter(stopped)
    next(iterator)
    resumed = loader()
    resumed.load_state_dict(stopped.state_dict())
    assert [batch["case"].tolist() for batch in resumed] == whole[1:]
    assert [batch["case"].tolist() for batch in resumed] == whole


def test_seeds_are_not_sums() -> None:
    assert derived_seed(7, 1) != derived_seed(8, 0)
    assert derived_seed(7, 1) == derived_seed(7, 1)
    assert 0 <= derived_seed(3) < 2**63
