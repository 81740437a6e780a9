"""What a run records beside its metrics: the data it saw, where it looked, and what it got right and wrong."""

from typing import Any

import pytorch_lightning as pl

from medcnn.tracking.logger import RunLogger
from medcnn.tracking.surroundings import describe_code, describe_machine, describe_packages


class RunRecord(pl.Callback):
    """Fills the MLflow run so that the training can be judged and repeated from it alone.

    Args:
        cam_every: Epochs between two looks at the fixed validation cases; 0 for none. The first epoch is always one.
        cases: Fixed validation cases to look at, and most confidently right and wrong cases to show.
    """

    def __init__(self, cam_every: int = 5, cases: int = 8) -> None:
        self.cam_every, self.cases = cam_every, cases
        #: The composed configuration as YAML; set before a training starts.
        self.config_text: str | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Tell the logger whether epochs count."""
        logger = run_logger(trainer)
        if logger is not None:
            logger.evaluating = stage != "fit"

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the configuration, the data and the surroundings."""
        logger = run_logger(trainer)
        if logger is not None:
            logger.log_tags(describe_code() | describe_packages() | describe_machine(trainer))

    def log_decision(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the figures of the best model on the validation cases, at the thresholds just chosen."""


def run_logger(trainer: pl.Trainer) -> RunLogger | None:
    """The run's logger on rank zero, None elsewhere or where nothing is tracked."""
    found: list[Any] = [logger for logger in trainer.loggers if isinstance(logger, RunLogger)]
    return found[0] if found and trainer.is_global_zero else None
