"""Every loss in the room, found by looking: what holds for all of them."""

import importlib
import pkgutil

import pytest
import torch
from torch import nn

import medcnn.losses
from medcnn.losses.focal import FocalLoss
from medcnn.losses.soft_dice import SoftDice

ARGUMENTS = {
    "CostMatrixCrossEntropy": lambda: {"cost": [[0, 1, 2], [5, 0, 1], [1, 1, 0]]},
    "WeightedSum": lambda: {"losses": [FocalLoss(), SoftDice()], "weights": [1.0, 0.5]},
    "DeepSupervision": lambda: {"loss": SoftDice()},
}


def losses():
    for module in pkgutil.iter_modules(medcnn.losses.__path__):
        found = importlib.import_module(f"medcnn.losses.{module.name}")
        for name, thing in vars(found).items():
            if isinstance(thing, type) and issubclass(thing, nn.Module) and thing.__module__ == found.__name__:
                yield name, thing


def cases():
    for name, loss in losses():
        if name != "WeightedBinaryCrossEntropy":
            yield pytest.param(
                lambda loss=loss, name=name: loss(**ARGUMENTS.get(name, dict)()), False, id=f"{name}-classes"
            )
        if name in ("WeightedBinaryCrossEntropy", "FocalLoss"):
            yield pytest.param(loss, True, id=f"{name}-findings")


def right(multilabel, size=6):
    """Targets, and logits that answer them."""
    if multilabel:
        target = torch.randint(0, 2, (size, 3), generator=torch.Generator().manual_seed(1)).float()
        return target, target * 2 - 1
    target = torch.arange(size) % 3
    return target, nn.functional.one_hot(target, 3).float()


def test_the_room_is_not_empty():
    assert {name for name, _ in losses()} == {
        "WeightedCrossEntropy", "CostMatrixCrossEntropy", "WeightedBinaryCrossEntropy", "FocalLoss", "SoftDice",
        "Tversky", "WeightedSum", "DeepSupervision",
    }  # fmt: skip


@pytest.mark.parametrize(("make", "multilabel"), cases())
class TestEvery:
    @pytest.mark.parametrize("size", [1e3, 1e5])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_extreme_logits_give_a_finite_loss_and_gradient(self, make, multilabel, size, sign):
        target, answer = right(multilabel)
        logits = (sign * size * answer).requires_grad_()
        loss = make()(logits, target)
        loss.backward()
        assert loss.isfinite()
        assert logits.grad.isfinite().all()

    def test_the_right_answer_costs_less_the_surer_it_is(self, make, multilabel):
        target, answer = right(multilabel)
        found = [make()(scale * answer, target) for scale in (-4, -1, 0, 1, 4)]
        assert found == sorted(found, reverse=True)
        assert found[-1] >= 0

    def test_unknown_targets_take_no_part(self, make, multilabel):
        target, answer = right(multilabel)
        logits = answer + 0.3 * torch.randn(answer.shape, generator=torch.Generator().manual_seed(0))
        with_unknown = torch.cat([logits, 50 * torch.ones(2, 3)])
        unknown = torch.full((2, 3), torch.nan) if multilabel else torch.tensor([-1, -1])
        torch.testing.assert_close(make()(with_unknown, torch.cat([target, unknown])), make()(logits, target))

    def test_a_batch_of_unknowns_gives_zero_and_a_gradient_of_zero(self, make, multilabel):
        logits = torch.randn(2, 3, requires_grad=True)
        loss = make()(logits, torch.full((2, 3), torch.nan) if multilabel else torch.tensor([-1, -1]))
        loss.backward()
        assert loss == 0
        assert not logits.grad.any()

    def test_an_unknown_finding_beside_known_ones_has_no_gradient(self, make, multilabel):
        if not multilabel:
            pytest.skip("findings only")
        logits = torch.randn(1, 3, requires_grad=True)
        make()(logits, torch.tensor([[1.0, torch.nan, 0.0]])).backward()
        assert logits.grad.isfinite().all()
        assert logits.grad[0, 1] == 0

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
    def test_any_precision_of_logits_gives_the_loss_of_float32(self, make, multilabel, dtype):
        target, answer = right(multilabel)
        logits = answer.to(dtype).requires_grad_()
        loss = make()(logits, target)
        loss.backward()
        assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert logits.grad.dtype == dtype
        torch.testing.assert_close(loss.float(), make()(answer, target))

    def test_it_follows_the_device(self, make, multilabel):
        loss = make().to("meta")
        target, answer = right(multilabel)
        assert loss(answer.to("meta"), target.to("meta")).device.type == "meta"

    def test_the_gradient_is_that_of_the_formula(self, make, multilabel):
        target, _ = right(multilabel, 4)
        logits = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_()
        assert torch.autograd.gradcheck(lambda z: make()(z, target), logits)

    def test_voxels_weigh_as_cases_do(self, make, multilabel):
        if multilabel:
            pytest.skip("classes only")
        target, _ = right(multilabel, 24)
        target[5] = -1
        logits = torch.randn(24, 3, generator=torch.Generator().manual_seed(4))
        voxels = logits.view(2, 3, 2, 2, 3).movedim(-1, 1)
        torch.testing.assert_close(make()(voxels, target.view(2, 3, 2, 2)), make()(logits, target))

    def test_dense_logits_under_autocast_give_a_float32_loss(self, make, multilabel):
        if multilabel:
            pytest.skip("classes only")
        target, answer = right(multilabel, 24)
        voxels, truth = answer.view(2, 3, 4, 3).movedim(-1, 1), target.view(2, 3, 4)
        with torch.autocast("cpu", torch.bfloat16):
            loss = make()(voxels.bfloat16(), truth)
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, make()(voxels, truth))

    @pytest.mark.parametrize("shape", [(4, 1), (4, 3, 1), (3,)])
    def test_a_target_of_another_shape_is_refused(self, make, multilabel, shape):
        with pytest.raises(ValueError, match="expected logits"):
            make()(torch.zeros(4, 3), torch.zeros(shape) if multilabel else torch.zeros(shape, dtype=torch.int64))
