"""Focal loss against MONAI's, and where it becomes the cross-entropy."""

import math

import monai.losses
import pytest
import torch
import torch.nn.functional as F

from medcnn.losses.focal import FocalLoss

LOGITS = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
TARGET = torch.tensor([0, 1, 2, 0, 1, 2, 1, 0])
FINDINGS = F.one_hot(TARGET, 3).float()


def test_by_hand():
    loss = FocalLoss(gamma=2.0)(torch.tensor([[0.8, 0.2]]).log(), torch.tensor([0]))
    assert loss.item() == pytest.approx(0.04 * -math.log(0.8), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_classes_equal_monai(gamma):
    # MONAI's mean is over classes too, and only one of them is the right one.
    expected = monai.losses.FocalLoss(gamma=gamma, to_onehot_y=True, use_softmax=True)(LOGITS, TARGET[:, None]) * 3
    torch.testing.assert_close(FocalLoss(gamma)(LOGITS, TARGET), expected)


@pytest.mark.parametrize("alpha", [None, 0.25])
def test_findings_equal_monai(alpha):
    expected = monai.losses.FocalLoss(gamma=2.0, alpha=alpha)(LOGITS, FINDINGS)
    torch.testing.assert_close(FocalLoss(2.0, alpha)(LOGITS, FINDINGS), expected)


def test_at_gamma_zero_it_is_the_cross_entropy():
    torch.testing.assert_close(FocalLoss(0.0)(LOGITS, TARGET), F.cross_entropy(LOGITS, TARGET))
    expected = F.binary_cross_entropy_with_logits(LOGITS, FINDINGS)
    torch.testing.assert_close(FocalLoss(0.0)(LOGITS, FINDINGS), expected)


def test_class_weights_scale_each_class():
    expected = F.cross_entropy(LOGITS, TARGET, torch.tensor([1.0, 2.0, 3.0]), reduction="sum") / 8
    torch.testing.assert_close(FocalLoss(0.0, [1.0, 2.0, 3.0])(LOGITS, TARGET), expected)


def test_a_power_below_one_keeps_a_finite_gradient_at_a_sure_answer():
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    FocalLoss(0.5)(logits, torch.tensor([0])).backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("arguments", [{"gamma": -1.0}, {"alpha": [1.0, -1.0]}])
def test_arguments_that_mean_nothing_are_refused(arguments):
    with pytest.raises(ValueError, match=r"at least 0"):
        FocalLoss(**arguments)


def test_weights_for_other_classes_are_refused():
    with pytest.raises(ValueError, match="2 weights"):
        FocalLoss(2.0, [1.0, 1.0])(LOGITS, TARGET)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_voxels_equal_monai(gamma):
    logits = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    target = torch.randint(0, 3, (2, 4, 5, 6), generator=torch.Generator().manual_seed(2))
    monais = monai.losses.FocalLoss(gamma=gamma, to_onehot_y=True, use_softmax=True)
    torch.testing.assert_close(FocalLoss(gamma)(logits, target), monais(logits, target[:, None]) * 3)


def test_voxels_of_a_class_weigh_what_the_class_does():
    logits, target = torch.zeros(1, 2, 3, 1), torch.tensor([[[0], [1], [1]]])
    expected = (1 + 3 + 3) / 3 * 0.25 * math.log(2)
    assert FocalLoss(2.0, [1.0, 3.0])(logits, target).item() == pytest.approx(expected, rel=1e-5)
