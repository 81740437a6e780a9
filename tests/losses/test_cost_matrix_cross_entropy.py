"""Dear mistakes: the formula by hand, its two special cases, its bounds, and what it does to a model."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from medcnn.losses.cost_matrix_cross_entropy import CostMatrixCrossEntropy, cost_matrix_cross_entropy

LOGITS = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
TARGET = torch.tensor([0, 1, 2, 0, 1, 2, 1, 0])


def test_by_hand():
    logits = torch.tensor([[0.2, 0.3, 0.5]]).log()
    # True class 0: wrong classes among themselves 3/8 and 5/8, price 2 * 3/8 + 10 * 5/8 = 7.
    loss = CostMatrixCrossEntropy([[0, 2, 10], [1, 0, 1], [1, 1, 0]])(logits, torch.tensor([0]))
    assert loss.item() == pytest.approx(7 * -math.log(0.2), rel=1e-6)


def test_with_every_mistake_at_one_it_is_the_plain_cross_entropy():
    cost = (1 - torch.eye(3)).tolist()
    torch.testing.assert_close(CostMatrixCrossEntropy(cost)(LOGITS, TARGET), F.cross_entropy(LOGITS, TARGET))


def test_with_two_classes_it_is_the_cross_entropy_weighted_by_the_price_of_missing_each():
    target = TARGET.clamp(max=1)
    expected = F.cross_entropy(LOGITS[:, :2], target, torch.tensor([1.0, 5.0]).double(), reduction="sum") / 8
    torch.testing.assert_close(CostMatrixCrossEntropy([[0, 1], [5, 0]])(LOGITS[:, :2], target), expected)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=9, max_size=9), st.lists(st.floats(-9, 9), min_size=3, max_size=3))
def test_it_is_never_below_the_expected_cost_and_lies_between_the_extreme_prices(prices, row):
    cost = torch.tensor(prices).reshape(3, 3).double() * (1 - torch.eye(3))
    logits, target = torch.tensor([row]).double(), torch.tensor([1])
    loss = cost_matrix_cross_entropy(logits, target, cost)
    crossed = F.cross_entropy(logits, target)
    others = cost[1, [0, 2]]
    assert loss >= (cost[1] * logits.softmax(1)).sum() - 1e-12
    assert others.min() * crossed - 1e-9 <= loss <= others.max() * crossed + 1e-9


def test_a_dearer_miss_raises_sensitivity_on_classes_that_overlap():
    chance = torch.Generator().manual_seed(0)
    target = (torch.rand(400, generator=chance) < 0.3).long()
    points = torch.randn(400, 2, generator=chance) + target[:, None]

    def sensitivity(price):
        net = torch.nn.Linear(2, 2)
        torch.nn.init.zeros_(net.weight)
        torch.nn.init.zeros_(net.bias)
        loss, optimizer = CostMatrixCrossEntropy([[0, 1], [price, 0]]), torch.optim.LBFGS(net.parameters(), max_iter=50)

        def closure():
            optimizer.zero_grad()
            value = loss(net(points), target)
            value.backward()
            return value

        optimizer.step(closure)
        return (net(points).argmax(1) == 1)[target == 1].float().mean().item()

    found = [sensitivity(price) for price in (1.0, 3.0, 10.0)]
    assert found[0] + 0.1 < found[1] < found[2]


@pytest.mark.parametrize(
    ("cost", "where"),
    [([[0, 1]], "rows"), ([[1, 1], [1, 0]], r"\[0\]\[0\]"), ([[0, 0], [1, 0]], r"\[0\]\[1\]"),
     ([[0, 1], [math.inf, 0]], r"\[1\]\[0\]"), ([[0, 1], [-5, 0]], r"\[1\]\[0\]")],
)  # fmt: skip
def test_a_cost_that_means_nothing_is_refused_where_it_stands(cost, where):
    with pytest.raises(ValueError, match=where):
        CostMatrixCrossEntropy(cost)


def test_a_cost_for_other_classes_is_refused():
    with pytest.raises(ValueError, match="2 classes"):
        CostMatrixCrossEntropy([[0, 1], [1, 0]])(LOGITS, TARGET)
