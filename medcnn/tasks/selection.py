"""Which epoch is kept and when training stops: by a metric that is a number, ties decided by the loss."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import callbacks
from pytorch_lightning.utilities.rank_zero import rank_zero_info
from torch import Tensor

from medcnn.errors import ConfigError

LOSS = "val/loss"
#: Metrics of which less is better; of all others more is.
FALLING = ("loss", "brier", "hd95_mm", "volume_error", "ece")
#: In place of a mode: the one that follows from the metric.
BY_METRIC = "by metric"


def mode_of(monitor: str) -> str:
    """Whether a metric is better at its "max" or its "min"; of one class (``val/brier/effusion``) as of all."""
    return "min" if any(part in FALLING for part in monitor.split("/")) else "max"


def resolved_mode(monitor: str, mode: str, key: str) -> str:
    """The mode to watch a metric in.

    Args:
        monitor: Name of the metric.
        mode: As configured, or ``BY_METRIC``.
        key: Of the part whose mode it is, for the error.

    Raises:
        ConfigError: The mode would keep the worst epoch.
    """
    if mode == BY_METRIC:
        return mode_of(monitor)
    if mode == "max" and mode_of(monitor) == "min":
        raise ConfigError(f"{key}.mode is max, and {monitor} is better when it is lower: leave {key}.mode out")
    return mode


class BestCheckpoint(callbacks.ModelCheckpoint):
    """Keep the best epochs by a metric: a value that is not finite never wins, and ties go to the lower loss.

    Where the metric is finite in no epoch, as with one class in validation, the loss alone decides, and ``by_loss`` is
    true.

    Lightning's keeps the first epoch when the metric is NaN, and the first of those that tie.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best so far, as far as its files are still there."""
        super().load_state_dict(state_dict)
        known: dict[str, Any] = self.best_k_models
        scores: Any = {
            path: tuple(score)
            for path, score in known.items()
            if isinstance(score, tuple | list) and Path(path).is_file()
        }
        self.best_k_models = scores
        if self.best_k_models:
            self._rank()
        elif self.monitor is not None:
            self.best_model_path, self.kth_best_model_path, self.best_model_score = "", "", None

    @property
    def by_loss(self) -> bool:
        """Whether the monitored metric was finite in no epoch kept, so that the loss decided."""
        score = self.best_k_models.get(self.best_model_path)
        return score is not None and not math.isfinite(score[0])

    @property
    def best_score(self) -> tuple[float, float]:
        """The metric and the loss of the best epoch, NaN where they are not known."""
        score: Any = self.best_k_models.get(self.best_model_path)
        if score is None:
            return math.nan, math.nan
        sign = -1 if self.mode == "max" else 1
        return tuple(value if math.isfinite(value) else math.nan for value in (score[0], sign * score[1]))  # type: ignore[return-value]

    def _save_monitor_checkpoint(self, trainer: pl.Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        assert self.monitor
        if self.monitor not in monitor_candidates:
            return
        rank: Any = self._rank_of(monitor_candidates)
        if not self.check_monitor_top_k(trainer, rank):
            return
        verbose, self.verbose = self.verbose, False  # Lightning's line takes a single number
        self._update_best_and_save(rank, trainer, monitor_candidates)
        self.verbose = verbose
        self._rank()
        if verbose:
            rank_zero_info(f"epoch {trainer.current_epoch + 1}: {self.monitor} {rank[0]:.5f}, saved")

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Any = None) -> bool:
        """Whether an epoch is among the best: metric first, then loss."""
        if current is None:
            return False
        if self.save_top_k == -1 or len(self.best_k_models) < self.save_top_k:
            return True
        worst: Any = self.best_k_models[self.kth_best_model_path]
        better = current > worst if self.mode == "max" else current < worst
        return trainer.strategy.reduce_boolean_decision(bool(better))

    def _rank_of(self, metrics: Mapping[str, Any]) -> tuple[float, float]:
        """Metric and loss as a pair that compares as they should, in this mode; what is not finite ranks last."""
        worst = -math.inf if self.mode == "max" else math.inf
        score, loss = (float(metrics.get(str(name), math.nan)) for name in (self.monitor, LOSS))
        signed = -loss if self.mode == "max" else loss
        return tuple(value if math.isfinite(value) else worst for value in (score, signed))  # type: ignore[return-value]

    def _rank(self) -> None:
        """Name the best and the worst of those that are kept."""
        best, worst = (max, min) if self.mode == "max" else (min, max)
        scores: dict[str, Any] = dict(self.best_k_models)
        self.best_model_path = best(scores, key=scores.__getitem__)
        self.kth_best_model_path = worst(scores, key=scores.__getitem__)
        self.best_model_score, self.kth_value = scores[self.best_model_path], scores[self.kth_best_model_path]


class MetricEarlyStopping(callbacks.EarlyStopping):
    """Stop when a metric no longer improves; its settings are those of the command, also when training is resumed.

    While the metric has not been finite in any validation, the loss is watched in its place. Lightning's restores the
    patience of the checkpoint, and takes infinity for an improvement.
    """

    best_loss: float = math.inf

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Check after a validation where validation comes by the clock: Lightning's expects a number of batches."""
        if self._check_on_train_epoch_end is None and not hasattr(trainer, "val_check_interval"):
            self._check_on_train_epoch_end = False
        super().setup(trainer, pl_module, stage)

    def state_dict(self) -> dict[str, Any]:
        """Add the loss that was watched in place of the metric."""
        return super().state_dict() | {"best_loss": self.best_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what was seen; patience stays as configured, and nothing has stopped yet."""
        patience = self.patience
        super().load_state_dict(state_dict)
        self.best_loss = float(state_dict.get("best_loss", math.inf))
        self.patience, self.stopped_epoch = patience, 0
        self.stopping_reason = callbacks.early_stopping.EarlyStoppingReason.NOT_STOPPED
        self.stopping_reason_message = None

    def _run_early_stopping_check(self, trainer: pl.Trainer) -> None:
        metrics = trainer.callback_metrics
        if self.monitor.startswith("val/") and not trainer.fit_loop.epoch_loop.val_loop._has_run:
            return  # not validated, or not yet
        if self.monitor not in metrics and self.strict and not getattr(trainer, "fast_dev_run", False):
            raise ConfigError(
                f"early_stopping.monitor is {self.monitor}, which this task does not log; it logs "
                f"{', '.join(sorted(name for name in metrics if '/' in name))}"
            )
        self._loss = float(metrics.get(LOSS, math.nan))
        super()._run_early_stopping_check(trainer)

    def _evaluate_stopping_criteria(self, current: Tensor) -> tuple[bool, str | None]:
        if self.check_finite or bool(torch.isfinite(current)):
            return super()._evaluate_stopping_criteria(current)
        if not bool(torch.isfinite(self.best_score)) and self._loss < self.best_loss:
            self.best_loss, self.wait_count = self._loss, 0
            return False, None
        self.wait_count += 1
        if self.wait_count < self.patience:
            return False, None
        self.stopping_reason = callbacks.early_stopping.EarlyStoppingReason.PATIENCE_EXHAUSTED
        return True, f"{self.monitor} was not finite, and {LOSS} had not fallen for {self.wait_count}"
