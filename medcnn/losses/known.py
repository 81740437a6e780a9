"""What every loss does before it counts anything: leave out the cases and findings nobody knows."""

import torch
from torch import Tensor


def known_targets(target: Tensor) -> Tensor:
    """Where a target is known.

    Args:
        target: Classes int64 ``(B, *spatial)``, -1 unknown; or findings float ``(B, K)`` in [0, 1], NaN unknown.

    Returns:
        Booleans of the same shape.
    """
    return ~target.isnan() if target.is_floating_point() else target >= 0


def at_least_float32(logits: Tensor) -> Tensor:
    """Logits in a precision that a logarithm can stand: half floats become float32, the rest stay as they are."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def mean_over(losses: Tensor, mass: Tensor) -> Tensor:
    """The sum of losses over what they weigh; zero, with a gradient, where nothing is known.

    Args:
        losses: One loss a case or finding, zero where unknown.
        mass: What the known ones weigh together: their number, or their summed weights; a scalar.
    """
    # Never a branch on the value: that would wait for the device in every training step.
    return losses.sum() / torch.where(mass > 0, mass, 1).to(losses.dtype)


def require_classes(logits: Tensor, target: Tensor) -> None:
    """Refuse shapes that are not K logits for each class index, one a case or one a voxel.

    Raises:
        ValueError: The shapes do not fit, or the target holds floats.
    """
    if logits.ndim < 2 or target.shape != logits.shape[:1] + logits.shape[2:] or target.is_floating_point():
        raise ValueError(
            f"expected logits (B, K, *spatial) and int64 classes (B, *spatial), found {tuple(logits.shape)} and "
            f"{tuple(target.shape)} of {target.dtype}; for findings that may stand together take "
            "WeightedBinaryCrossEntropy"
        )


def require_findings(logits: Tensor, target: Tensor) -> None:
    """Refuse shapes that are not one logit and one float target for each finding of each case.

    Raises:
        ValueError: The shapes differ, or the target holds no floats.
    """
    if logits.ndim != 2 or target.shape != logits.shape or not target.is_floating_point():
        raise ValueError(
            f"expected logits and float findings, both (B, K), found {tuple(logits.shape)} and {tuple(target.shape)} "
            f"of {target.dtype}; for classes that exclude each other take WeightedCrossEntropy"
        )
