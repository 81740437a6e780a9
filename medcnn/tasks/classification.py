"""Training and evaluation of a classifier: procedure only; net, loss and optimizer are given."""

import warnings
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

import medcnn
from medcnn.errors import ConfigError
from medcnn.metrics.classification import Summary, summarize
from medcnn.metrics.predictions import Predictions
from medcnn.tasks.decision import Decision, calibrated, choose_decision
from medcnn.tasks.fit_of_parts import check_batch, check_counts, explained
from medcnn.tasks.optimization import LRSchedulerCallable, OptimizerCallable, optimizer_and_schedule
from medcnn.tasks.plain import plain_only

Batch = dict[str, Tensor]


class ClassificationTask(pl.LightningModule):
    """Classes that exclude each other, or findings that may stand together; unknown labels take no part.

    A batch is ``{"image": (B, C, *spatial), "label": ..., "case": int64 (B,)}`` with labels int64 ``(B,)``, -1 unknown,
    or for findings float ``(B, K)``, NaN unknown. ``val/...`` and ``test/...`` are computed once an epoch from every
    case of every process, the loss included, so they do not depend on batches or on the number of processes.

    Args:
        net: Images ``(B, C, *spatial)`` to logits ``(B, K)``.
        loss: Logits and labels to a scalar. With a method ``set_counts`` it is told the training split's counts.
        classes: Names, K of them; of two the second is the finding.
        multilabel: Whether several findings may stand together.
        optimizer: From parameter groups to an optimizer.
        scheduler: From an optimizer to a scheduler; steps once an epoch, or as often as its ``interval`` says.
        target_sensitivity: Share of the positives that the stored thresholds should call, in (0, 1].
        decay_all: Also let weight decay act on biases and on the scales of normalization.

    Attributes:
        decision: Temperature and thresholds, chosen anew at every validation epoch of a fit; None before.
        evaluated: Stage to the logits, labels and cases of its last evaluation, on the CPU of every process.
        summaries: Stage to the figures of its last evaluation and the reasons for what is missing.
        run_id: The tracked run that trains this task; "" outside one.
        image_shape: ``(C, *spatial)`` of the images seen; empty before the first.
        data_digest: Digest of the cases it was fitted on.
        trained_on: Pseudonyms of the cases it was fitted on.
    """

    def __init__(
        self,
        net: nn.Module,
        loss: nn.Module,
        classes: Sequence[str],
        multilabel: bool = False,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        scheduler: LRSchedulerCallable | None = None,
        target_sensitivity: float = 0.95,
        decay_all: bool = False,
    ) -> None:
        super().__init__()
        with warnings.catch_warnings():
            # Lightning advises to ignore net and loss here, which would make the file useless without the program.
            warnings.filterwarnings("ignore", message="Attribute .* is an instance of `nn.Module`")
            self.save_hyperparameters()
        self.classes, self.multilabel = _checked_classes(classes, multilabel), multilabel
        if not 0 < target_sensitivity <= 1:
            raise ConfigError(f"target_sensitivity is {target_sensitivity}; give a share above 0 and up to 1, as 0.95")
        self.net: Any = net
        self.loss: Any = loss  # its optional methods set_counts and mass are asked for by name
        self.optimizer, self.scheduler, self.decay_all = optimizer, scheduler, decay_all
        self.target_sensitivity = target_sensitivity
        self.decision: Decision | None = None
        self.evaluated: dict[str, dict[str, Tensor]] = {}
        self.summaries: dict[str, Summary] = {}
        self.run_id, self.data_digest = "", ""
        self.image_shape: tuple[int, ...] = ()
        self.trained_on: tuple[str, ...] = ()
        self._predictions: Any = nn.ModuleDict(
            {stage: Predictions(len(self.classes), multilabel) for stage in ("val", "test")}
        )
        # NaN stays NaN. "disable" would say the same, but makes torchmetrics 1.9 forget the weights.
        self._train_loss = MeanMetric(nan_strategy=float("nan"))
        self._steps: list[tuple[Tensor, Tensor]] = []
        self._seed = 0
        if hasattr(self.loss, "set_counts"):
            # Gives the buffers their final shape, so that a state can be loaded before the data is there.
            count: Any = self.loss.set_counts
            count(torch.ones((len(self.classes), 2) if multilabel else len(self.classes)))

    def forward(self, image: Tensor) -> Tensor:
        """Images ``(B, C, *spatial)`` to logits ``(B, K)``."""
        return self.net(image)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities of logits ``(B, K)``; plain ones while no temperature was fitted."""
        return calibrated(logits, self.decision.temperature if self.decision else 1.0, self.multilabel)

    def on_fit_start(self) -> None:
        """Tell the loss the training split's counts; a resumed training keeps the weights it began with."""
        self._seed = torch.initial_seed()
        self.trained_on = training_cases(getattr(self.trainer, "datamodule", None))
        data: Any = getattr(self.trainer, "datamodule", None)
        if hasattr(data, "describe"):
            self.data_digest = str(data.describe().get("digest", ""))
        if not hasattr(self.loss, "set_counts") or self.trainer.ckpt_path is not None:
            return
        if hasattr(data, "class_counts"):
            self.loss.set_counts(check_counts(data.class_counts("train"), self.classes, self.multilabel))
        elif getattr(self.loss, "rule", None):
            raise ConfigError(
                f"the loss wants {self.loss.rule!r} weights, and {type(data).__name__} has no class_counts; "
                "give a list of weights"
            )

    def on_train_epoch_start(self) -> None:
        """Begin the chance inside the net (dropout) anew: a resumed epoch draws what an uninterrupted one does."""
        torch.manual_seed(self._seed + 1_000_003 * (self.current_epoch + 1) + self.global_rank)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch. Nothing is logged here: a log call costs more than all else around the net."""
        logits = self._logits(batch, batch_idx)
        loss = self.loss(logits, batch["label"])
        self._steps.append((loss.detach(), self._mass(batch["label"])))
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
        """Choose the decision while fitting, and log the figures."""
        self._conclude("val")

    def on_test_epoch_end(self) -> None:
        """Log the figures at the thresholds in the checkpoint."""
        self._conclude("test")

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Case numbers and calibrated probabilities ``(B, K)``."""
        with torch.autocast(self.device.type, enabled=False):
            logits = explained(self.net, batch["image"])
        return {"case": batch["case"], "probabilities": self.probabilities(logits)}

    def configure_optimizers(self) -> Any:
        """The optimizer over parameters that learn, and its schedule."""
        return optimizer_and_schedule(self.net, self.optimizer, self.scheduler, self.decay_all, self.trainer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes the file a product: the decision, and where it comes from; keep plain data only."""
        arguments = {**self.hparams, "classes": list(self.classes), "multilabel": self.multilabel}
        arguments.setdefault("_class_path", f"{type(self).__module__}.{type(self).__qualname__}")
        checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = plain_only(arguments)
        checkpoint["decision"] = self.decision.to_dict() if self.decision else None
        checkpoint["medcnn"] = {
            "version": medcnn.__version__,
            "run_id": self.run_id or "",
            "image_shape": list(self.image_shape),
            "data_digest": self.data_digest,
            "trained_on": list(self.trained_on),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back the decision and the origin."""
        kept = checkpoint.get("decision")
        self.decision = Decision.from_dict(kept) if kept else None
        origin = checkpoint.get("medcnn", {})
        self.run_id, self.data_digest = origin.get("run_id", ""), origin.get("data_digest", "")
        self.image_shape = tuple(origin.get("image_shape", ()))
        self.trained_on = tuple(origin.get("trained_on", ()))

    def _logits(self, batch: Batch, batch_idx: int) -> Tensor:
        logits = explained(self.net, batch["image"])
        if batch_idx == 0:
            # Once an epoch: looking at labels waits for the device.
            check_batch(batch, logits, self.classes, self.multilabel)
            self.image_shape = tuple(batch["image"].shape[1:])
        return logits

    def _mass(self, labels: Tensor) -> Tensor:
        """What a batch's loss counts for in the mean of an epoch."""
        if hasattr(self.loss, "mass"):
            return self.loss.mass(labels)
        return (~labels.isnan()).sum() if labels.is_floating_point() else (labels >= 0).sum()

    def _keep(self, batch: Batch, batch_idx: int, stage: str) -> None:
        # In full precision, as films are scored: half precision ties scores and moves thresholds.
        with torch.autocast(self.device.type, enabled=False):
            logits = self._logits(batch, batch_idx)
        self._predictions[stage].update(logits, batch["label"], batch["case"])

    def _conclude(self, stage: str) -> None:
        metric = self._predictions[stage]
        found = metric.compute()
        metric.reset()
        if self.trainer.sanity_checking:
            return
        self.evaluated[stage] = found
        logits, labels = found["logits"], found["labels"]
        fitting = self.trainer.state.fn == "fit"
        if fitting:
            self.decision = choose_decision(
                logits, labels, self.classes, self.multilabel, self.target_sensitivity, stage
            )
        # While fitting, thresholds were chosen on these very cases: what they give here is told under its own name.
        thresholds = self.decision.thresholds if self.decision and not fitting else None
        summary = summarize(self.probabilities(logits.double()), labels, self.classes, self.multilabel, thresholds)
        self.summaries[stage] = summary
        figures = {"loss": self._loss_of_all(logits, labels), **summary.values}
        if fitting and self.decision:
            figures["specificity_at_target"] = self.decision.mean_specificity
        self._log({f"{stage}/{name}": value for name, value in figures.items()})

    def _loss_of_all(self, logits: Tensor, labels: Tensor) -> Tensor:
        """From all cases at once: a mean of batch means depends on how cases fell into batches. NaN for no label."""
        known = ~labels.isnan() if self.multilabel else labels >= 0
        if not bool(known.any()):
            return torch.tensor(float("nan"), device=self.device)
        return self.loss(logits.to(self.device), labels.to(self.device))

    def _log(self, figures: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            # Every process holds the same figures already: a mean over processes would only add rounding.
            warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
            self.log_dict(figures, on_step=False, on_epoch=True, batch_size=1)


def _checked_classes(classes: Sequence[str], multilabel: bool) -> tuple[str, ...]:
    names = tuple(classes)
    least = 1 if multilabel else 2
    if isinstance(classes, str) or len(names) < least or len(set(names)) < len(names):
        raise ConfigError(f"classes are {classes!r}; expected at least {least} different names")
    return names


def training_cases(data: Any) -> tuple[str, ...]:
    """Pseudonyms of the cases that a data module trains on; none where it names none."""
    cases = getattr(data, "cases", None)
    if cases is None or not {"case", "split"} <= set(cases):
        return ()
    return tuple(cases.loc[cases["split"] == "train", "case"])
