"""A run's one best model: logged without a pickle, registered on request, fetched back by name."""

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import medcnn.tracking.environment  # noqa: F401  # isort: skip
import numpy as np
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import save_model
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from medcnn import __version__
from medcnn.errors import TrackingError
from medcnn.tracking.outbox import FAILURES, Call
from medcnn.tracking.store import open_store

if TYPE_CHECKING:
    from medcnn.tracking.logger import RunLogger

NAME = "best"
PRODUCT = "product"
#: What the model needs to run again, at the versions it was made with.
REQUIREMENTS = ("torch", "monai", "numpy", "safetensors", "mlflow")

# The model as code: nothing in the artifact is unpickled, and nothing is imported before the weights are asked for.
_CODE = '''"""A medcnn model for MLflow: images in, probabilities out; those of a segmentation at every voxel."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np


class MedcnnModel(mlflow.pyfunc.PythonModel):
    """Scores preprocessed images ``(n, channels, *spatial)``."""

    def load_context(self, context: Any) -> None:
        from medcnn.tasks.checkpoint import open_product

        self.task = open_product(Path(context.artifacts["product"])).build_task()

    def predict(self, context: Any, model_input: np.ndarray, params: dict | None = None) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self.task.answer(torch.as_tensor(model_input)).float().numpy()


mlflow.models.set_model(MedcnnModel())
'''


class Logged(NamedTuple):
    """A model's MLflow id, and the number of its version where it was registered."""

    model_id: str
    version: str | None = None


def log_product(
    logger: "RunLogger", folder: Path, register: str | None = None, alias: str | None = "champion"
) -> Logged | None:
    """Log a product folder as the run's best model; one that the run logged before gives way.

    Args:
        logger: Of the run that made it.
        folder: What ``Product.to_folder`` wrote: weights and ``product.json``.
        register: Name in the model registry, None to leave it out.
        alias: Points to the registered version from now on.

    Returns:
        Where it is now; None on ranks above zero, and where the store does not answer and the model is kept until it
        does.

    Raises:
        TrackingError: If the store refuses the model or the name.
    """
    client, run_id = logger.experiment, logger.run_id
    if run_id is None:
        return None
    if not (folder / "product.json").is_file():
        raise TrackingError(f"no product.json in {folder.name}; give a folder that Product.to_folder wrote")
    arguments: dict[str, Any] = {"step": logger.evaluation_step, "register": register, "alias": alias}
    call = Call("log_product", run_id, arguments, folder)
    if not client.flush() and client.keep(call):
        return None
    try:
        return send_product(client, run_id, folder, **arguments)
    except FAILURES as error:
        # A name that the registry refuses is the user's to change; a store that fails gets the model later.
        if getattr(error, "error_code", "") != "INVALID_PARAMETER_VALUE" and client.keep(call, error):
            return None
        raise TrackingError(f"the model of run {run_id} was not logged: {_first_line(error)}") from error


def send_product(
    client: MlflowClient, run_id: str, folder: Path, step: int, register: str | None, alias: str | None
) -> Logged:
    """Log a product folder as the best model of a run, and delete the one that it had.

    Raises:
        MlflowException: Or another of ``FAILURES``, if the store does not take it.
    """
    experiment = client.get_run(run_id).info.experiment_id
    former = _models_of(client, run_id)
    with tempfile.TemporaryDirectory() as staging:
        saved = _save(Path(staging), folder)
        model = client.create_logged_model(experiment, NAME, run_id, model_type=_kind_of(folder))
        _describe(saved / "MLmodel", model, run_id)
        client.log_model_artifacts(model.model_id, str(saved))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=step)])
    for old in former:
        client.delete_logged_model(old.model_id)
    number = register_model(client, model, run_id, register, alias) if register else None
    return Logged(str(model.model_id), number)


def register_model(client: MlflowClient, model: LoggedModel, run_id: str, name: str, alias: str | None) -> str:
    """Make a logged model the next version of ``name`` and point ``alias`` to it; returns the version."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(name, model.model_uri, run_id, model_id=model.model_id)
    if alias:
        client.set_registered_model_alias(name, alias, made.version)
    return str(made.version)


def fetch(uri: str, tracking_uri: str | None = None) -> Path:
    """The product folder behind ``runs:/ID``, ``models:/name@alias``, ``models:/name/3`` or ``models:/m-ID``.

    A folder of a local store is given as it lies there; from elsewhere it is downloaded.

    Raises:
        TrackingError: If the store has no such run, model, version or alias, or the model is not one of medcnn's.
    """
    client = open_store(tracking_uri)
    try:
        location = _location(client, uri)
        repository = get_artifact_repository(location, client.tracking_uri, client.tracking_uri)
        folder = Path(repository.download_artifacts(f"artifacts/{PRODUCT}"))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"{uri} is not in {client.tracking_uri}: {_first_line(error)}; `medcnn ui` lists runs and models, and "
            "MLFLOW_TRACKING_URI names the store"
        ) from error
    if not folder.is_dir():
        raise TrackingError(f"{uri} holds no medcnn model; give a model that `medcnn fit` logged")
    return folder


def _location(client: MlflowClient, uri: str) -> str:
    scheme, _, name = uri.partition(":/")
    name = name.strip("/")
    if scheme == "runs" and name:
        models = _models_of(client, name.split("/")[0])
        if not models:
            raise TrackingError(f"{uri} has logged no model: its training did not end; give it a checkpoint file")
        return str(models[0].artifact_location)
    if scheme != "models" or not name:
        raise TrackingError(f"'{uri}' names no model; expected runs:/ID, models:/name@alias or models:/name/version")
    if name.startswith("m-") and "/" not in name and "@" not in name:
        return str(client.get_logged_model(name).artifact_location)
    return _registered_location(client, uri, name)


def _registered_location(client: MlflowClient, uri: str, name: str) -> str:
    model, at, alias = name.partition("@")
    if at:
        version_number = client.get_model_version_by_alias(model, alias).version
    else:
        model, _, version_number = name.rpartition("/")
    if not model or not str(version_number).isdigit():
        raise TrackingError(f"'{uri}' names no version; expected models:/name@alias or models:/name/3")
    return str(client.get_model_version_download_uri(model, str(version_number)))


def _models_of(client: MlflowClient, run_id: str) -> list[LoggedModel]:
    """The models that a run logged, the newest first."""
    experiment = client.get_run(run_id).info.experiment_id
    return list(client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'"))


def _save(staging: Path, folder: Path) -> Path:
    """Write the product as MLflow keeps a model; returns the model's folder."""
    described = json.loads((folder / "product.json").read_text(encoding="utf-8"))
    code, product, model = staging / "model.py", staging / PRODUCT, staging / "model"
    code.write_text(_CODE, encoding="utf-8")
    shutil.copytree(folder, product)
    with warnings.catch_warnings():
        # It asks for an example of the input; an example would be somebody's radiograph.
        warnings.simplefilter("ignore", UserWarning)
        save_model(
            path=str(model),
            python_model=str(code),
            artifacts={PRODUCT: str(product)},
            signature=_signature(described),
            # Inferring them would run the model in a new process for half a minute.
            pip_requirements=[f"medcnn=={__version__}", *(f"{name}=={_public(name)}" for name in REQUIREMENTS)],
            metadata={"classes": list(described["classes"]), "multilabel": bool(described.get("multilabel", False))},
        )
    return model


def _describe(description: Path, logged: LoggedModel, run_id: str) -> None:
    """Say which run and model this is, and not from which local path MLflow took the parts."""
    model = Model.load(str(description))
    model.run_id, model.model_id, model.artifact_path = run_id, logged.model_id, logged.artifact_location
    flavor = model.flavors["python_function"]
    flavor["model_code_path"] = Path(flavor["model_code_path"]).name
    for entry in flavor["artifacts"].values():
        entry["uri"] = entry["path"]
    model.save(str(description))


def _kind_of(folder: Path) -> str:
    described = json.loads((folder / "product.json").read_text(encoding="utf-8"))
    return "segmentation" if described.get("provenance", {}).get("per_voxel") else "classifier"


def _signature(described: Mapping[str, Any]) -> ModelSignature:
    origin = described.get("provenance", {})
    channels, *size = map(int, origin.get("image_shape") or (-1, -1, -1))
    # A segmentation learns from patches, and takes and answers for images of any size.
    size = [-1] * len(size) if origin.get("per_voxel") else size
    answered = size if origin.get("per_voxel") else []
    image = TensorSpec(np.dtype(np.float32), (-1, channels, *size), name=None)
    probabilities = TensorSpec(np.dtype(np.float32), (-1, len(described["classes"]), *answered), name=None)
    return ModelSignature(inputs=Schema([image]), outputs=Schema([probabilities]))


def _public(package: str) -> str:
    """The version without a build's local part, which no index knows."""
    return version(package).split("+")[0]


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
