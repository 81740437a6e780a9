"""Soft Dice and Tversky against MONAI's and by hand."""

import monai.losses
import pytest
import torch

from medcnn.losses.soft_dice import SoftDice
from medcnn.losses.tversky import Tversky
from medcnn.losses.weighted_cross_entropy import WeightedCrossEntropy
from medcnn.losses.weighted_sum import WeightedSum

LOGITS = torch.randn(3, 4, 5, 6, 7, generator=torch.Generator().manual_seed(0))
TARGET = torch.randint(0, 4, (3, 5, 6, 7), generator=torch.Generator().manual_seed(1))
MONAI = {"to_onehot_y": True, "softmax": True}
# Two voxels of two classes: p of class 1 is 0.8 and 0.4, and class 1 is the truth of the first.
PAIR = torch.tensor([[0.2, 0.6], [0.8, 0.4]]).log()[None]
TRUTH = torch.tensor([[1, 0]])


def test_dice_by_hand() -> None:
    assert SoftDice()(PAIR, TRUTH).item() == pytest.approx(1 - 2 * 0.8 / (1.2 + 1), rel=1e-4)


def test_tversky_by_hand() -> None:
    found = Tversky(alpha=0.3, beta=0.7)(PAIR, TRUTH).item()
    assert found == pytest.approx(1 - 0.8 / (0.8 + 0.3 * 0.4 + 0.7 * 0.2), rel=1e-4)
    assert Tversky(gamma=0.75)(PAIR, TRUTH).item() == pytest.approx(found**0.75, rel=1e-4)


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("smooth", [1e-5, 1.0])
def test_dice_equals_monai(background: bool, batch: bool, smooth: float) -> None:
    expected = monai.losses.DiceLoss(background, batch=batch, smooth_nr=smooth, smooth_dr=smooth, **MONAI)
    torch.testing.assert_close(SoftDice(background, batch, smooth)(LOGITS, TARGET), expected(LOGITS, TARGET[:, None]))


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("batch", [True, False])
def test_tversky_equals_monai(background: bool, batch: bool) -> None:
    expected = monai.losses.TverskyLoss(background, alpha=0.2, beta=0.9, batch=batch, **MONAI)
    found = Tversky(0.2, 0.9, include_background=background, batch=batch)(LOGITS, TARGET)
    torch.testing.assert_close(found, expected(LOGITS, TARGET[:, None]))


def test_dice_and_cross_entropy_together_equal_monai() -> None:
    ours = WeightedSum([SoftDice(batch=False), WeightedCrossEntropy()], [0.4, 1.5])
    theirs = monai.losses.DiceCELoss(False, lambda_dice=0.4, lambda_ce=1.5, **MONAI)
    torch.testing.assert_close(ours(LOGITS, TARGET), theirs(LOGITS, TARGET[:, None]))


def test_tversky_of_equal_prices_is_dice() -> None:
    found = Tversky(0.5, 0.5, smooth=0.5)(LOGITS, TARGET)
    torch.testing.assert_close(found, SoftDice(smooth=1.0)(LOGITS, TARGET))


@pytest.mark.parametrize("loss", [SoftDice(batch=False), Tversky(batch=False), Tversky(gamma=0.5)])
def test_unknown_voxels_and_cases_take_no_part(loss: torch.nn.Module) -> None:
    known = TARGET.clone()
    known[:, :, :, 3:] = -1
    torch.testing.assert_close(loss(LOGITS, known), loss(LOGITS[..., :3].contiguous(), TARGET[..., :3]))
    known[1] = -1
    torch.testing.assert_close(loss(LOGITS, known), loss(LOGITS[[0, 2]], known[[0, 2]]))


@pytest.mark.parametrize("loss", [SoftDice(), SoftDice(batch=False), Tversky(gamma=0.5)])
def test_a_perfect_answer_that_lacks_a_class_costs_nothing(loss: torch.nn.Module) -> None:
    target = torch.zeros(2, 4, 4, dtype=torch.int64)
    target[0, 1:3] = 1
    logits = 200 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float()
    assert loss(logits, target).item() == pytest.approx(0, abs=1e-6)


def test_without_a_foreground_there_is_nothing_to_overlap() -> None:
    with pytest.raises(ValueError, match="nothing remains"):
        SoftDice()(torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64))


@pytest.mark.parametrize(
    "make", [lambda: SoftDice(smooth=0), lambda: Tversky(alpha=-1), lambda: Tversky(0, 0), lambda: Tversky(gamma=0)]
)
def test_arguments_that_mean_nothing_are_refused(make) -> None:
    with pytest.raises(ValueError, match="above 0"):
        make()
