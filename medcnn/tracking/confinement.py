"""MLflow's server confined to the artifacts of one store: no request makes it read or write elsewhere.

An experiment, a model version or a trace names a location for its artifacts, and MLflow's server reads and writes there
with the rights of whoever started it. Every way to a file leads through the registry of artifact repositories, so
locations are checked there, those that a database already holds included.
"""

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import medcnn.tracking.environment  # noqa: F401  # isort: skip
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.server import handlers
from mlflow.store.artifact import artifact_repository_registry
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import get_uri_scheme

from medcnn.tracking.store import ARTIFACTS, PENDING, make_relative, sqlite_file

#: Folders next to the store: medcnn's, and the one that MLflow chooses by itself.
ROOTS = (ARTIFACTS, "mlruns")
# They name a run or a model, whose own location is checked when it is resolved.
_INDIRECT = ("runs", "models")


def confine(folder: Path) -> None:
    """Hold MLflow's server in this process to the artifacts in ``folder``.

    Args:
        folder: Where the store is, and the working directory of this process.
    """
    roots = tuple((folder / name).resolve() for name in ROOTS)

    class Confined(LocalArtifactRepository):
        """Local artifacts of this store."""

        def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
            check_location(artifact_uri, roots, allow_root=True)
            super().__init__(artifact_uri, tracking_uri, registry_uri)

    class Tracking(TrackingStore):
        """The store's experiments and runs, none of them with artifacts elsewhere."""

        def create_experiment(self, name: str, artifact_location: str | None = None, tags: Any = None) -> str:
            if artifact_location:
                check_location(artifact_location, roots)
            created = super().create_experiment(name, artifact_location, tags)
            if (database := sqlite_file(self.db_uri)) is not None:
                make_relative(database)
            return str(created)

        def create_run(self, experiment_id: str, *args: Any, **kwargs: Any) -> Any:
            check_location(self.get_experiment(experiment_id).artifact_location, roots)
            return super().create_run(experiment_id, *args, **kwargs)

    class Registry(RegistryStore):
        """The store's models, none of them from elsewhere."""

        def create_model_version(self, name: str, source: str, *args: Any, **kwargs: Any) -> Any:
            if get_uri_scheme(source) not in _INDIRECT:
                check_location(source, roots)
            return super().create_model_version(name, source, *args, **kwargs)

    registry = artifact_repository_registry._artifact_repository_registry
    for scheme in registry.get_registered_artifact_repositories():
        if scheme not in _INDIRECT:
            registry.register(scheme, Confined if scheme in ("", "file") else _refuse)
    for engine in DATABASE_ENGINES:
        handlers._tracking_store_registry.register(
            engine, lambda store_uri, artifact_uri: Tracking(store_uri, _default_root(store_uri))
        )
        handlers._model_registry_store_registry.register(engine, lambda store_uri: Registry(store_uri))


def check_location(location: str, roots: tuple[Path, ...], *, allow_root: bool = False) -> None:
    """Refuse a location for artifacts outside of ``roots``, links resolved.

    Args:
        location: As a database or a request holds it; a relative one counts from the working directory.
        roots: Resolved folders.
        allow_root: Accept a root itself, not only what is in it.

    Raises:
        MlflowException: If it leads elsewhere (PERMISSION_DENIED, which the server answers as 403).
    """
    scheme = get_uri_scheme(location)
    if scheme == "mlflow-artifacts":
        # Served from the first root, by a path that MLflow takes from the location.
        location, allow_root = f"{ARTIFACTS}/{location.partition(':')[2].lstrip('/')}", True
    elif scheme not in ("", "file"):
        _refuse(location)
    try:
        # Some readers decode what others take literally: both must stay inside.
        places = {Path(local_file_uri_to_path(form)).resolve() for form in _decoded(location)}
    except (ValueError, OSError, RuntimeError):
        _refuse(location)
    for place in places:
        if not any(root in place.parents or (allow_root and place == root) for root in roots):
            _refuse(location)


def _decoded(location: str) -> list[str]:
    forms = [location]
    while (plain := unquote(forms[-1])) != forms[-1]:
        forms.append(plain)
    return forms


def _default_root(uri: str) -> str:
    return ARTIFACTS if sqlite_file(uri) is None else PENDING


def _refuse(location: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> Any:
    raise MlflowException(
        f"artifacts outside of the store are refused; expected a folder in {' or '.join(ROOTS)} next to the store",
        error_code=PERMISSION_DENIED,
    )
