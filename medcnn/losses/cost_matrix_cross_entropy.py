"""Cross-entropy that knows which mistakes are dear."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medcnn.losses.known import at_least_float32, known_targets, mean_over, require_classes


def cost_matrix_cross_entropy(logits: Tensor, target: Tensor, cost: Tensor) -> Tensor:
    r"""What the model's mistakes may be expected to cost, bounded from above by a cross-entropy.

    For a case of class y with probabilities p, and q the probabilities of the wrong classes among themselves
    (``q_j = p_j / (1 - p_y)``, j other than y)::

        loss = (sum_j cost[y, j] q_j) * (-log p_y)

    the mean price of a mistake times the cross-entropy; the loss of a batch is the mean over its known cases. Hence

    - with every mistake at a price of 1 it is the plain cross-entropy, exactly;
    - with two classes it is the cross-entropy weighted by the price of missing each class, exactly;
    - it is never below the expected cost ``sum_j cost[y, j] p_j``, since ``-log p_y >= 1 - p_y``;
    - it lies between the cheapest and the dearest mistake of class y times the cross-entropy, so it is zero for a
      sure right answer only, and its gradient does not vanish for a sure wrong one, as the expected cost's does.

    Args:
        logits: ``(B, K)``, or ``(B, K, *spatial)`` of a segmentation.
        target: Classes int64 ``(B, *spatial)``, -1 unknown.
        cost: ``cost[true, predicted]``, ``(K, K)``, zero on the diagonal and above zero elsewhere.

    Returns:
        A scalar; zero, with a gradient, where no target is known.
    """
    require_classes(logits, target)
    logits = at_least_float32(logits)
    known = known_targets(target)
    true = target.clamp(min=0)
    crossed = F.cross_entropy(logits, true, reduction="none")
    # By a softmax over the wrong classes alone: 1 - p_y as a difference would be zero for a sure right answer.
    wrong = logits.scatter(1, true[:, None], -math.inf).softmax(dim=1)
    price = (cost.to(logits)[true].movedim(-1, 1) * wrong).sum(dim=1)
    return mean_over(torch.where(known, price * crossed, 0), known.sum())


class CostMatrixCrossEntropy(nn.Module):
    """Cross-entropy with a price for each mistake; see ``cost_matrix_cross_entropy`` for the formula.

    Args:
        cost: ``cost[true][predicted]``, K rows of K, zero on the diagonal and above zero elsewhere. With the classes
            normal and effusion, ``[[0, 1], [5, 0]]`` makes a missed effusion cost five times a false alarm.

    Raises:
        ValueError: Not square, a price on the diagonal, or a mistake that is free or not finite.
    """

    def __init__(self, cost: list[list[float]]) -> None:
        super().__init__()
        size = len(cost)
        if size < 2 or any(len(row) != size for row in cost):
            raise ValueError(
                f"cost has {size} rows of {sorted({len(row) for row in cost})}; give K rows of K, K above 1"
            )
        for true, row in enumerate(cost):
            for predicted, price in enumerate(row):
                fits = price == 0 if true == predicted else price > 0 and math.isfinite(price)
                if not fits:
                    raise ValueError(
                        f"cost[{true}][{predicted}] is {price}; a right answer costs 0, a mistake a finite price "
                        "above 0, a small one where it hardly matters"
                    )
        self.cost: Tensor
        self.register_buffer("cost", torch.tensor(cost, dtype=torch.float32))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch: logits ``(B, K, *spatial)``, classes int64 ``(B, *spatial)`` with -1 unknown."""
        if logits.shape[1] != len(self.cost):
            raise ValueError(f"cost is for {len(self.cost)} classes and the logits are for {logits.shape[1]}")
        return cost_matrix_cross_entropy(logits, target, self.cost)
