"""Where runs are kept: which store, made once for all processes, with artifacts addressed from beside it.

MLflow writes the absolute path of the working directory into every experiment and run of a local store. Paths carry
user and patient names, and a folder that is moved loses its artifacts. Here a local store holds relative locations,
which the client and ``mlflow server`` both resolve.
"""

import fcntl
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import medcnn.tracking.environment  # noqa: F401  # isort: skip
from mlflow.exceptions import MlflowException
from mlflow.store.artifact import artifact_repository_registry
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from medcnn.errors import TrackingError

DEFAULT_STORE = "sqlite:///mlflow.db"
ARTIFACTS = "mlartifacts"
_SQLITE = "sqlite:///"
# A location MLflow does not resolve against the working directory; it stands only until it is replaced.
PENDING = "mlflow-artifacts:/pending"
# Without it MLflow's page asks every reader whether this is about language models, and hides the charts until told.
_KIND = {"mlflow.experimentKind": "custom_model_development"}


class BesideTheStore(LocalArtifactRepository):
    """Local artifacts whose relative location counts from the folder of the sqlite file, wherever the process runs."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        database = sqlite_file(tracking_uri or "")
        if database is not None and not Path(self._artifact_dir).is_absolute():
            self._artifact_dir = str(database.parent / self._artifact_dir)


artifact_repository_registry._artifact_repository_registry.register("", BesideTheStore)


def store_uri(given: str | None = None) -> str:
    """The store to use: ``given``, else ``MLFLOW_TRACKING_URI`` as it is now, else a sqlite file in this folder.

    A sqlite file is named from the root: MLflow keeps connections by address, and a relative one would mean another
    file after a change of folder.
    """
    uri = given or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE
    database = sqlite_file(uri)
    return uri if database is None else f"{_SQLITE}{database}"


def sqlite_file(uri: str) -> Path | None:
    """The file behind a sqlite URI, None for any other store."""
    return Path(uri.removeprefix(_SQLITE).split("?")[0]).absolute() if uri.startswith(_SQLITE) else None


def open_store(given: str | None = None) -> MlflowClient:
    """A client of the store, which is created first where it is a sqlite file that is not there yet.

    Raises:
        TrackingError: If the store is of a kind MLflow no longer keeps, or does not open.
    """
    uri = store_uri(given)
    try:
        database = sqlite_file(uri)
        if database is not None:
            _create(database)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        if database is None:
            client.search_experiments(max_results=1)  # does anybody answer? Better known before a training than in it.
        return client
    except (MlflowException, OSError, sqlite3.Error, SQLAlchemyError) as error:
        if "://" not in uri:
            raise TrackingError(f"the store {uri} is a path; expected an address, such as sqlite:///{uri}") from error
        first_line = str(error).splitlines()[0]
        raise TrackingError(
            f"the store {uri} does not open ({first_line}); start its server, or give another address (sqlite:///, "
            "postgresql:// or http://) in MLFLOW_TRACKING_URI"
        ) from error


def experiment_id(client: MlflowClient, name: str) -> str:
    """The experiment called ``name``, created if it is not there, with relative artifacts in a local store.

    Raises:
        TrackingError: If the experiment lies in MLflow's bin.
    """
    database = sqlite_file(client.tracking_uri)
    known = client.get_experiment_by_name(name)
    if known is None:
        try:
            client.create_experiment(name, artifact_location=None if database is None else PENDING, tags=_KIND)
        except MlflowException as error:
            # Another process was faster: its experiment serves.
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        known = client.get_experiment_by_name(name)
    if known is None:
        raise TrackingError(f"experiment {name!r} was created and is not there; look at the store with `medcnn ui`")
    if known.lifecycle_stage == "deleted":
        raise TrackingError(f"experiment {name!r} is deleted; restore it in MLflow or choose another name")
    if database is not None and known.artifact_location.startswith(PENDING):
        make_relative(database)
    return str(known.experiment_id)


def _create(database: Path) -> None:
    """Build the tables once and show them complete: of four processes that migrate a fresh file, three fail."""
    if database.exists():
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    draft = database.with_name(f"{database.name}.new")
    # For the owner alone: radiographs and whatever is known about them. MLflow's files get the mode of the database.
    with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if database.exists():
            draft.unlink(missing_ok=True)
            return
        held.truncate(0)  # what a killed process left
        SqlAlchemyStore(f"{_SQLITE}{draft}", PENDING).engine.dispose()
        make_relative(draft)
        draft.replace(database)
    (database.parent / ARTIFACTS).mkdir(mode=0o700, exist_ok=True)


def make_relative(database: Path) -> None:
    """Give experiments that have no place for artifacts one beside the store."""
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.execute(
            "UPDATE experiments SET artifact_location = ? || '/' || experiment_id WHERE artifact_location LIKE ?",
            (ARTIFACTS, f"{PENDING}%"),
        )
