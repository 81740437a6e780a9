"""Calls to a store that did not answer, kept as files in the order of the calls until it does."""

import json
import logging
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import medcnn.tracking.environment  # noqa: F401  # isort: skip
from mlflow.entities import Dataset, DatasetInput, InputTag, LifecycleStage, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from medcnn.errors import TrackingError
from medcnn.files import DRAFT_PREFIX, write_atomic
from medcnn.printable import printable

#: What a store that is away, full, locked, damaged or refusing raises; errors of requests are OSErrors.
FAILURES = (MlflowException, OSError, SQLAlchemyError, sqlite3.Error)
#: Folder of a run's unsent calls, next to its checkpoints.
UNSENT = "unsent"
_REFUSED = "refused_"
_log = logging.getLogger("medcnn.tracking")


class Call(NamedTuple):
    """One call: a method of MLflow's client, or ``log_product``.

    Attributes:
        method: Its name.
        run_id: Of the run that it is about.
        arguments: The rest, as JSON can hold it.
        files: A file or a folder that goes with it.
    """

    method: str
    run_id: str
    arguments: dict[str, Any]
    files: Path | None = None


class Outbox:
    """A folder of calls, oldest first. Nothing is created before the first call is added.

    Args:
        folder: Where the calls are; the folder of the run's checkpoints is a good place.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: How many calls could not be kept either, for want of space or permission.
        self.lost = 0

    def __len__(self) -> int:
        return len(self._entries())

    def add(self, call: Call) -> bool:
        """Keep a call, with a copy of its files; returns whether that was possible."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            number = max((int(entry.name.removeprefix(_REFUSED)) for entry in self._folders()), default=0) + 1
            draft = self.folder / f"{DRAFT_PREFIX}{number}"
            shutil.rmtree(draft, ignore_errors=True)
            try:
                self._write(draft, call)
                draft.rename(self.folder / f"{number:06d}")
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        except OSError:
            self.lost += 1
            return False
        return True

    def calls(self) -> Iterator[tuple[Path, Call]]:
        """Read the calls that wait, each with its folder.

        Raises:
            TrackingError: If one cannot be read.
        """
        for entry in self._entries():
            try:
                found = json.loads((entry / "call.json").read_text(encoding="utf-8"))
                files = next(iter((entry / "files").iterdir()), None) if (entry / "files").is_dir() else None
                call = Call(str(found["method"]), str(found["run_id"]), dict(found["arguments"]), files)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise TrackingError(
                    f"{printable(entry)} does not hold an unsent call ({printable(error, 80)}); remove that folder"
                ) from error
            yield entry, call

    def remove(self, entry: Path) -> None:
        """Forget a call that was sent, and the folder with the last one."""
        shutil.rmtree(entry, ignore_errors=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def set_aside(self, entry: Path) -> None:
        """Keep a call that the store refuses, without trying it again."""
        entry.rename(entry.with_name(f"{_REFUSED}{entry.name}"))

    @staticmethod
    def _write(draft: Path, call: Call) -> None:
        draft.mkdir(mode=0o700)
        if call.files is not None:
            copy = draft / "files" / call.files.name
            copy.parent.mkdir()
            if call.files.is_dir():
                shutil.copytree(call.files, copy)
            else:
                shutil.copyfile(call.files, copy)
        text = json.dumps({"method": call.method, "run_id": call.run_id, "arguments": call.arguments})
        write_atomic(draft / "call.json", lambda path: path.write_text(text, encoding="utf-8"))

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [entry for entry in self.folder.iterdir() if entry.name.removeprefix(_REFUSED).isdecimal()]

    def _entries(self) -> list[Path]:
        return sorted(entry for entry in self._folders() if entry.name.isdecimal())


def send(client: MlflowClient, call: Call) -> None:
    """Make a call now.

    Raises:
        MlflowException: Or another of ``FAILURES``: it did not succeed.
    """
    arguments = call.arguments
    if call.method == "log_batch":
        MlflowClient.log_batch(client, call.run_id, *_entities(arguments))
    elif call.method == "log_inputs":
        MlflowClient.log_inputs(client, call.run_id, [_dataset(entry) for entry in arguments["datasets"]])
    elif call.method in ("log_artifact", "log_artifacts"):
        getattr(MlflowClient, call.method)(client, call.run_id, str(call.files), arguments["artifact_path"])
    elif call.method in ("set_terminated", "update_run"):
        getattr(MlflowClient, call.method)(client, call.run_id, **arguments)
    elif call.method == "log_product" and call.files is not None:
        from medcnn.tracking.models import send_product  # it imports what imports this module

        send_product(client, call.run_id, call.files, **arguments)
    else:
        raise TrackingError(f"an unsent call to '{printable(call.method, 40)}' is none of medcnn's; remove it")


def replay(client: MlflowClient, outbox: Outbox) -> tuple[int, int]:
    """Send what waits, oldest first, until the store fails.

    A call that the store refuses although it answers and its run is active is set aside.

    Returns:
        How many were sent, and how many were set aside.

    Raises:
        MlflowException: Or another of ``FAILURES``: the store does not answer; the rest still waits.
    """
    sent = refused = 0
    for entry, call in outbox.calls():
        try:
            send(client, call)
        except FAILURES:
            if client.get_run(call.run_id).info.lifecycle_stage == LifecycleStage.DELETED:
                raise
            outbox.set_aside(entry)
            refused += 1
        else:
            outbox.remove(entry)
            sent += 1
    return sent, refused


def batch(
    metrics: Sequence[Metric] = (), params: Sequence[Param] = (), tags: Sequence[RunTag] = ()
) -> dict[str, list[list[Any]]]:
    """The arguments of ``log_batch`` as JSON can hold them."""
    return {
        "metrics": [[metric.key, metric.value, metric.timestamp, metric.step] for metric in metrics],
        "params": [[param.key, param.value] for param in params],
        "tags": [[tag.key, tag.value] for tag in tags],
    }


def _entities(arguments: Mapping[str, list[list[Any]]]) -> tuple[list[Metric], list[Param], list[RunTag]]:
    return (
        [Metric(*values) for values in arguments["metrics"]],
        [Param(*values) for values in arguments["params"]],
        [RunTag(*values) for values in arguments["tags"]],
    )


def _dataset(entry: Mapping[str, Any]) -> DatasetInput:
    return DatasetInput(Dataset(**entry["dataset"]), [InputTag(**tag) for tag in entry["tags"]])


@contextmanager
def tolerating(what: str) -> Iterator[None]:
    """Leave out a part of the record that the folder for temporary files has no room for."""
    try:
        yield
    except OSError as error:
        _log.warning("%s: not recorded (%s)", what, first_line(error))


def first_line(error: BaseException) -> str:
    """The first line of an error's message, safe for a terminal; its type where it has none."""
    return printable(str(error).splitlines()[0] if str(error) else type(error).__name__, 300)
