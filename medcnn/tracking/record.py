"""What a run records beside its metrics: the data it saw, where it looked, and what it got right and wrong."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image

from medcnn.report.intervals import auroc_intervals, interval_ends
from medcnn.report.outcome import Outcome
from medcnn.tracking.datasets import log_datasets
from medcnn.tracking.examined import PARTS, Part, examine
from medcnn.tracking.logger import RunLogger
from medcnn.tracking.looks import looks_at_fixed_cases
from medcnn.tracking.notes import NOTE, describe_run
from medcnn.tracking.outbox import FAILURES, tolerating
from medcnn.tracking.results import outcome_of, write_results
from medcnn.tracking.scrub import scrub, scrub_yaml
from medcnn.tracking.segmented import overlays_of_fixed_cases, scores_of, write_scores
from medcnn.tracking.surroundings import describe_code, describe_machine, describe_packages
from medcnn.yaml_reader import load_yaml

# What can be told of a task is told by what it offers: the first of these that finds what it needs.
LOOKS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("overlay_val", overlays_of_fixed_cases),
    ("grad_cam_val", looks_at_fixed_cases),
)
RESULTS: tuple[tuple[Callable[..., Any], Callable[..., None]], ...] = (
    (scores_of, write_scores),
    (outcome_of, write_results),
)
#: Pictures of an evaluation that also go into MLflow's image grid, where runs stand side by side.
COMPARED = ("roc", "confusion", "reliability", "most_confident_wrong", "dice", "worst_cases")


class RunRecord(pl.Callback):
    """Fills the MLflow run so that a training can be judged and repeated from it alone.

    Parts of the data module and the task are used where they are there: ``describe``, ``fixed_cases`` and ``cases``;
    ``evaluated``, ``decision``, ``probabilities`` or ``predict``, and ``classes``.

    Args:
        cam_every: Epochs from one look at the fixed validation cases to the next, the first epoch being one of them;
            0 for none. A classifier's Grad-CAM is drawn, a segmentation's masks.
        cases: Fixed validation cases to look at; as many of the most confidently right and wrong ones are shown, or of
            the best and the worst.
        examine: What a test looks into beside its figures; an empty list for nothing. Each part is told under
            ``test/``, or in ``test/examination.json`` why it could not be.
    """

    def __init__(self, cam_every: int = 10, cases: int = 8, examine: Sequence[Part] = PARTS) -> None:
        self.cam_every, self.cases, self.examine = cam_every, cases, tuple(examine)
        #: The composed configuration as YAML, given before a training starts by whoever composed it. Where there is
        #: one, `log_decision` is expected after the training and draws the figures.
        self.config_text: str | None = None
        #: Takes a line before each part of an examination.
        self.tell: Callable[[str], object] = logging.getLogger("medcnn.tracking").info
        self._decision_follows = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Tell the logger whether epochs count, and that the configuration is logged from here."""
        logger = run_logger(trainer)
        if logger is not None:
            logger.evaluating = stage != "fit"
            logger.config_follows = True

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the configuration, the data and the surroundings."""
        self._decision_follows = self.config_text is not None
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
            with tolerating("the pictures of this epoch"):
                self._look(trainer, pl_module, trainer.current_epoch)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the validation figures of an evaluation of its own; those of a fit are drawn when it is over."""
        if trainer.state.fn == "validate" and not self._decision_follows:
            self.log_results(trainer, pl_module, "val")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the validation figures, unless the best checkpoint is evaluated once more after this."""
        if not self._decision_follows:
            self.log_results(trainer, pl_module, "val")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the test figures, and look into what they do not tell."""
        found = self.log_results(trainer, pl_module, "test")
        logger = run_logger(trainer)
        if logger is None or found is None or not self.examine:
            return
        with tolerating("the examination"), tempfile.TemporaryDirectory() as folder:
            figures = examine(Path(folder), trainer, pl_module, found, self.examine, self.tell)
            logger.experiment.log_artifacts(logger.run_id, folder, "test")
            logger.log_metrics(figures)

    def log_decision(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the decision, and the figures of the best model on the validation cases at the thresholds just chosen."""
        self._decision_follows = False
        logger, decision = run_logger(trainer), getattr(pl_module, "decision", None)
        if logger is None:
            return
        with tolerating("the decision and its pictures"):
            if decision is not None:
                logger.experiment.log_dict(logger.run_id, scrub(decision.to_dict()), "decision.json")
            self._look(trainer, pl_module, logger.evaluation_step)
        self.log_results(trainer, pl_module, "val")

    def log_results(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> Any:
        """Log the figures of an evaluation, the tables behind them under ``stage/``, and a description of the run.

        The intervals join the figures of the trainer, tracked or not, so that whoever says these can say those.

        Returns:
            What the evaluation found, as one of ``RESULTS`` reads it; None where there is nothing to tell.
        """
        if not trainer.is_global_zero:
            return None
        for read, write in RESULTS:
            found = read(trainer, pl_module, stage)
            if found is not None:
                ends = self._add_intervals(trainer, found, stage)
                if (logger := run_logger(trainer)) is not None:
                    logger.log_metrics(ends)
                    with tolerating(f"the tables of {stage}"), tempfile.TemporaryDirectory() as folder:
                        write(Path(folder), trainer, pl_module, found, stage, self.cases)
                        logger.experiment.log_artifacts(logger.run_id, folder, stage)
                        _log_compared(logger, Path(folder), stage)
                    logger.log_tags({NOTE: describe_run(trainer, pl_module, stage, str(logger.run_id))})
                return found
        return None

    def _add_intervals(self, trainer: pl.Trainer, found: Any, stage: str) -> dict[str, float]:
        if not isinstance(found, Outcome):
            return {}
        ends = {f"{stage}/{name}": value for name, value in interval_ends(auroc_intervals(found)).items()}
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in ends.items()})
        return ends

    def _log_config(self, logger: RunLogger, pl_module: pl.LightningModule) -> None:
        if self.config_text is None:
            logger.log_config(dict(pl_module.hparams))
            return
        scrubbed = scrub_yaml(self.config_text)
        logger.log_config(load_yaml(scrubbed) or {})
        _keep_earlier_config(logger, scrubbed)
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


def _keep_earlier_config(logger: RunLogger, text: str) -> None:
    """Keep the configuration of the epochs before a resume under a name of its own, where the new one differs."""
    client, run_id = logger.experiment, str(logger.run_id)
    try:
        if "config.yaml" not in {entry.path for entry in client.list_artifacts(run_id)}:
            return
        with tempfile.TemporaryDirectory() as folder:
            earlier = Path(client.download_artifacts(run_id, "config.yaml", folder)).read_text("utf-8")
    except FAILURES:  # a store that does not answer does not end a training
        return
    if earlier != text:
        client.log_text(run_id, earlier, f"config_until_epoch_{logger.evaluation_step + 1}.yaml")


def _log_compared(logger: RunLogger, folder: Path, stage: str) -> None:
    for name in COMPARED:
        path = folder / f"{name}.png"
        if path.is_file():
            picture = np.asarray(Image.open(path).convert("RGB"))
            logger.experiment.log_image(logger.run_id, picture, key=f"{stage}_{name}", step=logger.evaluation_step)


def run_logger(trainer: pl.Trainer) -> RunLogger | None:
    """The run's logger on rank zero, None elsewhere or where nothing is tracked."""
    found: list[Any] = [logger for logger in trainer.loggers if isinstance(logger, RunLogger)]
    return found[0] if found and trainer.is_global_zero else None
