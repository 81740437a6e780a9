"""Positive weights: given or counted; equal to torch's."""

import pytest
import torch
import torch.nn.functional as F

from medcnn.losses.weighted_binary_cross_entropy import WeightedBinaryCrossEntropy

LOGITS = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
TARGET = torch.randint(0, 2, (7, 2), generator=torch.Generator().manual_seed(1)).float()


@pytest.mark.parametrize("weight", [None, [3.0, 0.5]])
def test_it_equals_torch(weight):
    expected = F.binary_cross_entropy_with_logits(LOGITS, TARGET, pos_weight=weight and torch.tensor(weight))
    torch.testing.assert_close(WeightedBinaryCrossEntropy(weight)(LOGITS, TARGET), expected)


def test_balanced_weights_by_hand():
    loss = WeightedBinaryCrossEntropy("balanced")
    # The second finding was never seen, the third always: neither can be balanced.
    loss.set_counts(torch.tensor([[90, 10], [100, 0], [0, 100]]))
    assert loss.pos_weight.tolist() == [9, 1, 1]


def test_an_unknown_finding_does_not_dilute_the_mean():
    target = torch.tensor([[1.0, torch.nan], [0.0, torch.nan]])
    expected = F.binary_cross_entropy_with_logits(LOGITS[:2, 0], target[:, 0])
    torch.testing.assert_close(WeightedBinaryCrossEntropy()(LOGITS[:2], target), expected)


def test_uncounted_weights_are_refused_rather_than_taken_as_one():
    with pytest.raises(ValueError, match="set_counts"):
        WeightedBinaryCrossEntropy("balanced")(LOGITS, TARGET)
