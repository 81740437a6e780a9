"""Focal loss: the cases a model is already sure of count for less."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medcnn.losses.class_weights import given_weights
from medcnn.losses.known import at_least_float32, known_targets, mean_over, require_classes, require_findings


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0, alpha: Tensor | None = None) -> Tensor:
    """The mean over the known of ``alpha * (1 - p) ** gamma * -log p``, p the probability of the right answer.

    Args:
        logits: ``(B, K)``, or ``(B, K, *spatial)`` of a segmentation.
        target: Classes int64 ``(B, *spatial)``, -1 unknown; or findings float ``(B, K)`` of 0 or 1, NaN unknown.
        gamma: How fast a sure answer loses weight, at least 0; at 0 it is the cross-entropy.
        alpha: Weight of each class ``(K,)``; of findings, the weight of a positive of each ``(K,)`` or ``(1,)``,
            a negative weighing ``1 - alpha``.

    Returns:
        A scalar; zero, with a gradient, where nothing is known.

    References:
        Lin et al., 2017, arXiv:1708.02002
    """
    logits = at_least_float32(logits)
    known = known_targets(target)
    if target.is_floating_point():
        require_findings(logits, target)
        answers = torch.where(known, target, 0).to(logits)
        # The logarithm of the right answer's probability, never of a difference from 1.
        log_right = F.logsigmoid(torch.where(answers > 0.5, logits, -logits))
        weight = None if alpha is None else alpha.to(logits) * answers + (1 - alpha.to(logits)) * (1 - answers)
    else:
        require_classes(logits, target)
        true = target.clamp(min=0)
        log_right = -F.cross_entropy(logits, true, reduction="none")
        weight = None if alpha is None else alpha.to(logits)[true]
    # 1 - p by expm1; kept off zero, where a power below 1 has no finite slope.
    doubt = (-torch.expm1(log_right)).clamp(min=torch.finfo(logits.dtype).tiny)
    losses = -(doubt**gamma) * log_right
    losses = losses if weight is None else weight * losses
    return mean_over(torch.where(known, losses, 0), known.sum())


class FocalLoss(nn.Module):
    """Focal loss for classes that exclude each other (int64 targets) or findings that may not (float targets).

    Args:
        gamma: How fast a sure answer loses weight, at least 0.
        alpha: One weight a class; for findings the weight of a positive in [0, 1], one number or one a finding.
    """

    def __init__(self, gamma: float = 2.0, alpha: list[float] | float | None = None) -> None:
        super().__init__()
        if not gamma >= 0:
            raise ValueError(f"gamma is {gamma}; it must be at least 0")
        self.gamma = gamma
        self.alpha: Tensor | None
        given = [alpha] if isinstance(alpha, int | float) else alpha
        self.register_buffer("alpha", given_weights("alpha", given, ()))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch: logits ``(B, K, *spatial)``, classes int64 ``(B, *spatial)`` or findings ``(B, K)``."""
        count = 0 if self.alpha is None else len(self.alpha)
        if count not in (0, *logits.shape[1:2]) and not (count == 1 and target.is_floating_point()):
            raise ValueError(f"alpha has {count} weights and the logits are for {logits.shape[1]} classes")
        return focal_loss(logits, target, self.gamma, self.alpha)
