"""The run in MLflow: opened once, never left running, and holding nothing personal."""

import atexit
import logging
import re
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from time import time
from typing import Any

import medcnn.tracking.environment  # noqa: F401  # isort: skip
from mlflow.entities import LifecycleStage, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, MAX_PARAM_VAL_LENGTH, MAX_TAG_VAL_LENGTH
from pytorch_lightning.loggers import MLFlowLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from torch import Tensor

from medcnn import __version__
from medcnn.errors import TrackingError
from medcnn.tracking.buffered_client import BufferedClient
from medcnn.tracking.outbox import FAILURES, UNSENT, Outbox, first_line
from medcnn.tracking.scrub import scrub, scrub_text
from medcnn.tracking.store import experiment_id, open_store, sqlite_file, store_uri

# What one request to MLflow may hold.
_METRICS_A_BATCH = 1000
_PARAMS_A_BATCH = 100
# By these the store answers that there is no such run; anything else is no answer.
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_log = logging.getLogger("medcnn.tracking")
_CUT = " ... (cut; whole in config.yaml)"


class RunLogger(MLFlowLogger):
    """Writes a training into one MLflow run; given ``run_id``, continues that run.

    Metrics logged once an epoch stand at their epoch, not at a count of batches that no reader knows.

    A store that stops answering while the run is open does not end the training: what cannot be sent is kept in
    ``checkpoints/ID/unsent`` and sent later, at the latest by `medcnn sync`.

    Args:
        experiment: Name of the experiment; created if missing.
        run_name: Name of a new run; the experiment and the time by default (a name drawn by MLflow repeats with
            the seed).
        tracking_uri: The store; ``MLFLOW_TRACKING_URI`` at the time of the run by default, else ``mlflow.db`` in
            the working directory.
        run_id: A run to write on into.
        tags: Tags of the run.

    Raises:
        TrackingError: If the store does not open, or has no run ``run_id``.
    """

    def __init__(
        self,
        experiment: str = "medcnn",
        run_name: str | None = None,
        tracking_uri: str | None = None,
        run_id: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        open_store(tracking_uri)
        uri = store_uri(tracking_uri)
        super().__init__(experiment, run_name, uri, tags, None, run_id=run_id)
        self._client = self._mlflow_client = BufferedClient(tracking_uri=uri, registry_uri=uri)
        #: Whether a composed configuration is logged by others, so that Lightning's hyper-parameters are not.
        self.config_follows = False
        #: The last epoch that was validated: metrics of an evaluation outside training stand there.
        self.evaluation_step = 0
        #: Whether what comes is an evaluation outside training, whose own count of epochs starts at zero.
        self.evaluating = False

    @property
    @rank_zero_experiment
    def experiment(self) -> BufferedClient:
        """MLflow's client, after the run was opened; a stand-in that does nothing on ranks above zero."""
        if not self._initialized:
            self._initialized = True
            run = self._open()
            self._run_id, self._experiment_id = run.info.run_id, run.info.experiment_id
            self._client.outbox = Outbox(Path("checkpoints", run.info.run_id, UNSENT).absolute())
            self._client.flush()  # what an earlier process left
            atexit.register(self._close_at_exit)
        return self._client

    def continue_run(self, run_id: str) -> bool:
        """Write on into the run that made a checkpoint.

        Returns:
            Whether the store has that run. Where it does not (the model came from elsewhere, or the run is deleted) a
            new run is opened and tagged with it.

        Raises:
            TrackingError: If the store does not answer.
        """
        try:
            deleted = self._client.get_run(run_id).info.lifecycle_stage == LifecycleStage.DELETED
        except FAILURES as error:
            if getattr(error, "error_code", "") not in _ABSENT:
                raise self._unanswered(error) from error
            deleted, absent = False, True
        else:
            absent = False
        if deleted:
            _log.warning("run %s is deleted: a new run is opened, which names it in medcnn.made_by_run", run_id)
        if deleted or absent:
            self.tags = {**(self.tags or {}), "medcnn.made_by_run": run_id}
            return False
        self._run_id, self._initialized = run_id, False
        return True

    def _open(self) -> Run:
        try:
            return self._start() if self._run_id is None else self._continue(self._run_id)
        except FAILURES as error:
            raise self._unanswered(error) from error

    def _unanswered(self, error: BaseException) -> TrackingError:
        return TrackingError(
            f"the store {self._tracking_uri} does not answer as expected ({first_line(error)}); start its server, make "
            "room on its disk, or name another store in MLFLOW_TRACKING_URI"
        )

    def _start(self) -> Run:
        name = self._run_name or f"{self._experiment_name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
        # MLflow's own context (account, script, working directory) is not asked: it names people.
        tags = scrub(self.tags or {}) | {MLFLOW_RUN_NAME: scrub_text(name), "medcnn.version": __version__}
        return self._client.create_run(experiment_id(self._client, self._experiment_name), tags=tags)

    def _continue(self, run_id: str) -> Run:
        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in _ABSENT:
                raise
            raise TrackingError(
                f"no run {run_id} in {self._tracking_uri}; `medcnn ui` lists the runs, and MLFLOW_TRACKING_URI names "
                "the store"
            ) from error
        if run.info.lifecycle_stage == LifecycleStage.DELETED:
            raise TrackingError(f"run {run_id} is deleted; restore it (`mlflow runs restore`), or name another run")
        self._client.update_run(run_id, status="RUNNING")
        self.evaluation_step = max((m.step for m in run.data._metric_objs if m.key.startswith("val/")), default=0)
        self._write_tags(self.tags or {})
        return run

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Log what Lightning saved as hyper-parameters, unless the whole configuration follows."""
        if not self.config_follows:
            self.log_config(vars(params) if isinstance(params, Namespace) else params)

    @rank_zero_only
    def log_config(self, config: Mapping[str, Any]) -> None:
        """Log a composed configuration as flat parameters named as on the command line.

        A parameter that differs from what the run holds (it was resumed with other settings) is kept as it was, and a
        tag ``drift.<name>`` lists its values in the order in which they were used.
        """
        wanted = {_key(name): _cut(value, MAX_PARAM_VAL_LENGTH) for name, value in flatten(scrub(config)).items()}
        client = self.experiment
        try:
            data = client.get_run(self._run_id).data
            held, tags = data.params, data.tags
        except FAILURES:  # what is written next meets the same and is kept
            held, tags = {}, {}
        for batch in _batches((Param(k, v) for k, v in wanted.items() if k not in held), _PARAMS_A_BATCH):
            client.log_batch(self._run_id, params=batch)
        used = {k: tags.get(f"drift.{k}", held[k]) for k in wanted if k in held}
        self._write_tags(
            {f"drift.{k}": f"{v} -> {wanted[k]}" for k, v in used.items() if v.rsplit(" -> ", 1)[-1] != wanted[k]}
        )

    @rank_zero_only
    def log_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags of the run, scrubbed."""
        _ = self.experiment
        self._write_tags(tags)

    def _write_tags(self, tags: Mapping[str, Any]) -> None:
        assert self._run_id is not None
        ready = (RunTag(_key(name), _cut(scrub(value, name), MAX_TAG_VAL_LENGTH)) for name, value in tags.items())
        for batch in _batches(ready, _PARAMS_A_BATCH):
            self._client.log_batch(self._run_id, tags=batch)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log numbers: at their epoch where Lightning names one, at ``step`` otherwise."""
        now = int(time() * 1000)
        epoch = metrics.get("epoch")
        ready = [
            Metric(_key(_shown(name)), float(value), now, self._step(name, epoch, step))
            for name, value in metrics.items()
            if name != "epoch" and not isinstance(value, str)
        ]
        steps = [metric.step for metric in ready if metric.key.startswith("val/")]
        self.evaluation_step = max([self.evaluation_step, *steps])
        for batch in _batches(ready, _METRICS_A_BATCH):
            self.experiment.log_batch(self._run_id, metrics=batch)

    def _step(self, name: str, epoch: float | Tensor | None, step: int | None) -> int:
        if name.startswith("test/"):
            return 0  # a test has no course in time: MLflow lays runs beside each other as bars
        if self.evaluating:
            return self.evaluation_step
        return int(epoch) if epoch is not None and not name.endswith("_step") else step or 0

    @rank_zero_only
    def finalize(self, status: str = "success") -> None:
        """End the run: FINISHED, FAILED, or KILLED where a user or the scheduler stopped it."""
        if not self._initialized or self._run_id is None:
            return
        stopped = isinstance(sys.exc_info()[1], KeyboardInterrupt | SystemExit)
        ended = "FINISHED" if status in ("success", "finished") else "KILLED" if stopped else "FAILED"
        self._client.set_terminated(self._run_id, ended)
        self._client.flush()
        atexit.unregister(self._close_at_exit)
        atexit.unregister(self._report_unsent)
        atexit.register(self._report_unsent)

    def _close_at_exit(self) -> None:
        """A process that leaves between two stages must not leave its run running."""
        if self._client.outbox:
            self._client.set_terminated(str(self._run_id), "KILLED")
            self._report_unsent()
            return
        database = sqlite_file(self._client.tracking_uri)
        if database is not None and not database.exists():
            return  # with its file the run is gone, too
        try:
            if self._run_id is not None and self._client.get_run(self._run_id).info.status == "RUNNING":
                self._client.set_terminated(self._run_id, "KILLED")
        except FAILURES:  # at this point all that is left is to say so
            _log.warning("run %s still stands as running: its store was gone at the end", self._run_id)

    def _report_unsent(self) -> None:
        outbox = self._client.outbox
        if outbox is None:
            return
        if waiting := len(outbox):
            place = outbox.folder.parent.parent
            _log.warning(
                "%d entries of run %s are not in the store but in %s; when the store answers again, send them with: "
                "medcnn sync --folder %s", waiting, self._run_id, outbox.folder, place
            )  # fmt: skip
        if outbox.lost:
            _log.warning("%d entries of run %s are lost: neither store nor disk took them", outbox.lost, self._run_id)


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings, and lists that hold mappings, as one level of dotted names."""
    if isinstance(value, Mapping) and value:
        pairs: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list | tuple) and any(isinstance(inner, Mapping) for inner in value):
        pairs = enumerate(value)
    else:
        return {prefix: value} if prefix else {}
    flat: dict[str, Any] = {}
    for name, inner in pairs:
        flat |= flatten(inner, f"{prefix}.{name}" if prefix else str(name))
    return flat


def _shown(name: str) -> str:
    """Rates of learning beside the losses they belong to: a name without a slash would head every page."""
    return f"train/{name}" if name.startswith("lr-") else name


def _key(name: str) -> str:
    """A name MLflow accepts."""
    return re.sub(r"[^\w/. -]+", "_", name, flags=re.ASCII)[:MAX_ENTITY_KEY_LENGTH]


def _cut(value: Any, limit: int) -> str:
    text = str(value)
    return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT


def _batches(entries: Iterable[Any], size: int) -> Iterable[list[Any]]:
    iterator = iter(entries)
    while batch := list(islice(iterator, size)):
        yield batch
