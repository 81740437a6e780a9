"""Several losses as one."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


class WeightedSum(nn.Module):
    """``sum_i weights[i] * losses[i](logits, target)``: Dice and cross-entropy, say.

    Args:
        losses: Each takes logits and a target and gives a scalar.
        weights: One number of at least 0 for each loss; 1 for each where none are given.

    Raises:
        ValueError: No loss, another number of weights, or one that is negative or not finite.
    """

    def __init__(self, losses: list[nn.Module], weights: list[float] | None = None) -> None:
        super().__init__()
        self.weights: Sequence[float] = [1.0] * len(losses) if weights is None else [float(w) for w in weights]
        if not losses or len(self.weights) != len(losses):
            raise ValueError(f"{len(losses)} losses and {len(self.weights)} weights: give one weight for each loss")
        if not all(w >= 0 and math.isfinite(w) for w in self.weights) or not any(self.weights):
            raise ValueError(f"weights are {self.weights}; give finite numbers of at least 0, not all 0")
        self.losses = nn.ModuleList(losses)

    def set_counts(self, counts: Tensor) -> None:
        """Tell the training split's counts to every loss that asks for them."""
        for loss in self.losses:
            count: Any = getattr(loss, "set_counts", None)
            if count is not None:
                count(counts)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, in the shapes that the losses take."""
        first, *others = (weight * loss(logits, target) for weight, loss in zip(self.weights, self.losses, strict=True))
        return sum(others, start=first)
