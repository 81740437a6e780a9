"""Binary cross-entropy for findings that may stand together, each positive with its weight."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medcnn.losses.class_weights import given_weights, positive_weights
from medcnn.losses.known import at_least_float32, known_targets, mean_over, require_findings


def weighted_binary_cross_entropy(logits: Tensor, target: Tensor, pos_weight: Tensor | None = None) -> Tensor:
    """The mean over the known findings of ``-(w t log p + (1 - t) log(1 - p))``.

    Args:
        logits: ``(B, K)``.
        target: Findings float ``(B, K)`` in [0, 1], NaN unknown.
        pos_weight: What a positive of each finding weighs ``(K,)``; a negative weighs 1.

    Returns:
        A scalar, equal to torch's ``binary_cross_entropy_with_logits`` where all is known; zero, with a gradient,
        where nothing is.
    """
    require_findings(logits, target)
    logits = at_least_float32(logits)
    known = known_targets(target)
    answers = torch.where(known, target, 0).to(logits)
    weight = None if pos_weight is None else pos_weight.to(logits)
    losses = F.binary_cross_entropy_with_logits(logits, answers, pos_weight=weight, reduction="none")
    return mean_over(torch.where(known, losses, 0), known.sum())


class WeightedBinaryCrossEntropy(nn.Module):
    """Binary cross-entropy with weights of the positives that are given, or counted in the training split.

    Args:
        pos_weight: One weight a finding; "balanced" (negatives / positives); or null.
    """

    def __init__(self, pos_weight: list[float] | Literal["balanced"] | None = None) -> None:
        super().__init__()
        self.rule = pos_weight if isinstance(pos_weight, str) else None
        self.pos_weight: Tensor | None
        self.register_buffer("pos_weight", given_weights("pos_weight", pos_weight, ("balanced",)))

    def set_counts(self, counts: Tensor) -> None:
        """Weigh positives by the training split's negatives and positives ``(K, 2)``; weights that were given stay."""
        if self.rule is not None:
            weights = positive_weights(counts)
            self.pos_weight = weights if self.pos_weight is None else weights.to(self.pos_weight)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch: logits ``(B, K)``, findings float ``(B, K)`` with NaN unknown."""
        if self.rule is not None and self.pos_weight is None:
            raise ValueError(f"pos_weight {self.rule!r} is not counted yet: call set_counts first")
        return weighted_binary_cross_entropy(logits, target, self.pos_weight)
