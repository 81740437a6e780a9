"""MLflow's client for a training: a store that fails costs neither the training nor what it records."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import medcnn.tracking.environment  # noqa: F401  # isort: skip
from mlflow.entities import DatasetInput, LoggedModelInput, Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from medcnn.errors import TrackingError
from medcnn.tracking.outbox import FAILURES, Call, Outbox, batch, first_line, replay

_log = logging.getLogger("medcnn.tracking")
# MLflow itself tries for up to half a minute, in which the training waits.
_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 600.0


class BufferedClient(MlflowClient):
    """Keeps in an outbox what cannot be sent, and sends it once the store answers again.

    Calls arrive in their order. Where ``outbox`` is None (no run is open yet) an error is raised as MLflow does.
    Everything that writes into a run is built by MLflow from the methods below: texts, dictionaries and images are
    artifacts.
    """

    outbox: Outbox | None = None
    _pause = _PAUSE_S
    _next_try = 0.0

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
        synchronous: bool | None = None,
    ) -> None:
        """Log metrics, parameters and tags."""
        self._send(
            Call("log_batch", run_id, batch(metrics, params, tags)),
            lambda: MlflowClient.log_batch(self, run_id, metrics, params, tags, synchronous),
        )

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> None:
        """Set one tag."""
        self._send(
            Call("log_batch", run_id, batch(tags=[RunTag(key, str(value))])),
            lambda: MlflowClient.set_tag(self, run_id, key, value, synchronous),
        )

    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[DatasetInput] | None = None,
        models: Sequence[LoggedModelInput] | None = None,
    ) -> None:
        """Log the data of a run."""
        entries = [
            {
                "dataset": entry.dataset.to_dictionary(),
                "tags": [{"key": tag.key, "value": tag.value} for tag in entry.tags],
            }
            for entry in datasets or ()
        ]
        self._send(
            Call("log_inputs", run_id, {"datasets": entries}),
            lambda: MlflowClient.log_inputs(self, run_id, datasets, models),
        )

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        """Log a file."""
        self._send(
            Call("log_artifact", run_id, {"artifact_path": artifact_path}, Path(local_path)),
            lambda: MlflowClient.log_artifact(self, run_id, local_path, artifact_path),
        )

    def log_artifacts(self, run_id: str, local_dir: str, artifact_path: str | None = None) -> None:
        """Log a folder."""
        self._send(
            Call("log_artifacts", run_id, {"artifact_path": artifact_path}, Path(local_dir)),
            lambda: MlflowClient.log_artifacts(self, run_id, local_dir, artifact_path),
        )

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        """End a run, at the time of this call."""
        end_time = end_time or int(time.time() * 1000)
        self._send(
            Call("set_terminated", run_id, {"status": status, "end_time": end_time}),
            lambda: MlflowClient.set_terminated(self, run_id, status, end_time),
        )

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        """Change the status or the name of a run."""
        self._send(
            Call("update_run", run_id, {"status": status, "name": name}),
            lambda: MlflowClient.update_run(self, run_id, status, name),
        )

    def keep(self, call: Call, error: BaseException | None = None) -> bool:
        """Keep a call that failed with ``error``; returns whether there is an outbox to keep it in."""
        if self.outbox is None:
            return False
        first = not self.outbox and not self.outbox.lost
        kept = self.outbox.add(call)
        if error is not None:
            self._next_try = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
        if first:
            reason = "" if error is None else f" ({first_line(error)})"
            where = f"kept in {self.outbox.folder} until it does" if kept else "lost: it cannot be kept on this disk"
            _log.warning("the store does not take what the run records%s; the rest of the record is %s", reason, where)
        return True

    def flush(self) -> bool:
        """Try to send what waits; returns whether nothing waits any more."""
        if not self.outbox:
            return True
        try:
            _, refused = replay(self, self.outbox)
        except (*FAILURES, TrackingError) as error:
            _log.debug("still unsent: %s", error)
            self._next_try = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
            return False
        self._pause = _PAUSE_S
        _log.warning("the store takes what the run records again; what was kept is sent")
        if refused:
            _log.warning("%d entries were refused by the store; they are in %s", refused, self.outbox.folder)
        return True

    def _send(self, call: Call, directly: Callable[[], object]) -> None:
        if self.outbox and (time.monotonic() < self._next_try or not self.flush()):
            self.keep(call)
            return
        try:
            directly()
        except FAILURES as error:
            if not self.keep(call, error):
                raise
