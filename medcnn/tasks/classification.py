"""Training and evaluation of a classifier: procedure only; net, loss and optimizer are given."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from medcnn.errors import ConfigError
from medcnn.metrics.classification import summarize
from medcnn.metrics.predictions import Predictions
from medcnn.tasks.base import Batch, CaseTask, checked_classes
from medcnn.tasks.decision import Decision, calibrated, choose_decision
from medcnn.tasks.fit_of_parts import check_batch, explained
from medcnn.tasks.optimization import LRSchedulerCallable, OptimizerCallable

_log = logging.getLogger("medcnn.tasks")
#: Images in every pass of ``answer``. A processor is as fast with one, and needs no padding.
IMAGES_PER_PASS = {"cpu": 1}
IMAGES_PER_PASS_ON_DEVICE = 16


class ClassificationTask(CaseTask):
    """Classes that exclude each other, or findings that may stand together; unknown labels take no part.

    A batch is ``{"image": (B, C, *spatial), "label": ..., "case": int64 (B,)}`` with labels int64 ``(B,)``, -1 unknown,
    or for findings float ``(B, K)``, NaN unknown. ``val/...`` and ``test/...`` are computed once an epoch from every
    case of every process, the loss included, so they do not depend on batches or on the number of processes. What is
    ``evaluated`` are the logits, labels and cases; the ``decision`` is chosen anew at every validation epoch of a fit.

    Args:
        net: Images ``(B, C, *spatial)`` to logits ``(B, K)``.
        loss: Logits and labels to a scalar. With a method ``set_counts`` it is told the training split's counts.
        classes: Names, K of them; of two the second is the finding.
        multilabel: Whether several findings may stand together.
        optimizer: From parameter groups to an optimizer.
        scheduler: From an optimizer to a scheduler; steps once an epoch, or as often as its ``interval`` says.
        target_sensitivity: Share of the positives that the stored thresholds should call, in (0, 1].
        decay_all: Also let weight decay act on biases and on the scales of normalization.
    """

    monitor = "val/auroc"
    headline = (
        "auroc", "average_precision", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "brier",
    )  # fmt: skip
    target = "label"

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
        names = checked_classes(classes, least=1 if multilabel else 2)
        super().__init__(net, loss, names, optimizer, scheduler, decay_all)
        if not 0 < target_sensitivity <= 1:
            raise ConfigError(f"target_sensitivity is {target_sensitivity}; give a share above 0 and up to 1, as 0.95")
        self.multilabel, self.target_sensitivity = multilabel, target_sensitivity
        self._predictions: Any = nn.ModuleDict(
            {stage: Predictions(len(self.classes), multilabel) for stage in ("val", "test")}
        )
        self._shape_loss()

    def on_fit_start(self) -> None:
        """Prepare as every task does, and warn where validation lacks a class: no metric compares its epochs then."""
        super().on_fit_start()
        data: Any = getattr(self.trainer, "datamodule", None)
        if hasattr(data, "class_counts") and self.trainer.is_global_zero and self.trainer.limit_val_batches != 0:
            for line in _missing_in_validation(data.class_counts("val"), self.classes, self.multilabel):
                _log.warning("%s", line)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities of logits ``(B, K)``; plain ones while no temperature was fitted."""
        return calibrated(logits, self.decision.temperature if self.decision else 1.0, self.multilabel)

    def answer(self, images: Tensor) -> Tensor:
        """Compute calibrated probabilities ``(B, K)`` of prepared images ``(B, C, *spatial)``.

        The net takes a fixed number of images per pass, so that an image has one probability whatever it is given
        with: kernels, and with them the last digits, depend on the number.
        """
        return self.probabilities(_logits(self.net, images))

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Case numbers and calibrated probabilities ``(B, K)``."""
        with torch.autocast(self.device.type, enabled=False):
            return {"case": batch["case"], "probabilities": self.answer(batch["image"])}

    def columns(self, predicted: Mapping[str, Tensor]) -> dict[str, Any]:
        """A probability for each class, and the call."""
        shares = predicted["probabilities"].float()
        called = (self.decision or Decision()).call(shares, self.classes, self.multilabel)
        return dict(zip(self.classes, shares.numpy().T, strict=True)) | {"call": called}

    def _arguments(self) -> dict[str, Any]:
        return super()._arguments() | {"multilabel": self.multilabel}

    def _check(self, batch: Batch, logits: Any) -> None:
        check_batch(batch, logits, self.classes, self.multilabel)

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


def _logits(net: nn.Module, images: Tensor) -> Tensor:
    """Logits of images in passes of one fixed size; the last pass is padded with zeros."""
    size = IMAGES_PER_PASS.get(images.device.type, IMAGES_PER_PASS_ON_DEVICE)
    passes = []
    for part in images.split(size):
        padding = part.new_zeros((size - len(part), *part.shape[1:]))
        passes.append(explained(net, torch.cat([part, padding]) if len(padding) else part)[: len(part)])
    return torch.cat(passes) if passes else explained(net, images)


def _missing_in_validation(counts: Tensor, classes: Sequence[str], multilabel: bool) -> list[str]:
    """A line for each class without a case, and for each finding that all cases have or none has."""
    if multilabel:
        lacking = [
            f"no case {way} {name}"
            for name, row in zip(classes, counts.tolist(), strict=True)
            for way, number in zip(("without", "with"), row, strict=True)
            if not number
        ]
    else:
        lacking = [f"no case of {name}" for name, number in zip(classes, counts.tolist(), strict=True) if not number]
    what = "the mean leaves it out" if multilabel or len(classes) > 2 else "val/loss chooses the epoch"
    return [f"validation has {line}: no AUROC can be computed for it; {what}" for line in lacking]
