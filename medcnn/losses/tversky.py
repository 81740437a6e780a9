"""Tversky loss: an overlap in which a miss may cost more than a false alarm, or less."""

import torch
from torch import Tensor, nn

from medcnn.losses.overlap import mean_of_cases, soft_overlap


def tversky_loss(
    logits: Tensor,
    target: Tensor,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 1.0,
    include_background: bool = False,
    batch: bool = True,
    smooth: float = 1e-5,
) -> Tensor:
    """``(1 - (hits + smooth) / (hits + alpha * alarms + beta * misses + smooth)) ** gamma``, the mean over classes.

    Hits, alarms and misses are sums of probabilities over the known voxels. With alpha and beta of 0.5 and gamma of 1
    it is the soft Dice loss (of half the smooth).

    Args:
        logits: ``(B, K, *spatial)``.
        target: Classes int64 ``(B, *spatial)``, -1 unknown.
        alpha: What a false alarm costs.
        beta: What a miss costs: above ``alpha``, the net rather finds too much than too little.
        gamma: Above 1 classes that overlap well already count for less, below 1 for more.
        include_background: Whether class 0 is a class like the others.
        batch: One overlap for the batch; else the mean over cases.
        smooth: Makes 1 of an overlap of nothing with nothing.

    Returns:
        A scalar in [0, 1]; zero, with a gradient, where nothing is known.

    References:
        Salehi et al., 2017, arXiv:1706.05721; with gamma Abraham and Khan, 2018, arXiv:1810.07842
    """
    hits, called, true = soft_overlap(logits, target, include_background, batch)
    wrong = alpha * (called - hits) + beta * (true - hits)
    losses = wrong.clamp(min=0) / (hits + wrong + smooth)
    if gamma != 1:
        # Kept off zero, where a power below 1 has no finite slope.
        losses = torch.where(losses > 0, losses.clamp(min=1e-12) ** gamma, 0)
    return mean_of_cases(losses, target)


class Tversky(nn.Module):
    """Tversky loss; see ``tversky_loss`` for the formula.

    Args:
        alpha: What a false alarm costs, at least 0.
        beta: What a miss costs, at least 0.
        gamma: Above 0; other than 1 it is the focal Tversky loss.
        include_background: Whether class 0 is a class like the others.
        batch: One overlap for the batch; else the mean over cases.
        smooth: Above 0; what is added to both sides of the fraction.
    """

    def __init__(
        self,
        alpha: float = 0.3,
        beta: float = 0.7,
        gamma: float = 1.0,
        include_background: bool = False,
        batch: bool = True,
        smooth: float = 1e-5,
    ) -> None:
        super().__init__()
        if not (alpha >= 0 and beta >= 0 and alpha + beta > 0 and gamma > 0 and smooth > 0):
            raise ValueError(
                f"alpha {alpha} and beta {beta} must be at least 0 and not both 0, gamma {gamma} and smooth {smooth} "
                "above 0"
            )
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.include_background, self.batch, self.smooth = include_background, batch, smooth

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch: logits ``(B, K, *spatial)``, classes int64 ``(B, *spatial)`` with -1 unknown."""
        return tversky_loss(
            logits, target, self.alpha, self.beta, self.gamma, self.include_background, self.batch, self.smooth
        )
