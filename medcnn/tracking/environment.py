"""Imported before mlflow wherever that is imported: how MLflow behaves in a hospital.

It reports its use to nobody, does not copy the project files of whatever folder it runs in into a model, and says no
more than a user wants to read. Whoever set one of these otherwise keeps it.
"""

import logging
import os

for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # A server that is away is told within seconds; MLflow's own seven retries take minutes without a word.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    # The same for one that takes connections and does not answer.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}.items():
    os.environ.setdefault(_name, _value)

from mlflow.telemetry import set_telemetry_client  # noqa: E402

# MONAI imports MLflow, so it may have read its settings long before this: read them again.
set_telemetry_client()
logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])
# Fifty migrations of a fresh database are not news.
logging.getLogger("alembic").setLevel(logging.WARNING)
