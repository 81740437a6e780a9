"""How a training ended: when and why it stopped, and which of its epochs is kept."""

import math
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, Timer
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason

from medcnn.tasks.archive import read_checkpoint
from medcnn.tasks.selection import LOSS, BestCheckpoint


class Ending(NamedTuple):
    """Read right after a fit: an evaluation of the best checkpoint brings back the callbacks' state of that epoch.

    Attributes:
        stopped: When and why the training stopped, in one line.
        kept: Which epoch is kept, and what it reached; "" where none is.
        unscored: Why no metric decided, where the loss had to; "" otherwise.
    """

    stopped: str
    kept: str
    unscored: str


def ending_of(trainer: pl.Trainer) -> Ending:
    """How the fit of this trainer ended."""
    best = trainer.checkpoint_callback
    path = getattr(best, "best_model_path", "")
    kept, unscored = "", ""
    if path and isinstance(best, BestCheckpoint) and Path(path).is_file():
        score, loss = best.best_score
        epoch = f"epoch {read_checkpoint(Path(path))['epoch'] + 1}{_of(trainer)}"
        figures = [f"{name} {value:.4f}" for name, value in ((best.monitor, score), (LOSS, loss)) if value == value]
        kept = f"{epoch}: {', '.join(dict.fromkeys(figures))}" if best.monitor else epoch
        if best.by_loss:
            by = f"{LOSS} chose the epoch" if math.isfinite(loss) else "the first epoch was kept"
            unscored = f"{best.monitor} was not a number in any epoch, so {by}"
    return Ending(stopped_by(trainer), kept, unscored)


def stopped_by(trainer: pl.Trainer) -> str:
    """When and why a fit stopped, in one line."""
    head = f"after epoch {trainer.current_epoch}{_of(trainer)}"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, EarlyStopping) and callback.stopping_reason != EarlyStoppingReason.NOT_STOPPED:
            return f"{head}: {_of_early_stopping(callback, trainer)}"
    steps = trainer.max_steps
    if steps != -1 and trainer.global_step >= steps:
        return f"{head}, step {trainer.global_step}: trainer.max_steps is {steps}"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timer) and (callback.time_remaining() or 0) <= 0:
            return f"{head}: trainer.max_time was used up"
    if trainer.max_epochs is not None and trainer.current_epoch >= trainer.max_epochs >= 0:
        return f"{head}, the last"
    return head


def _of_early_stopping(callback: EarlyStopping, trainer: pl.Trainer) -> str:
    monitor, reason = callback.monitor, callback.stopping_reason
    if reason == EarlyStoppingReason.STOPPING_THRESHOLD:
        return f"{monitor} reached {callback.stopping_threshold:g}"
    if reason == EarlyStoppingReason.DIVERGENCE_THRESHOLD:
        return f"{monitor} was worse than {callback.divergence_threshold:g}"
    if reason == EarlyStoppingReason.NON_FINITE_METRIC:
        return f"{monitor} was not finite"
    once_an_epoch = trainer.check_val_every_n_epoch == 1 and getattr(trainer, "val_check_interval", None) == 1.0
    every = "" if once_an_epoch else " validations"
    if not math.isfinite(float(callback.best_score)):
        return f"{monitor} was never finite, and {LOSS} had not fallen for {callback.wait_count}{every}"
    way = "risen" if callback.mode == "max" else "fallen"
    return f"{monitor} had not {way} for {callback.wait_count}{every}"


def _of(trainer: pl.Trainer) -> str:
    return f" of {trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
