"""One store for all processes, addressed from where it lies."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from processes import TIME_LIMIT_S

from medcnn.errors import TrackingError
from medcnn.tracking.logger import RunLogger
from medcnn.tracking.store import experiment_id, open_store, store_uri

OPEN = "from medcnn.tracking.store import *; c = open_store(); print(experiment_id(c, 'chest'), flush=True)"


@pytest.mark.slow
def test_four_processes_that_find_no_store_agree_on_one(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    started = [
        subprocess.Popen([sys.executable, "-c", OPEN], cwd=tmp_path, env=clean, stdout=-1, stderr=-1) for _ in range(4)
    ]
    said = [process.communicate(timeout=TIME_LIMIT_S) for process in started]
    assert [process.returncode for process in started] == [0] * 4, said
    assert {out for out, _ in said} == {b"1\n"}
    assert {err for _, err in said} == {b""}  # fifty migrations go unmentioned
    # For the owner alone.
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "mlflow.db": 0o600,
        "mlartifacts": 0o700,
    }


def test_a_fresh_store_holds_no_absolute_path(empty_store: Path) -> None:
    content = empty_store.read_bytes()
    assert str(empty_store.parent).encode() not in content
    assert (
        b"pending" not in content.replace(b"_pending", b"").replace(b"pending_", b"") or b"artifacts:/" not in content
    )


def test_what_a_killed_process_left_is_built_anew(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db.new").write_bytes(b"half a database")
    client = open_store(f"sqlite:///{tmp_path}/mlflow.db")
    assert client.search_experiments()[0].artifact_location == "mlartifacts/0"
    assert not (tmp_path / "mlflow.db.new").exists()


def test_artifacts_are_found_from_another_folder_and_after_the_store_has_moved(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = RunLogger("chest")
    logger.experiment.log_text(logger.run_id, "here", "note.txt")
    assert logger.experiment.get_run(logger.run_id).info.artifact_uri == f"mlartifacts/1/{logger.run_id}/artifacts"
    moved = workplace / "moved"
    moved.mkdir()
    for name in ("mlflow.db", "mlartifacts"):
        (workplace / name).rename(moved / name)
    monkeypatch.chdir("/")
    client = open_store(f"sqlite:///{moved}/mlflow.db")
    assert Path(client.download_artifacts(logger.run_id, "note.txt")).read_text() == "here"


def test_mlflow_alone_reads_the_artifacts_from_the_folder_of_the_store(workplace: Path) -> None:
    logger = RunLogger("chest")
    logger.experiment.log_text(logger.run_id, "here", "note.txt")
    look = (
        "import sys; from mlflow import MlflowClient; client = MlflowClient('sqlite:///mlflow.db');"
        "print(open(client.download_artifacts(sys.argv[1], 'note.txt')).read()); assert 'medcnn' not in sys.modules"
    )
    said = subprocess.run([sys.executable, "-c", look, str(logger.run_id)], capture_output=True, check=True)
    assert said.stdout == b"here\n"


def test_an_experiment_whose_maker_was_killed_gets_its_place(workplace: Path) -> None:
    client = open_store()
    client.create_experiment("chest", artifact_location="mlflow-artifacts:/pending")
    assert experiment_id(client, "chest") == "1"
    assert client.get_experiment("1").artifact_location == "mlartifacts/1"


def test_a_deleted_experiment_is_named_in_one_line(workplace: Path) -> None:
    client = open_store()
    client.delete_experiment(experiment_id(client, "chest"))
    with pytest.raises(TrackingError, match="experiment 'chest' is deleted; restore it"):
        experiment_id(client, "chest")


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("something else, long enough to be taken for a header of a database file" * 20)
    with pytest.raises(TrackingError, match="does not open") as caught:
        open_store(f"sqlite:///{tmp_path}/mlflow.db")
    assert "\n" not in str(caught.value)


def test_the_argument_goes_before_the_environment_before_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example.org")
    assert store_uri("sqlite:////x/y.db") == "sqlite:////x/y.db"
    assert store_uri() == "http://mlflow.example.org"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert store_uri() == f"sqlite:///{tmp_path}/mlflow.db"


def test_the_default_experiment_is_relative_in_the_table_too(empty_store: Path) -> None:
    with sqlite3.connect(empty_store) as connection:
        rows = connection.execute("SELECT artifact_location FROM experiments").fetchall()
    assert rows == [("mlartifacts/0",)]


def test_a_server_that_is_away_is_named_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingError, match=r"http://127\.0\.0\.1:9 does not open .* MLFLOW_TRACKING_URI"):
        open_store("http://127.0.0.1:9")


def test_a_path_in_place_of_an_address_gets_a_suggestion() -> None:
    with pytest.raises(TrackingError, match=r"the store runs\.db is a path; .* sqlite:///runs\.db"):
        open_store("runs.db")
