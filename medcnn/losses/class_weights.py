"""From the number of cases in the training split to the weight of each class."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Weighting = Literal["balanced", "effective"]


def balanced_weights(counts: Tensor) -> Tensor:
    """``n / (K * n_k)``: every class weighs as much as any other in sum, and the mean case weighs 1.

    Args:
        counts: Cases of each class ``(K,)``.

    Returns:
        Weights ``(K,)`` float32; zero for a class without a case, which then is not among the ``K``.
    """
    counts = counts.double()
    present = counts > 0
    weights = counts.sum() / (present.sum().clamp(min=1) * counts.clamp(min=1))
    return torch.where(present, weights, 0).float()


def effective_weights(counts: Tensor, beta: float = 0.999) -> Tensor:
    """``(1 - beta) / (1 - beta ** n_k)``, scaled so that the mean case weighs 1.

    A class's further cases count for less and less: ``beta`` of 0 weighs all alike, ``beta`` towards 1 is balanced.

    Args:
        counts: Cases of each class ``(K,)``.
        beta: How much of a further case is new, in [0, 1).

    References:
        Cui et al., 2019, arXiv:1901.05555
    """
    counts = counts.double()
    present = counts > 0
    effective = (1 - beta ** counts.clamp(min=1)) / (1 - beta)
    weights = torch.where(present, 1 / effective, 0)
    return (weights * counts.sum().clamp(min=1) / (weights * counts).sum().clamp(min=1e-12)).float()


def positive_weights(counts: Tensor) -> Tensor:
    """``negatives / positives`` of each finding; 1 where either is missing.

    Args:
        counts: Negatives and positives of each finding ``(K, 2)``.
    """
    counts = counts.double()
    both = (counts > 0).all(dim=1)
    return torch.where(both, counts[:, 0] / counts[:, 1].clamp(min=1), 1).float()


def given_weights(name: str, weight: Sequence[float] | str | None, words: Sequence[str]) -> Tensor | None:
    """A list from a configuration as a tensor; None where the weights are still to be counted or not wanted.

    Raises:
        ValueError: A word that names no rule, or a weight that is negative or not finite.
    """
    if isinstance(weight, str):
        if weight not in words:
            raise ValueError(f"{name} is {weight!r}; give a list of numbers, null, or one of {', '.join(words)}")
        return None
    if weight is None:
        return None
    values = torch.tensor([float(w) for w in weight])
    if not len(values) or not bool((values.isfinite() & (values >= 0)).all()) or not bool(values.any()):
        raise ValueError(f"{name} is {list(weight)}; give one finite number of at least 0 for each class")
    return values
