"""What a fit keeps: refused beforehand where it would keep nothing, and told where it ended without a model."""

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from medcnn.errors import ConfigError


def check_kept(trainer: pl.Trainer, register: str | None) -> None:
    """Refuse a fit that would end without a model.

    Where validation comes late on purpose, as in a run of one step, and where the best is told by a figure of the
    training, nothing is refused.

    Args:
        trainer: Before its fit.
        register: Name that the best model is to be registered under.

    Raises:
        ConfigError: No epoch of the run ends in a validation; or a model is to be registered, and there will be none
            or no store for it.
    """
    if register and not trainer.loggers:
        raise ConfigError("--register needs the store of runs: leave out --trainer.logger false, or --register")
    chosen = trainer.checkpoint_callback
    if (
        not isinstance(chosen, ModelCheckpoint)
        or not str(chosen.monitor).startswith("val/")
        or getattr(trainer, "fast_dev_run", False)
    ):
        return
    if trainer.limit_val_batches == 0:
        if register:
            raise ConfigError(
                "limit_val_batches is 0: without validation there is no best model to register; leave --register out"
            )
        return
    epochs, every = trainer.max_epochs, trainer.check_val_every_n_epoch
    # Without epochs the end is told by steps or hours, and without `every` validation comes by steps.
    if epochs is not None and every is not None and 0 < epochs < every:
        raise ConfigError(
            f"{epochs} epochs, validation every {every}: nothing would be validated or kept; "
            "set --trainer.check_val_every_n_epoch"
        )


def last_of(trainer: pl.Trainer) -> Path | None:
    """The checkpoint that this run wrote after its last whole epoch; None where there is none yet."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.filename == "last" and callback.best_model_path:
            path = Path(callback.best_model_path)
            # Relative, as the folder was given: the absolute one names the user.
            return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return None


def way_on(trainer: pl.Trainer) -> str:
    """What a stopped fit can be continued with."""
    last = last_of(trainer)
    if last is None:
        return "stopped before the first checkpoint: start again"
    return f"stopped; the same command goes on with --ckpt_path {last}"


def tell_no_model(trainer: pl.Trainer, register: str | None) -> None:
    """Print that no best model was kept, why, and what there is instead.

    Raises:
        ConfigError: A model was to be registered.
    """
    last = last_of(trainer)
    words = f"no best model was kept: {_why_none(trainer)}"
    words += f"; {last} holds the last epoch, to go on from" if last else ""
    if register:
        raise ConfigError(f"{words}; nothing was registered as {register}")
    print(f"{words}; nothing was registered")


def _why_none(trainer: pl.Trainer) -> str:
    if getattr(trainer, "fast_dev_run", False):
        return "trainer.fast_dev_run only tries whether everything runs"
    if not trainer.checkpoint_callbacks:
        return "trainer.enable_checkpointing is false"
    if trainer.global_step == 0:
        return "nothing was trained"
    if "val/loss" not in trainer.callback_metrics:
        return "nothing was validated"
    if getattr(trainer.checkpoint_callback, "save_top_k", 1) == 0:
        return "checkpoint.save_top_k is 0"
    return "validation gave no metric to choose by"
