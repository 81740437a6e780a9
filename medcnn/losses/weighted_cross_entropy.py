"""Cross-entropy for classes that exclude each other, each class with its weight."""

import torch.nn.functional as F
from torch import Tensor, nn

from medcnn.losses.class_weights import Weighting, balanced_weights, effective_weights, given_weights
from medcnn.losses.known import at_least_float32, known_targets, mean_over, require_classes


def weighted_cross_entropy(
    logits: Tensor, target: Tensor, weight: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """``sum_i w[y_i] * -log p_i[y_i] / sum_i w[y_i]`` over the known cases, or voxels.

    Args:
        logits: ``(B, K)``, or ``(B, K, *spatial)`` of a segmentation.
        target: Classes int64 ``(B,)``, or ``(B, *spatial)``; -1 unknown.
        weight: One weight a class ``(K,)``.
        label_smoothing: How much of the target is spread over all classes, as torch's.

    Returns:
        A scalar, equal to torch's ``cross_entropy`` where a target is known; zero, with a gradient, where none is.
    """
    require_classes(logits, target)
    logits = at_least_float32(logits)
    weight = None if weight is None else weight.to(logits)
    total = F.cross_entropy(logits, target, weight, ignore_index=-1, reduction="sum", label_smoothing=label_smoothing)
    return mean_over(total, class_mass(target, weight))


def class_mass(target: Tensor, weight: Tensor | None) -> Tensor:
    """What the known cases, or voxels, of a batch weigh together: a scalar."""
    known = known_targets(target)
    return known.sum() if weight is None else (weight[target.clamp(min=0)] * known).sum()


class WeightedCrossEntropy(nn.Module):
    """Cross-entropy with class weights that are given, or counted in the training split.

    Args:
        weight: One weight a class; "balanced" (``n / (K n_k)``); "effective" (effective number of cases); or null.
        label_smoothing: How much of the target is spread over all classes, in [0, 1).
        beta: For "effective": how much of a further case is new, in [0, 1).
    """

    def __init__(
        self, weight: list[float] | Weighting | None = None, label_smoothing: float = 0.0, beta: float = 0.999
    ) -> None:
        super().__init__()
        if not (0 <= label_smoothing < 1 and 0 <= beta < 1):
            raise ValueError(f"label_smoothing {label_smoothing} and beta {beta} must lie in [0, 1)")
        self.rule = weight if isinstance(weight, str) else None
        self.label_smoothing, self.beta = label_smoothing, beta
        self.weight: Tensor | None
        self.register_buffer("weight", given_weights("weight", weight, ("balanced", "effective")))

    def set_counts(self, counts: Tensor) -> None:
        """Weigh the classes by their cases or voxels ``(K,)`` in the training split; weights that were given stay."""
        if self.rule is not None:
            weights = balanced_weights(counts) if self.rule == "balanced" else effective_weights(counts, self.beta)
            self.weight = weights if self.weight is None else weights.to(self.weight)

    def mass(self, target: Tensor) -> Tensor:
        """What the batch's mean was divided by: means of several batches are joined with it."""
        return class_mass(target, self.weight)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch: logits ``(B, K, *spatial)``, classes int64 ``(B, *spatial)`` with -1 unknown."""
        if self.rule is not None and self.weight is None:
            raise ValueError(f"weight {self.rule!r} is not counted yet: call set_counts first")
        return weighted_cross_entropy(logits, target, self.weight, self.label_smoothing)
