"""The runs of a learning curve: found by their tags, and the table of the curve in the run of the largest share."""

from pathlib import Path

import medcnn.tracking.environment  # noqa: F401  # isort: skip
from mlflow.exceptions import MlflowException

from medcnn.errors import TrackingError
from medcnn.tracking.store import open_store

CURVE_TAG, SHARE_TAG = "medcnn.learning_curve", "medcnn.train_share"
FOLDER = "learning_curve"


def runs_of_curve(curve: str, tracking_uri: str | None = None) -> dict[str, str]:
    """Share as it was tagged to the newest finished run of that share.

    Args:
        curve: What the runs are tagged with: letters and digits.
        tracking_uri: The store; as for ``open_store``.

    Raises:
        TrackingError: If the store does not open.
        ValueError: If ``curve`` holds more than letters and digits.
    """
    if not curve.isalnum():
        raise ValueError(f"the name of a curve is {curve!r}; expected letters and digits")
    client = open_store(tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    asked = f"tags.`{CURVE_TAG}` = '{curve}' and attributes.status = 'FINISHED'"
    found = client.search_runs(experiments, asked, order_by=["attributes.start_time ASC"])
    return {run.data.tags[SHARE_TAG]: run.info.run_id for run in found if SHARE_TAG in run.data.tags}


def log_curve(run_id: str, table: Path, tracking_uri: str | None = None) -> None:
    """Put the table of a curve into a run, under ``learning_curve/``.

    Raises:
        TrackingError: If the store has no such run or refuses the file.
    """
    try:
        open_store(tracking_uri).log_artifact(run_id, str(table), FOLDER)
    except (MlflowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise TrackingError(f"the learning curve was not logged to run {run_id}: {first}") from error
