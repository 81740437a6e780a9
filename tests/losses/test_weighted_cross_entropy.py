"""Class weights: given, balanced, effective; equal to torch's."""

import pytest
import torch
import torch.nn.functional as F

from medcnn.losses.weighted_cross_entropy import WeightedCrossEntropy

LOGITS = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
TARGET = torch.tensor([0, 1, 2, 0, 1, 2, 2, 2, 0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 0.5]])
def test_it_equals_torch(weight, smoothing):
    expected = F.cross_entropy(LOGITS, TARGET, weight and torch.tensor(weight), label_smoothing=smoothing)
    torch.testing.assert_close(WeightedCrossEntropy(weight, smoothing)(LOGITS, TARGET), expected)


def test_balanced_weights_by_hand():
    loss = WeightedCrossEntropy("balanced")
    loss.set_counts(torch.tensor([90, 10]))
    torch.testing.assert_close(loss.weight, torch.tensor([100 / 180, 100 / 20]))


def test_effective_numbers_by_hand():
    loss = WeightedCrossEntropy("effective", beta=0.9)
    loss.set_counts(torch.tensor([2, 1]))
    # Effective numbers 1.9 and 1: weights 1/1.9 and 1, scaled so that 2 a + b = 3.
    scale = 3 / (2 / 1.9 + 1)
    torch.testing.assert_close(loss.weight, torch.tensor([scale / 1.9, scale]))


def test_an_effective_number_of_beta_zero_weighs_all_alike():
    loss = WeightedCrossEntropy("effective", beta=0.0)
    loss.set_counts(torch.tensor([70, 20, 10]))
    torch.testing.assert_close(loss.weight, torch.ones(3))


@pytest.mark.parametrize("rule", ["balanced", "effective"])
def test_a_class_without_a_case_gets_no_weight_and_breaks_nothing(rule):
    loss = WeightedCrossEntropy(rule)
    loss.set_counts(torch.tensor([30, 0, 10]))
    assert loss.weight[1] == 0
    assert loss.weight.isfinite().all()
    torch.testing.assert_close((loss.weight * torch.tensor([30, 0, 10])).sum(), torch.tensor(40.0))


def test_given_weights_are_not_overwritten_by_counts():
    loss = WeightedCrossEntropy([1.0, 5.0])
    loss.set_counts(torch.tensor([90, 10]))
    assert loss.weight.tolist() == [1, 5]


def test_counted_weights_survive_saving_and_loading():
    counted, fresh = WeightedCrossEntropy("balanced"), WeightedCrossEntropy("balanced")
    counted.set_counts(torch.tensor([90, 10]))
    fresh.set_counts(torch.ones(2))
    fresh.load_state_dict(counted.state_dict())
    assert torch.equal(fresh.weight, counted.weight)


def test_uncounted_weights_are_refused_rather_than_taken_as_one():
    with pytest.raises(ValueError, match="set_counts"):
        WeightedCrossEntropy("balanced")(LOGITS, TARGET)


def test_batches_joined_by_their_mass_give_the_loss_of_the_whole():
    loss = WeightedCrossEntropy([1.0, 2.0, 0.5])
    target = TARGET.clone()
    target[3] = -1
    parts = [slice(0, 2), slice(2, 7), slice(7, 9)]
    total = sum(loss(LOGITS[p], target[p]) * loss.mass(target[p]) for p in parts)
    torch.testing.assert_close(total / loss.mass(target), loss(LOGITS, target))


@pytest.mark.parametrize("weight", ["inverse", [1.0, -1.0], [float("nan"), 1.0], [], [0.0, 0.0]])
def test_weights_that_mean_nothing_are_refused(weight):
    with pytest.raises(ValueError, match="weight is"):
        WeightedCrossEntropy(weight)


@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 0.5]])
def test_voxels_equal_torch(weight):
    logits = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    target = torch.randint(-1, 3, (2, 4, 5, 6), generator=torch.Generator().manual_seed(2))
    loss = WeightedCrossEntropy(weight)
    expected = F.cross_entropy(logits, target, weight and torch.tensor(weight), ignore_index=-1)
    torch.testing.assert_close(loss(logits, target), expected)
    total = sum(loss(logits[i], target[i]) * loss.mass(target[i]) for i in (slice(0, 1), slice(1, 2)))
    torch.testing.assert_close(total / loss.mass(target), expected)


def test_voxels_of_another_size_are_refused():
    with pytest.raises(ValueError, match="expected logits"):
        WeightedCrossEntropy()(torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 5, dtype=torch.int64))
