"""Soft Dice: the overlap of regions, by probabilities instead of labels."""

from torch import Tensor, nn

from medcnn.losses.overlap import mean_of_cases, soft_overlap


def soft_dice_loss(
    logits: Tensor, target: Tensor, include_background: bool = False, batch: bool = True, smooth: float = 1e-5
) -> Tensor:
    """``1 - (2 sum p t + smooth) / (sum p + sum t + smooth)``, the mean over classes; sums run over known voxels.

    Args:
        logits: ``(B, K, *spatial)``; p is their softmax.
        target: Classes int64 ``(B, *spatial)``, -1 unknown.
        include_background: Whether class 0 is a class like the others.
        batch: One overlap for the batch, which a patch without a class does not upset; else the mean over cases.
        smooth: Makes 1 of an overlap of nothing with nothing. A small one gives a class that is absent next to no
            gradient; one near the number of voxels that may be wrong teaches the net to leave it out.

    Returns:
        A scalar in [0, 1]; zero, with a gradient, where nothing is known.

    References:
        Milletari et al., 2016, arXiv:1606.04797, with p instead of its square in the denominator
    """
    hits, called, true = soft_overlap(logits, target, include_background, batch)
    return mean_of_cases(1 - (2 * hits + smooth) / (called + true + smooth), target)


class SoftDice(nn.Module):
    """Soft Dice as a loss; see ``soft_dice_loss`` for the formula.

    Args:
        include_background: Whether class 0 is a class like the others.
        batch: One overlap for the batch; else the mean over cases.
        smooth: Above 0; what is added to both sides of the fraction.
    """

    def __init__(self, include_background: bool = False, batch: bool = True, smooth: float = 1e-5) -> None:
        super().__init__()
        if not smooth > 0:
            raise ValueError(f"smooth is {smooth}; a class that is nowhere needs it above 0")
        self.include_background, self.batch, self.smooth = include_background, batch, smooth

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch: logits ``(B, K, *spatial)``, classes int64 ``(B, *spatial)`` with -1 unknown."""
        return soft_dice_loss(logits, target, self.include_background, self.batch, self.smooth)
