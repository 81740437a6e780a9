"""Sums of losses, and losses at every resolution."""

import pytest
import torch
from torch import nn

from medcnn.losses.deep_supervision import DeepSupervision, labels_at
from medcnn.losses.soft_dice import SoftDice
from medcnn.losses.weighted_cross_entropy import WeightedCrossEntropy
from medcnn.losses.weighted_sum import WeightedSum

TARGET = torch.randint(0, 2, (2, 8, 6), generator=torch.Generator().manual_seed(1))
LOGITS = torch.randn(2, 2, 8, 6, generator=torch.Generator().manual_seed(2))


class _Constant(nn.Module):
    """Tells how it was called."""

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        assert target.shape == logits.shape[:1] + logits.shape[2:]
        return torch.tensor(float(logits.shape[-1]))


def test_counts_reach_every_loss_that_asks_for_them() -> None:
    loss = DeepSupervision(WeightedSum([SoftDice(), WeightedCrossEntropy("balanced")]))
    loss.set_counts(torch.tensor([90, 10]))
    torch.testing.assert_close(loss.loss.losses[1].weight, torch.tensor([100 / 180, 100 / 20]))
    assert loss(LOGITS, TARGET).isfinite()


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        WeightedSum([SoftDice(), WeightedCrossEntropy()], weights)


def test_each_coarser_stage_weighs_half_and_all_weigh_one() -> None:
    stages = [torch.zeros(2, 2, 8, 6), torch.zeros(2, 2, 4, 3), torch.zeros(2, 2, 2, 2)]
    assert DeepSupervision(_Constant())(stages, TARGET).item() == pytest.approx((6 + 3 / 2 + 2 / 4) / 1.75)


def test_one_answer_is_the_loss_itself() -> None:
    torch.testing.assert_close(DeepSupervision(SoftDice())(LOGITS, TARGET), SoftDice()(LOGITS, TARGET))


def test_labels_become_coarser_by_the_nearest_voxel() -> None:
    line = torch.tensor([[0, 1, 2, 3, 4, -1]])
    assert labels_at(line, [3]).tolist() == [[1, 3, -1]]
    assert labels_at(line, [2]).tolist() == [[1, 4]]
    assert labels_at(line, [6]) is line


@pytest.mark.parametrize("shape", [(4, 3), (3, 6), (5, 2)])
def test_labels_agree_with_torch(shape: tuple[int, int]) -> None:
    expected = nn.functional.interpolate(TARGET[:, None].double(), shape, mode="nearest-exact")[:, 0].long()
    assert torch.equal(labels_at(TARGET, shape), expected)
