"""Imported before mlflow wherever that is imported: MLflow reads these while it is being imported.

A hospital's tool reports its use to nobody, does not copy the project files of whatever folder it runs in into a model,
and says no more than a user wants to read. Whoever set one of them otherwise keeps it.
"""

import logging
import os

for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}.items():
    os.environ.setdefault(_name, _value)

# Fifty migrations of a fresh database are not news.
logging.getLogger("alembic").setLevel(logging.WARNING)
