"""An optimizer over the parameters that learn, and a schedule that fits the length of the training."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from medcnn.errors import ConfigError

# The types LightningCLI knows by these names; named here so that scoring need not load its parser.
OptimizerCallable = Callable[[Iterable], Optimizer]
LRSchedulerCallable = Callable[[Optimizer], LRScheduler]


def parameter_groups(net: nn.Module, decay_all: bool = False) -> list[dict[str, Any]]:
    """Parameters that learn; those of one dimension, biases and scales of normalization, without weight decay.

    Raises:
        ConfigError: Nothing learns.
    """
    learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if not learning:
        raise ConfigError(f"no parameter of {type(net).__name__} learns; unfreeze some, or score without fitting")
    weights = [parameter for parameter in learning if decay_all or parameter.ndim > 1]
    others = [parameter for parameter in learning if not (decay_all or parameter.ndim > 1)]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def optimizer_and_schedule(
    net: nn.Module,
    optimizer: OptimizerCallable,
    scheduler: LRSchedulerCallable | None,
    decay_all: bool,
    trainer: pl.Trainer,
) -> dict[str, Any]:
    """What ``configure_optimizers`` returns.

    A scheduler says by an attribute ``interval`` ("step" or "epoch") how often it steps, and is told the number of
    optimizer steps where it has ``set_total_steps``.
    """
    try:
        built = optimizer(parameter_groups(net, decay_all))
        schedule = None if scheduler is None else scheduler(built)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"the optimizer or its scheduler refuses its arguments: {error}") from error
    if schedule is None:
        return {"optimizer": built}
    if hasattr(schedule, "set_total_steps"):
        total = trainer.estimated_stepping_batches
        if not math.isfinite(total) or total < 1:
            raise ConfigError(f"{type(schedule).__name__} needs to know how long to train: set trainer.max_epochs")
        schedule.set_total_steps(int(total))
    settings: dict[str, Any] = {"scheduler": schedule, "interval": getattr(schedule, "interval", "epoch")}
    if isinstance(schedule, ReduceLROnPlateau):
        settings["monitor"] = "val/loss"
    return {"optimizer": built, "lr_scheduler": settings}
