"""What a run records beside its metrics: the data it saw, where it looked, and what it got right and wrong."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml

from medcnn.tracking.datasets import log_datasets
from medcnn.tracking.logger import RunLogger
from medcnn.tracking.looks import looks_at_fixed_cases
from medcnn.tracking.results import outcome_of, write_results
from medcnn.tracking.scrub import scrub, scrub_yaml
from medcnn.tracking.segmented import overlays_of_fixed_cases, scores_of, write_scores
from medcnn.tracking.surroundings import describe_code, describe_machine, describe_packages

# What can be told of a task is told by what it offers: the first of these that finds what it needs.
LOOKS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("overlay_val", overlays_of_fixed_cases),
    ("grad_cam_val", looks_at_fixed_cases),
)
RESULTS: tuple[tuple[Callable[..., Any], Callable[..., None]], ...] = (
    (scores_of, write_scores),
    (outcome_of, write_results),
)


class RunRecord(pl.Callback):
    """Fills the MLflow run so that a training can be judged and repeated from it alone.

    Parts of the data module and the task are used where they are there: ``describe``, ``fixed_cases`` and ``cases``;
    ``evaluated``, ``decision``, ``probabilities`` or ``predict``, and ``classes``.

    Args:
        cam_every: Epochs from one look at the fixed validation cases to the next, the first epoch being one of them;
            0 for none. A classifier's Grad-CAM is drawn, a segmentation's masks.
        cases: Fixed validation cases to look at; as many of the most confidently right and wrong ones are shown, or of
            the best and the worst.
    """

    def __init__(self, cam_every: int = 10, cases: int = 8) -> None:
        self.cam_every, self.cases = cam_every, cases
        #: The composed configuration as YAML, given before a training starts by whoever composed it. Where there is
        #: one, `log_decision` is expected after the training and draws the figures.
        self.config_text: str | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Tell the logger whether epochs count, and that the configuration is logged from here."""
        logger = run_logger(trainer)
        if logger is not None:
            logger.evaluating = stage != "fit"
            logger.config_follows = True

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the configuration, the data and the surroundings."""
        logger = run_logger(trainer)
        if logger is None:
            return
        self._log_config(logger, pl_module)
        logger.log_tags(describe_code() | describe_packages() | describe_machine(trainer))
        if hasattr(trainer.datamodule, "describe"):  # type: ignore[attr-defined]
            log_datasets(logger, trainer.datamodule)  # type: ignore[attr-defined]

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the fixed cases, with the weights that are validated (averaged ones, where they are averaged)."""
        if trainer.sanity_checking or not self.cam_every or trainer.state.fn != "fit":
            return
        if trainer.current_epoch % self.cam_every == 0:
            self._look(trainer, pl_module, trainer.current_epoch)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the validation figures, unless the best checkpoint is evaluated once more after this."""
        if self.config_text is None:
            self.log_results(trainer, pl_module, "val")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the test figures."""
        self.log_results(trainer, pl_module, "test")

    def log_decision(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the decision, and the figures of the best model on the validation cases at the thresholds just chosen."""
        logger, decision = run_logger(trainer), getattr(pl_module, "decision", None)
        if logger is None:
            return
        if decision is not None:
            logger.experiment.log_dict(logger.run_id, scrub(decision.to_dict()), "decision.json")
        self._look(trainer, pl_module, logger.evaluation_step)
        self.log_results(trainer, pl_module, "val")

    def log_results(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Log the figures of an evaluation and the tables behind them under ``stage/``."""
        logger = run_logger(trainer)
        if logger is None:
            return
        for read, write in RESULTS:
            found = read(trainer, pl_module, stage)
            if found is not None:
                with tempfile.TemporaryDirectory() as folder:
                    write(Path(folder), trainer, pl_module, found, stage, self.cases)
                    logger.experiment.log_artifacts(logger.run_id, folder, stage)
                return

    def _log_config(self, logger: RunLogger, pl_module: pl.LightningModule) -> None:
        if self.config_text is None:
            logger.log_config(dict(pl_module.hparams))
            return
        scrubbed = scrub_yaml(self.config_text)
        logger.log_config(yaml.safe_load(scrubbed) or {})
        logger.experiment.log_text(logger.run_id, scrubbed, "config.yaml")

    def _look(self, trainer: pl.Trainer, pl_module: pl.LightningModule, epoch: int) -> None:
        logger = run_logger(trainer)
        if logger is None:
            return
        for name, look in LOOKS:
            picture = look(trainer, pl_module, self.cases, epoch)
            if picture is not None:
                logger.experiment.log_image(logger.run_id, picture, key=name, step=epoch)
                return


def run_logger(trainer: pl.Trainer) -> RunLogger | None:
    """The run's logger on rank zero, None elsewhere or where nothing is tracked."""
    found: list[Any] = [logger for logger in trainer.loggers if isinstance(logger, RunLogger)]
    return found[0] if found and trainer.is_global_zero else None
