"""No location leads MLflow's server out of the store."""

from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from medcnn.tracking.confinement import ROOTS, check_location


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ...]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlartifacts").mkdir()
    return tuple((tmp_path / name).resolve() for name in ROOTS)


@pytest.mark.parametrize("location", [
    "/etc", "/etc/mlartifacts/1", "../x", "x", "mlartifacts", "mlartifacts/..", "mlartifacts/1/../../x", "~/x",
    "file:///etc", "file://localhost/etc", "file:/etc", "file://host/etc", "FILE:///etc", "file:mlartifacts/%2e%2e/x",
    "mlartifacts/%2e%2e/%2e%2e/x", "mlartifacts/%252e%252e/%252e%252e/x", "s3://bucket/x", "http://127.0.0.1:1/x",
    "ftp://host/x", "sftp://host/x", "hdfs://x", "dbfs:/x", "gs://x", "runs:/1/x", "models:/m/1", "unknown:x",
    "mlflow-artifacts:/../x", "mlflow-artifacts:/%2e%2e/x", "mlflow-artifacts://host/../../x", "mlartifacts\0/x", "",
])  # fmt: skip
def test_a_location_elsewhere_is_refused(roots: tuple[Path, ...], location: str) -> None:
    with pytest.raises(MlflowException, match="outside of the store") as caught:
        check_location(location, roots)
    assert caught.value.get_http_status_code() == 403


def test_a_location_in_the_store_is_accepted(roots: tuple[Path, ...], tmp_path: Path) -> None:
    folder = tmp_path / "mlruns" / "a b"
    for location in ("mlartifacts/1", "./mlartifacts/1", str(folder), folder.as_uri(), "mlflow-artifacts:/3"):
        check_location(location, roots)
    check_location("mlartifacts", roots, allow_root=True)


def test_a_link_out_of_the_store_is_refused(roots: tuple[Path, ...], tmp_path: Path) -> None:
    (tmp_path / "mlartifacts" / "link").symlink_to("/etc")
    with pytest.raises(MlflowException, match="outside of the store"):
        check_location("mlartifacts/link/x", roots)


def test_a_store_whose_artifacts_are_on_another_disk_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk").mkdir()
    (tmp_path / "mlartifacts").symlink_to(tmp_path / "disk")
    check_location("mlartifacts/1", ((tmp_path / "mlartifacts").resolve(),))
