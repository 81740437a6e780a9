"""MLflow keeps quiet and to itself, also where another library imported it first."""

import os
import subprocess
import sys

import pytest

LOOK = """
import monai.transforms
import medcnn.tracking.store
import logging, mlflow.telemetry.utils
from mlflow.telemetry.client import get_telemetry_client
print(get_telemetry_client(), logging.getLogger("mlflow").level, logging.getLogger("alembic").level)
"""


@pytest.mark.slow
def test_telemetry_is_off_although_monai_imports_mlflow_before_us() -> None:
    # MLflow sends nothing from CI either; the test must not pass for that reason.
    hidden = ("CI", "PYTEST_CURRENT_TEST", "GITHUB_ACTIONS", "DO_NOT_TRACK")
    clean = {name: value for name, value in os.environ.items() if name not in hidden and not name.startswith("MLFLOW")}
    said = subprocess.run([sys.executable, "-c", LOOK], env=clean, capture_output=True, check=True, text=True)
    assert said.stdout.split()[-3:] == ["None", "30", "30"]
