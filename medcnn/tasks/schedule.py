"""A learning rate that changes with every step, over as many steps as the training turns out to have."""

import math

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class CosineWithWarmup(LRScheduler):
    """Up in a straight line, down along half a cosine; the task says how many steps that takes.

    Args:
        optimizer: Its learning rates are the highest ones reached.
        warmup: Share of the steps spent going up, in [0, 1).
        floor: Share of the learning rate left at the end, in [0, 1].
        total_steps: Optimizer steps of the whole training; 0 to be given by ``set_total_steps``.
    """

    interval = "step"  # the task asks every scheduler; torch's own have none and step once an epoch

    def __init__(self, optimizer: Optimizer, warmup: float = 0.1, floor: float = 0.0, total_steps: int = 0) -> None:
        if not (0 <= warmup < 1 and 0 <= floor <= 1 and total_steps >= 0):
            raise ValueError(f"warmup {warmup} must lie in [0, 1), floor {floor} in [0, 1], total_steps be at least 0")
        self.warmup, self.floor, self.total_steps = warmup, floor, total_steps
        super().__init__(optimizer)

    def set_total_steps(self, total_steps: int) -> None:
        """Spread the schedule over so many optimizer steps."""
        self.total_steps = total_steps
        self._last_lr = self.get_lr()
        for group, lr in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = lr

    def get_lr(self) -> list[float | Tensor]:
        """The learning rate of each group for the step to come."""
        return [base * self.factor(self.last_epoch) for base in self.base_lrs]

    def factor(self, step: int) -> float:
        """Share of the highest learning rate at a step that counts from 0."""
        if not self.total_steps:
            return 1.0
        rising = round(self.warmup * self.total_steps)
        if step < rising:
            return (step + 1) / rising
        progress = min((step - rising) / max(self.total_steps - rising, 1), 1.0)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2
