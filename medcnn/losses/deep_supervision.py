"""A loss at every resolution that a net answers in."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def labels_at(target: Tensor, shape: Sequence[int]) -> Tensor:
    """Labels ``(B, *spatial)`` at another resolution ``(B, *shape)``: that of the nearest voxel, never a mean."""
    for axis, (size, wanted) in enumerate(zip(target.shape[1:], shape, strict=True), start=1):
        if size != wanted:
            # In whole numbers: the voxel that holds the middle of each new one.
            middles = (2 * torch.arange(wanted, device=target.device) + 1) * size // (2 * wanted)
            target = target.index_select(axis, middles)
    return target


class DeepSupervision(nn.Module):
    """A loss of the logits of several stages, each stage half as heavy as the finer one; the weights sum to 1.

    Args:
        loss: Takes logits ``(B, K, *spatial)`` and classes ``(B, *spatial)``.

    References:
        Isensee et al., 2021, doi:10.1038/s41592-020-01008-z
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss: Any = loss

    def set_counts(self, counts: Tensor) -> None:
        """Tell the training split's counts to the loss, if it asks for them."""
        if hasattr(self.loss, "set_counts"):
            self.loss.set_counts(counts)

    def forward(self, logits: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            logits: From the full resolution to the coarsest; or one tensor, as a net answers once it is trained.
            target: Classes int64 ``(B, *spatial)`` at full resolution, -1 unknown.
        """
        stages = [logits] if isinstance(logits, Tensor) else logits
        total, weights = logits[0].new_zeros((), dtype=torch.float32), 0.0
        for depth, stage in enumerate(stages):
            weight = 0.5**depth
            total = total + weight * self.loss(stage, labels_at(target, stage.shape[2:]))
            weights += weight
        return total / weights
