"""An optimizer over the parameters that learn, and a schedule that fits the length of the training."""

import copy
import functools
import json
import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from medcnn.errors import ConfigError
from medcnn.tasks.plain import plain_only

# The types LightningCLI knows by these names; named here so that scoring need not load its parser.
OptimizerCallable = Callable[[Iterable], Optimizer]
LRSchedulerCallable = Callable[[Optimizer], LRScheduler]

#: Schedulers of torch whose numbers count optimizer steps; its others count epochs.
_BY_STEP = (OneCycleLR, CyclicLR)
#: Settings of ReduceLROnPlateau; the rest of its state is what it has seen.
_PLATEAU_SETTINGS = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "eps", "min_lrs")
#: What constructors of optimizers and schedulers raise for arguments that do not fit.
_MISFIT = (ValueError, TypeError, KeyError, RuntimeError, AttributeError, ArithmeticError)
#: Schedulers that take functions or other schedulers, which no configuration can give.
_NOT_FROM_CONFIG = ("LRScheduler", "LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler")


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


def build_optimizer(net: nn.Module, optimizer: OptimizerCallable, decay_all: bool = False) -> Optimizer:
    """The optimizer over the parameters of ``net`` that learn.

    Raises:
        ConfigError: Nothing learns, or the optimizer does not take such parameters.
    """
    groups = parameter_groups(net, decay_all)
    try:
        built = optimizer(groups)
        state_names(optimizer)
        return built
    except _MISFIT as error:
        raise ConfigError(f"{_name_of(optimizer)} cannot train {type(net).__name__}: {_first_line(error)}") from error


def state_names(optimizer: OptimizerCallable) -> set[str]:
    """Names of what an optimizer remembers of each parameter, found by one step on a parameter of its own.

    Raises:
        ConfigError: The optimizer cannot take that step, as one for sparse gradients cannot.
    """
    probe = nn.Parameter(torch.ones(2, 2))
    probe.grad = torch.ones(2, 2)
    try:
        built = optimizer([{"params": [probe]}])
        built.step(lambda: float(probe.detach().sum()))
    except _MISFIT as error:
        raise ConfigError(
            f"{_name_of(optimizer)} takes no step: {_first_line(error)}; use another optimizer"
        ) from error
    return {name for name, value in built.state[probe].items() if value is not None}


def build_schedule(scheduler: LRSchedulerCallable, optimizer: Optimizer, total: Callable[[], int]) -> Any:
    """The schedule of an optimizer.

    Args:
        scheduler: From an optimizer to a schedule. One with ``set_total_steps``, and ``OneCycleLR`` where its config
            gives no length, is given the length of the training.
        optimizer: Whose learning rates are scheduled.
        total: Optimizer steps of the whole training; called only where a schedule depends on it.

    Raises:
        ConfigError: The schedule does not fit the optimizer, or ends before the training does.
    """
    if _name_of(scheduler) in _NOT_FROM_CONFIG:
        raise ConfigError(
            f"{_name_of(scheduler)} takes functions or other schedulers, which a configuration cannot give; use "
            "medcnn.tasks.schedule.CosineWithWarmup or another scheduler of torch"
        )
    given = getattr(scheduler, "keywords", {})
    open_end = _class_of(scheduler) is OneCycleLR and not (given.get("total_steps") or given.get("epochs"))
    length = {"total_steps": total()} if open_end else {}
    try:
        _try_out(scheduler(_stand_in(optimizer), **length))
        schedule: Any = scheduler(optimizer, **length)
    except _MISFIT as error:
        raise ConfigError(
            f"the scheduler {_name_of(scheduler)} does not fit {type(optimizer).__name__}: {_first_line(error)}"
        ) from error
    if hasattr(schedule, "set_total_steps"):
        schedule.set_total_steps(total())
    elif isinstance(schedule, OneCycleLR) and schedule.total_steps < total():
        raise ConfigError(
            f"OneCycleLR ends after {schedule.total_steps} steps, and the training takes {total()}: leave total_steps "
            "out of the scheduler, or raise it"
        )
    if isinstance(schedule, ReduceLROnPlateau) and schedule.mode != "min" and monitor_of(schedule) == "val/loss":
        raise ConfigError("ReduceLROnPlateau watches val/loss, which should fall: leave its mode at min")
    return schedule


def interval_of(schedule: Any) -> str:
    """How often a schedule steps: with every optimizer "step" or every "epoch"."""
    return getattr(schedule, "interval", "step" if isinstance(schedule, _BY_STEP) else "epoch")


def monitor_of(schedule: ReduceLROnPlateau) -> str:
    """The metric that a plateau is seen in: its own, as Lightning's ReduceLROnPlateau has one, or the loss."""
    return str(getattr(schedule, "monitor", "val/loss"))


class Optimization:
    """An optimizer and its schedule, with what they were built from: so that a resumed training can be compared.

    Lightning restores both from the checkpoint, settings included, so that a learning rate, a schedule or a length
    given to a resumed fit would be ignored. Where nothing changed, its restored state is left alone, and the training
    continues to the bit. Where something did, ``adapt`` applies it.

    Args:
        optimizer: As built, before any step.
        schedule: As built; None for a constant rate.

    Attributes:
        plan: Plain account of both as built: class of the optimizer, its groups, the schedule's attributes.
    """

    def __init__(self, optimizer: Optimizer, schedule: Any = None) -> None:
        self.optimizer, self.schedule = optimizer, schedule
        self._groups = [
            {name: copy.copy(value) for name, value in group.items() if name != "params"}
            for group in optimizer.param_groups
        ]
        self._schedule = {} if schedule is None else {k: v for k, v in vars(schedule).items() if k != "optimizer"}
        self.plan: dict[str, Any] = _as_json(
            {
                "optimizer": type(optimizer).__name__,
                "groups": self._groups,
                "schedule": None if schedule is None else type(schedule).__name__,
                "schedule_settings": self._schedule,
            }
        )

    def restores(self, previous: Mapping[str, Any] | None) -> bool:
        """Whether the schedule's state in a checkpoint with that plan is one that this schedule can take over."""
        if previous is None:
            return False
        alike = previous["schedule"] == self.plan["schedule"]
        return previous == self.plan or (alike and isinstance(self.schedule, ReduceLROnPlateau))

    def adapt(self, previous: Mapping[str, Any] | None, steps: int, epochs: int) -> None:
        """Apply what differs from the plan of the checkpoint, after its state was restored.

        The rate becomes the one that the new settings give at the step reached: the schedule is run from its start to
        there. A plateau keeps what it has seen, and takes the new settings.

        Args:
            previous: Plan in the checkpoint; None for one that holds none.
            steps: Optimizer steps done.
            epochs: Epochs done.
        """
        if previous == self.plan:
            return
        if isinstance(self.schedule, ReduceLROnPlateau) and self.restores(previous):
            assert previous is not None
            for name in _PLATEAU_SETTINGS:
                setattr(self.schedule, name, self._schedule[name])
            for group, built, now, before in zip(
                self.optimizer.param_groups, self._groups, self.plan["groups"], previous["groups"], strict=True
            ):
                group |= {name: built[name] for name in now if now[name] != before.get(name)}
            return
        for group, built in zip(self.optimizer.param_groups, self._groups, strict=True):
            parameters = group["params"]
            group.clear()
            group |= {"params": parameters, **copy.copy(built)}
        if self.schedule is not None and not isinstance(self.schedule, ReduceLROnPlateau):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch expects a step of the optimizer between two of the schedule
                for _ in range(steps if interval_of(self.schedule) == "step" else epochs):
                    self.schedule.step()

    def on_validation(self, metrics: Mapping[str, Any]) -> None:
        """Let a scheduler that waits for a plateau see the metrics of a validation.

        Raises:
            ConfigError: The metric it waits for is not among them.
        """
        if not isinstance(self.schedule, ReduceLROnPlateau):
            return
        monitor = monitor_of(self.schedule)
        if monitor not in metrics:
            raise ConfigError(
                f"ReduceLROnPlateau watches {monitor}, which this task does not log; it logs {', '.join(metrics)}"
            )
        self.schedule.step(float(metrics[monitor]))

    def for_lightning(self) -> dict[str, Any]:
        """What ``configure_optimizers`` returns. A plateau is not in it: the task steps it after each validation."""
        if self.schedule is None:
            return {"optimizer": self.optimizer}
        settings: dict[str, Any] = {"scheduler": self.schedule, "interval": interval_of(self.schedule)}
        if isinstance(self.schedule, ReduceLROnPlateau):
            # Lightning would step it after each epoch, validated or not, and after the checkpoint was written, so that
            # a resumed training lacks a step. At this frequency it never does.
            settings |= {"monitor": monitor_of(self.schedule), "frequency": 2**62}
        return {"optimizer": self.optimizer, "lr_scheduler": settings}


def total_steps(trainer: pl.Trainer, checkpoint: Mapping[str, Any] | None = None) -> int:
    """Optimizer steps of the whole training, those before a resumed checkpoint included.

    Args:
        trainer: Attached to its data.
        checkpoint: From which the training is resumed.

    Raises:
        ConfigError: The training has no end.
    """
    total = trainer.estimated_stepping_batches
    if not math.isfinite(total) or total < 1:
        raise ConfigError(
            "the scheduler depends on the length of the training: set trainer.max_epochs or trainer.max_steps"
        )
    if checkpoint is None or total == trainer.max_steps:
        return int(total)
    plan = checkpoint.get("medcnn", {}).get("optimization") or {}
    planned = plan.get("schedule_settings", {}).get("total_steps")
    return int(total) if total == planned else int(total) + _steps_ahead(trainer, checkpoint)


def _steps_ahead(trainer: pl.Trainer, checkpoint: Mapping[str, Any]) -> int:
    """How many more steps lie behind a checkpoint than the present number of steps in an epoch would have made."""
    loop = checkpoint["loops"]["fit_loop"]
    epochs, batches = loop["epoch_progress"]["current"], loop["epoch_loop.batch_progress"]["current"]
    per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
    begun = 0 if epochs["processed"] == epochs["ready"] else batches["ready"] / trainer.accumulate_grad_batches
    return int(checkpoint["global_step"]) - epochs["processed"] * per_epoch - min(math.ceil(begun), per_epoch)


def _as_json(value: Any) -> Any:
    """Plain data as JSON gives it back, so that tuples and numbered keys compare equal; other objects are left out."""
    plain = {name: part for name, part in value.items() if name != "schedule_settings"}
    settings = plain_only(value["schedule_settings"])
    return json.loads(json.dumps({**plain, "schedule_settings": settings}, default=str))


def _stand_in(optimizer: Optimizer) -> Optimizer:
    """An optimizer with the same groups over parameters of its own."""
    groups = [{**group, "params": [nn.Parameter(torch.zeros(1, 1))]} for group in optimizer.param_groups]
    like: Any = type(optimizer)
    return like(groups)


def _try_out(schedule: Any) -> None:
    """Step a schedule twice, for arguments that it divides by, for instance, show only then."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch expects a step of the optimizer between two of the schedule
        for _ in range(2):
            schedule.step(*([0.0] if isinstance(schedule, ReduceLROnPlateau) else []))


def _class_of(callable_: Any) -> Any:
    """The class behind what a config made of it: a partial call, possibly of another one, of a function that builds."""
    if isinstance(callable_, functools.partial):
        classes = [part for part in callable_.args if isinstance(part, type)]
        return classes[0] if classes else _class_of(callable_.func)
    return callable_


def _name_of(callable_: Any) -> str:
    made = _class_of(callable_)
    return getattr(made, "__name__", type(made).__name__)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
