"""A run found again by what people call it, as plain facts and files; and a report put into it."""

import atexit
import json
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import medcnn.tracking.environment  # noqa: F401  # isort: skip
from mlflow.entities import LifecycleStage, Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.tracking import MlflowClient

from medcnn.errors import TrackingError
from medcnn.report.facts import RunFacts
from medcnn.report.intervals import Estimate  # tracking knows metrics through report alone
from medcnn.tracking.learning import CURVE_TAG
from medcnn.tracking.models import fetch
from medcnn.tracking.notes import NOTE, scrubbed_lines
from medcnn.tracking.store import open_store
from medcnn.yaml_reader import YamlError, load_yaml

#: The newest run that ended well; points of a learning curve only where there is no other.
LAST = "last"
REPORT = "report"
# What a report reads of a run; pictures of epochs stay where they are.
_WANTED = ("config.yaml", "data.json", "decision.json", "val", "test")
_SHORTEST = 4
_AT_ONCE = 20
_PREFIX = re.compile(r"[0-9a-f]+")


def fetch_run(uri: str, tracking_uri: str | None = None) -> RunFacts:
    """What the store holds of a run, with its artifacts as files.

    Those of a local store are read where they lie; from elsewhere they are downloaded for as long as this process
    lives. ``model`` holds what the logged product says of itself; its digest and its parameters are for somebody who
    can open it, for tracking knows no tasks.

    Args:
        uri: ``runs:/ID``, an ID or the unambiguous beginning of one, ``last``, or ``models:/name@alias``.
        tracking_uri: The store; as for ``open_store``.

    Raises:
        TrackingError: If the store has no such run, or several begin so.
    """
    client = open_store(tracking_uri)
    run = find_run(client, uri)
    folder = _files_of(client, run)
    return RunFacts(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        experiment=client.get_experiment(run.info.experiment_id).name,
        started=datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds"),
        status=run.info.status,
        tags=dict(run.data.tags),
        metrics=dict(run.data.metrics),
        config=_read(folder / "config.yaml", load_yaml),
        data=_read(folder / "data.json", json.loads),
        decision=_read(folder / "decision.json", json.loads),
        model=_model_of(run.info.run_id, tracking_uri),
        folder=folder,
    )


def log_report(
    run_id: str,
    folder: Path,
    headline: Mapping[str, Estimate],
    note: str,
    tracking_uri: str | None = None,
    name: str = REPORT,
) -> None:
    """Put a report into its run: its files in place of a former one's, its first figures as metrics, a description.

    A report of other cases than those of the test goes under a name of its own, and leaves what the report of the test
    said: its files, its metrics and, where there is one, the description.

    Args:
        run_id: Of the run that was judged.
        folder: What is to lie under ``name``.
        headline: Name to figure: ``report/<name>``, and ``report_interval/<name>_low`` and ``_high`` where it has one;
            under another ``name`` that in place of ``report``.
        note: Markdown; what looks like a place or a person is taken out, line by line.
        tracking_uri: The store; as for ``open_store``.
        name: ``report``, or ``report_val`` for one of validation cases.

    Raises:
        TrackingError: If the store has no such run or refuses the files.
    """
    client = open_store(tracking_uri)
    try:
        run = client.get_run(run_id)
        repository = _repository(client, run)
        there = {entry.path for entry in repository.list_artifacts()}
        if name in there:
            repository.delete_artifacts(name)
        client.log_artifacts(run_id, str(folder), name)
        client.log_batch(run_id, metrics=_metrics(headline, name))
        if name == REPORT or REPORT not in there:
            client.set_tag(run_id, NOTE, "\n".join(scrubbed_lines([line or " " for line in note.splitlines()])))
    except (MlflowException, OSError) as error:
        raise TrackingError(f"the report of run {run_id} was not logged: {_first_line(error)}") from error


def find_run(client: MlflowClient, uri: str) -> Run:
    """The run that a name stands for; see ``fetch_run``.

    Raises:
        TrackingError: If there is none, or several, or it is deleted.
    """
    run = _found(client, uri)
    if run.info.lifecycle_stage == LifecycleStage.DELETED:
        raise TrackingError(f"run {run.info.run_id} is deleted; restore it in MLflow (`mlflow runs restore`)")
    return run


def _found(client: MlflowClient, uri: str) -> Run:
    name = uri.removeprefix("runs:/").strip("/").split("/")[0] if not uri.startswith("models:/") else uri
    try:
        if name == LAST:
            return _newest(client)
        if name.startswith("models:/"):
            return client.get_run(_run_of_model(client, name))
        if _SHORTEST <= len(name) < 32 and _PREFIX.fullmatch(name):
            return _beginning_with(client, name)
        return client.get_run(name)
    except MlflowException as error:
        raise TrackingError(
            f"no run {name or uri!r} in {client.tracking_uri}: {_first_line(error)}; expected runs:/ID, the beginning "
            f"of an ID, {LAST} or models:/name@alias; `medcnn ui` lists the runs, and MLFLOW_TRACKING_URI names the "
            "store"
        ) from error


def _newest(client: MlflowClient) -> Run:
    first = None
    for run in _ended(client):
        if not _of_curve_alone(run):
            return run
        first = first or run
    if first is None:
        raise TrackingError(f"no run has ended in {client.tracking_uri}: train with `medcnn fit` first")
    return first


def _ended(client: MlflowClient) -> Iterator[Run]:
    """Runs of medcnn that ended well, the newest first; a few at a time, since each brings all its parameters."""
    # A store may hold runs of other programs, which have nothing that could be read here.
    ours, token = "attributes.status = 'FINISHED' and tags.`medcnn.version` LIKE '%'", None
    while True:
        found = client.search_runs(_experiments(client), ours, max_results=_AT_ONCE, page_token=token)
        yield from found
        token = found.token
        if not token:
            return


def _of_curve_alone(run: Run) -> bool:
    """Whether a run is a point of a learning curve that nobody tested: it must not stand before somebody's model."""
    return CURVE_TAG in run.data.tags and not any(name.startswith("test/") for name in run.data.metrics)


def _beginning_with(client: MlflowClient, beginning: str) -> Run:
    found = client.search_runs(_experiments(client), f"attributes.run_id LIKE '{beginning}%'", max_results=6)
    if len(found) == 1:
        return found[0]
    if not found:
        raise TrackingError(f"no run in {client.tracking_uri} begins with {beginning}; `medcnn ui` lists the runs")
    shown = ", ".join(run.info.run_id[: len(beginning) + 6] for run in found)
    raise TrackingError(f"several runs begin with {beginning}: {shown}; give more of the ID")


def _experiments(client: MlflowClient) -> list[str]:
    return [experiment.experiment_id for experiment in client.search_experiments()]


def _run_of_model(client: MlflowClient, uri: str) -> str:
    name = uri.removeprefix("models:/").strip("/")
    if name.startswith("m-") and "/" not in name:
        return str(client.get_logged_model(name).source_run_id)
    model, at, alias = name.partition("@")
    if at:
        return str(client.get_model_version_by_alias(model, alias).run_id)
    model, _, number = name.rpartition("/")
    if not model or not number.isdigit():
        raise TrackingError(f"'{uri}' names no version; expected models:/name@alias or models:/name/3")
    return str(client.get_model_version(model, number).run_id)


def _repository(client: MlflowClient, run: Run) -> ArtifactRepository:
    return get_artifact_repository(run.info.artifact_uri, client.tracking_uri, client.tracking_uri)


def _files_of(client: MlflowClient, run: Run) -> Path:
    """The folder of a run's artifacts, downloaded first where it lies elsewhere."""
    repository = _repository(client, run)
    if isinstance(repository, LocalArtifactRepository):
        return Path(repository.artifact_dir)
    folder = Path(tempfile.mkdtemp(prefix="medcnn-run-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        for entry in repository.list_artifacts():
            if entry.path in _WANTED:
                repository.download_artifacts(entry.path, str(folder))
    except (MlflowException, OSError) as error:
        raise TrackingError(f"the files of run {run.info.run_id} do not arrive: {_first_line(error)}") from error
    return folder


def _read(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """What a file of a run says; nothing where there is none, or it is not what medcnn wrote."""
    try:
        found = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, YamlError):
        return {}
    return found if isinstance(found, dict) else {}


def _model_of(run_id: str, tracking_uri: str | None) -> dict[str, Any]:
    """What the product that a run logged says of itself; nothing where it logged none."""
    try:
        described = _read(fetch(f"runs:/{run_id}", tracking_uri) / "product.json", json.loads)
    except TrackingError:  # a run of a test alone, or one that broke off
        return {}
    task = described.get("task")
    task = task if isinstance(task, Mapping) else {}
    kept = ("classes", "multilabel", "preprocess", "provenance", "decision")
    arguments = task.get("init_args")
    net = arguments.get("net") if isinstance(arguments, Mapping) else None
    paths = {"task": task.get("class_path", ""), "net": net.get("class_path", "") if isinstance(net, Mapping) else ""}
    return paths | {name: described[name] for name in kept if name in described}


def _metrics(headline: Mapping[str, Estimate], report: str = REPORT) -> list[Metric]:
    """At step 0, where MLflow lays runs beside each other as bars; ends of intervals have a section of their own."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    found = []
    for name, estimate in headline.items():
        # As the other metrics are written: report/calibration_error beside test/brier.
        key = re.sub(r"[^0-9a-z/.-]+", "_", name.lower())
        found.append(Metric(f"{report}/{key}", float(estimate.value), now, 0))
        if not math.isnan(estimate.low + estimate.high):
            for end, value in (("low", estimate.low), ("high", estimate.high)):
                found.append(Metric(f"{report}_interval/{key}_{end}", float(value), now, 0))
    return found


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
