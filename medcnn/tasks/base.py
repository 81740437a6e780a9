"""What every task does alike: a step, an epoch's mean loss, where it comes from, and a checkpoint that tells all."""

import inspect
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics import MeanMetric

import medcnn
from medcnn.errors import CheckpointError, ConfigError
from medcnn.tasks.decision import Decision
from medcnn.tasks.fit_of_parts import check_counts, explained
from medcnn.tasks.optimization import (
    LRSchedulerCallable,
    Optimization,
    OptimizerCallable,
    build_optimizer,
    build_schedule,
    total_steps,
)
from medcnn.tasks.plain import plain_only
from medcnn.tasks.schema import check_classes
from medcnn.tasks.seen import Seen, refuse_seen

Batch = dict[str, Tensor]


class CaseTask(pl.LightningModule, ABC):
    """A net learns from batches of cases and is judged by every case of a split once. Subclasses say how.

    A subclass gives ``answer``, ``columns``, and what its evaluation keeps of a batch (``_keep``) and makes of all
    (``_conclude``).

    Args:
        net: Images ``(B, C, *spatial)`` to logits; in training it may give a list of them for the loss to take.
        loss: Logits and targets to a scalar. With a method ``set_counts`` it is told the training split's counts.
        classes: Names, K of them.
        optimizer: From parameter groups to an optimizer.
        scheduler: From an optimizer to a scheduler; steps once an epoch, or as often as its ``interval`` says.
        decay_all: Also let weight decay act on biases and on the scales of normalization.

    Attributes:
        monitor: The figure by which the best checkpoint is told; more is better.
        headline: Names of the figures a user reads first, in order.
        units: Of those that are no plain share, what a number counts.
        target: What a batch calls its truth.
        per_voxel: Whether the answer is one for each voxel, not one for each case.
        decision: How probabilities are calibrated and called; None where nothing is chosen, or not yet.
        evaluated: Stage to what its last evaluation kept of each case, on the CPU of every process.
        summaries: Stage to the figures of its last evaluation.
        run_id: The tracked run that trains this task; "" outside one.
        image_shape: ``(C, *spatial)`` of the images seen; empty before the first.
        spacing_mm: Usual voxel size along each axis of the images seen; empty where they do not say.
        data_digest: Digest of the cases it was fitted on.
        seen: The cases and patients it was trained on, over all sessions.
        settings: What the training was run with, as dotted names to plain values; kept in the checkpoint, so that a
            resumed training can be compared.
    """

    monitor: ClassVar[str]
    target: ClassVar[str]
    per_voxel: ClassVar[bool] = False
    headline: tuple[str, ...] = ()
    units: Mapping[str, str] = MappingProxyType({})
    multilabel: bool = False

    def __init__(
        self,
        net: nn.Module,
        loss: nn.Module,
        classes: Sequence[str],
        optimizer: OptimizerCallable = torch.optim.AdamW,
        scheduler: LRSchedulerCallable | None = None,
        decay_all: bool = False,
    ) -> None:
        super().__init__()
        with warnings.catch_warnings():
            # Lightning advises to ignore net and loss here, which would make the file useless without the program.
            warnings.filterwarnings("ignore", message="Attribute .* is an instance of `nn.Module`")
            self.save_hyperparameters()
        self.classes = tuple(classes)
        self.net: Any = net
        self.loss: Any = loss  # its optional methods set_counts and mass are asked for by name
        self.optimizer, self.scheduler, self.decay_all = optimizer, scheduler, decay_all
        self.decision: Decision | None = None
        self.evaluated: dict[str, dict[str, Tensor]] = {}
        self.summaries: dict[str, Any] = {}
        self.run_id, self.data_digest = "", ""
        self.image_shape: tuple[int, ...] = ()
        self.spacing_mm: tuple[float, ...] = ()
        self.seen = Seen()
        self._data_before: Mapping[str, Any] = {}
        self.settings: dict[str, Any] = {}
        self._optimization: Optimization | None = None
        self._resumed: dict[str, Any] | None = None
        # NaN stays NaN. "disable" would say the same, but makes torchmetrics 1.9 forget the weights.
        self._train_loss = MeanMetric(nan_strategy=float("nan"))
        self._steps: list[tuple[Tensor, Tensor]] = []
        self._seed = 0
        self._logged: dict[str, Any] = {}

    @property
    def positive(self) -> str | None:
        """Name of the positive class where there is one: the second of two that exclude each other."""
        return self.classes[1] if len(self.classes) == 2 and not (self.multilabel or self.per_voxel) else None

    @abstractmethod
    def answer(self, images: Tensor) -> Tensor:
        """Probabilities of prepared images ``(B, C, *spatial)``: ``(B, K)``, or one for each voxel."""

    @abstractmethod
    def columns(self, predicted: Mapping[str, Tensor]) -> dict[str, Any]:
        """What ``predict_step`` gave for all cases, joined, as columns of a table."""

    @abstractmethod
    def _keep(self, batch: Batch, batch_idx: int, stage: str) -> None:
        """Keep what the net says about one batch."""

    @abstractmethod
    def _conclude(self, stage: str) -> None:
        """Log the figures of all batches and of all processes."""

    @abstractmethod
    def _check(self, batch: Batch, logits: Any) -> None:
        """Refuse a batch that does not fit the net or the classes."""

    def forward(self, image: Tensor) -> Any:
        """Images ``(B, C, *spatial)`` to logits."""
        return self.net(image)

    def on_fit_start(self) -> None:
        """Give the loss the training split's counts; a resumed training keeps the weights of an unchanged loss."""
        self._seed = torch.initial_seed()
        data: Any = getattr(self.trainer, "datamodule", None)
        if self.trainer.ckpt_path is not None and getattr(data, "on_leak", "") != "allow":
            refuse_seen(self.seen, data, self._data_before)
        self.seen = self.seen.joined(Seen.in_training(data))
        if hasattr(data, "describe"):
            self.data_digest = str(data.describe().get("digest", ""))
        resumes = self.trainer.ckpt_path is not None
        if not hasattr(self.loss, "set_counts") or (resumes and not self._loss_changed(self._resumed or {})):
            return
        if hasattr(data, "class_counts"):
            self.loss.set_counts(check_counts(data.class_counts("train"), self.classes, self.multilabel))
        elif getattr(self.loss, "rule", None):
            raise ConfigError(
                f"the loss wants {self.loss.rule!r} weights, and {type(data).__name__} has no class_counts; "
                "give a list of weights"
            )

    def on_train_start(self) -> None:
        """Apply what a resumed training's command changes of the optimizer and its schedule."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None and self._optimization is not None:
            progress: Any = self.trainer.fit_loop.epoch_progress.current
            self._optimization.adapt(_plan_in(resumed), self.trainer.global_step, progress.processed)

    def on_train_epoch_start(self) -> None:
        """Begin the chance inside the net (dropout) anew: a resumed epoch draws what an uninterrupted one does."""
        torch.manual_seed(self._seed + 1_000_003 * (self.current_epoch + 1) + self.global_rank)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch. Nothing is logged here: a log call costs more than all else around the net."""
        logits = self._logits(batch, batch_idx)
        loss = self.loss(logits, batch[self.target])
        self._steps.append((loss.detach(), self._mass(batch[self.target])))
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the epoch's mean loss, each step weighed by what its batch weighed."""
        if self._steps:
            losses, masses = (torch.stack(part).float() for part in zip(*self._steps, strict=True))
            self._train_loss.update(losses, masses)
        self._log({"train/loss": self._train_loss.compute()})
        self._train_loss.reset()
        self._steps.clear()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep what the net says about one batch."""
        self._keep(batch, batch_idx, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep what the net says about one batch."""
        self._keep(batch, batch_idx, "test")

    def on_validation_epoch_end(self) -> None:
        """Log the figures, and let a scheduler that waits for a plateau see them."""
        self._conclude("val")
        if self._optimization is not None and self._fits() and not self.trainer.sanity_checking:
            self._optimization.on_validation(self._logged)

    def on_test_epoch_end(self) -> None:
        """Log the figures, by the decision in the checkpoint where there is one."""
        self._conclude("test")

    def configure_optimizers(self) -> Any:
        """The optimizer over parameters that learn, and its schedule."""
        resumed = self._resumed
        optimizer = build_optimizer(self.net, self.optimizer, self.decay_all)
        schedule = None
        if self.scheduler is not None:
            schedule = build_schedule(self.scheduler, optimizer, lambda: total_steps(self.trainer, resumed))
        if isinstance(schedule, ReduceLROnPlateau) and self.trainer.limit_val_batches == 0:
            raise ConfigError("ReduceLROnPlateau waits for validations, and trainer.limit_val_batches is 0")
        self._optimization = Optimization(optimizer, schedule)
        if resumed is not None and not self._optimization.restores(_plan_in(resumed)):
            resumed["lr_schedulers"] = []
        return self._optimization.for_lightning()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes the file a product: the decision, and where it comes from; keep plain data only."""
        arguments = self._arguments()
        arguments.setdefault("_class_path", f"{type(self).__module__}.{type(self).__qualname__}")
        checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = plain_only(arguments)
        checkpoint["decision"] = self.decision.to_dict() if self.decision else None
        checkpoint["medcnn"] = {
            "version": medcnn.__version__,
            "run_id": self.run_id or "",
            "settings": self.settings,
            "optimization": self._optimization.plan if self._optimization else None,
            "image_shape": list(self.image_shape),
            "data_digest": self.data_digest,
            "trained_on": list(self.seen.cases),
            "trained_patients": list(self.seen.patients),
            "positive": self.positive or "",
            "per_voxel": self.per_voxel,
            "spacing_mm": list(self.spacing_mm),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back the decision and the origin; a training that is resumed stays in the run that was opened for it."""
        known = (checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY) or {}).get("classes")
        if known and list(known) != list(self.classes):
            raise CheckpointError(
                f"the checkpoint's classes are {', '.join(map(str, known))} and the cohort's "
                f"{', '.join(self.classes)}: set classes, or positive, as the checkpoint has them"
            )
        kept = checkpoint.get("decision")
        self.decision = None if kept is None else Decision.from_dict(kept, self.classes, self.multilabel)
        origin = checkpoint.get("medcnn", {})
        if self._fits():
            self._resumed = checkpoint
            if self._loss_changed(checkpoint):
                _replace_loss(checkpoint, self.loss.state_dict())
        else:
            self.settings = dict(origin.get("settings") or {})
        self.run_id = self.run_id if self._fits() and self.run_id else origin.get("run_id", "")
        self.data_digest = origin.get("data_digest", "")
        self.image_shape = tuple(origin.get("image_shape", ()))
        self.seen = Seen(tuple(origin.get("trained_on", ())), tuple(origin.get("trained_patients", ())))
        self._data_before = checkpoint.get("datamodule_hyper_parameters") or {}
        self.spacing_mm = tuple(origin.get("spacing_mm", ()))

    def _fits(self) -> bool:
        """Whether a trainer is fitting this task."""
        return self._trainer is not None and self._trainer.state.fn == "fit"

    def _loss_changed(self, checkpoint: Mapping[str, Any]) -> bool:
        """Whether the loss is configured otherwise than in a checkpoint; not where either was built in Python."""
        before, now = (held.get("loss") for held in (checkpoint.get("hyper_parameters", {}), self.hparams))
        return isinstance(before, Mapping) and isinstance(now, Mapping) and dict(before) != dict(now)

    def _arguments(self) -> dict[str, Any]:
        """What the task was made from; classes as they are known, for a command line leaves them to the data."""
        # A command line hands every task what some of them take.
        taken = inspect.signature(type(self)).parameters
        given = {name: value for name, value in self.hparams.items() if name in taken or name.startswith("_")}
        return {**given, "classes": list(self.classes)}

    def _shape_loss(self) -> None:
        """Give the loss's buffers their final shape, so that a state can be loaded before the data is there."""
        if hasattr(self.loss, "set_counts"):
            self.loss.set_counts(torch.ones((len(self.classes), 2) if self.multilabel else len(self.classes)))

    def _logits(self, batch: Batch, batch_idx: int) -> Any:
        logits = explained(self.net, batch["image"])
        if batch_idx == 0:
            # Once an epoch: looking at labels waits for the device.
            self._check(batch, logits)
            self.image_shape = tuple(batch["image"].shape[1:])
        return logits

    def _mass(self, target: Tensor) -> Tensor:
        """What a batch's loss counts for in the mean of an epoch."""
        if hasattr(self.loss, "mass"):
            return self.loss.mass(target)
        return (~target.isnan()).sum() if target.is_floating_point() else (target >= 0).sum()

    def _log(self, figures: dict[str, Any]) -> None:
        self._logged |= figures
        with warnings.catch_warnings():
            # Every process holds the same figures already: a mean over processes would only add rounding.
            warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
            self.log_dict(figures, on_step=False, on_epoch=True, batch_size=1)


def checked_classes(classes: Sequence[str], least: int = 2) -> tuple[str, ...]:
    """The names as they came.

    Raises:
        ConfigError: They are fewer than ``least``, two are alike, or one cannot be printed.
    """
    try:
        check_classes(classes, "classes", least)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return tuple(classes)


def _plan_in(checkpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the optimizer and the schedule behind a checkpoint were built from; None where it does not say."""
    return checkpoint.get("medcnn", {}).get("optimization")


def _replace_loss(checkpoint: dict[str, Any], state: Mapping[str, Any]) -> None:
    """Put the loss's own state in place of the one in a checkpoint, in the weights and in their average."""
    for part in ("state_dict", "current_model_state"):
        if part in checkpoint:
            others = {name: value for name, value in checkpoint[part].items() if not name.startswith("loss.")}
            checkpoint[part] = others | {f"loss.{name}": value for name, value in state.items()}
