"""What Dice and its kin are made of: how much of each class was found, and of what was found how much is right."""

import torch
from torch import Tensor

from medcnn.losses.known import at_least_float32, known_targets, require_classes


def soft_overlap(
    logits: Tensor, target: Tensor, include_background: bool, batch: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over the known voxels of a batch, or of each of its cases.

    Args:
        logits: ``(B, K, *spatial)``.
        target: Classes int64 ``(B, *spatial)``, -1 unknown.
        include_background: Whether class 0 is counted; with K of 1 nothing else could be.
        batch: Sum over all cases together; else over each alone.

    Returns:
        For each class ``(1, K')`` or ``(B, K')``: the probability it was given where it is the truth; wherever
        anything is known; and the number of voxels of which it is the truth.

    Raises:
        ValueError: The shapes do not fit, or there is no class beside a background that is left out.
    """
    require_classes(logits, target)
    first = 0 if include_background else 1
    if logits.shape[1] <= first:
        raise ValueError(f"the logits are for {logits.shape[1]} class and the background is left out: nothing remains")
    known = known_targets(target)[:, None]
    probabilities = at_least_float32(logits).softmax(dim=1)[:, first:]
    classes = torch.arange(first, logits.shape[1], device=target.device)
    # Booleans rather than a one-hot tensor of numbers: a quarter of the memory, and nothing to multiply.
    truth = target[:, None] == classes.view(1, -1, *[1] * (target.ndim - 1))
    over = (0, *range(2, logits.ndim)) if batch else tuple(range(2, logits.ndim))
    # Without spatial axes and alone every case is a single voxel, which needs no sum.
    sums = [
        part.sum(dim=over) if over else part
        for part in (
            torch.where(truth, probabilities, 0),
            torch.where(known, probabilities, 0),
            truth.to(probabilities.dtype),
        )
    ]
    hits, called, true = (part[None] if batch else part for part in sums)
    return hits, called, true


def mean_of_cases(losses: Tensor, target: Tensor) -> Tensor:
    """The mean over classes and over the cases of which anything is known.

    Args:
        losses: ``(1, K)`` for the batch, or ``(B, K)``.
        target: Classes ``(B, *spatial)``, -1 unknown.
    """
    if len(losses) != len(target):
        return losses.mean()
    known = known_targets(target).flatten(1).any(dim=1) if target.ndim > 1 else known_targets(target)
    return torch.where(known, losses.mean(dim=1), 0).sum() / known.sum().clamp(min=1)
