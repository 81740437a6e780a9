"""``medcnn ui`` shows the runs of this folder to this machine, and leaves nothing running."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from medcnn.cli.ui import Ui
from medcnn.errors import TrackingError


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, path: str, body: object = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=data, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return bytes(answer.read())


@pytest.mark.slow
def test_it_shows_a_run_and_its_artifacts_from_any_folder_and_ends_with_ctrl_c(tmp_path: Path, free_port: int) -> None:
    project = tmp_path / "project"
    project.mkdir()
    make = (
        "from medcnn.tracking.logger import RunLogger\n"
        "logger = RunLogger('chest'); logger.log_metrics({'val/auroc': 0.9, 'epoch': 0})\n"
        "logger.experiment.log_text(logger.run_id, 'lr: 1', 'config.yaml'); logger.finalize(); print(logger.run_id)"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    made = subprocess.run([sys.executable, "-c", make], cwd=project, env=clean, capture_output=True, check=True)
    run_id = made.stdout.decode().split()[-1]

    words = [
        sys.executable,
        "-c",
        "import sys; from medcnn.cli.ui import Ui; sys.exit(Ui(int(sys.argv[1]), sys.argv[2], 'last')())",
    ]
    store = f"sqlite:///{project}/mlflow.db"
    verb = subprocess.Popen([*words, str(free_port), store], cwd=tmp_path, env=clean, stdout=subprocess.PIPE)
    try:
        assert verb.stdout is not None
        said = verb.stdout.readline().decode().strip()
        assert said == f"http://127.0.0.1:{free_port}/#/experiments/1/runs/{run_id}?workflowType=machine_learning"
        assert ask(free_port, "/health") == b"OK"
        runs = json.loads(ask(free_port, "/api/2.0/mlflow/runs/search", {"experiment_ids": ["1"]}))["runs"]
        assert [run["info"]["run_id"] for run in runs] == [run_id]
        assert ask(free_port, f"/get-artifact?run_id={run_id}&path=config.yaml") == b"lr: 1"
        verb.send_signal(signal.SIGINT)
        assert verb.wait(30) == 0
    finally:
        verb.terminate()  # and with it the server, which a kill would leave behind
        verb.wait(30)
    for _ in range(50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", free_port)):
                return
        time.sleep(0.1)
    pytest.fail("the server still listens after the verb has ended")


def test_a_port_in_use_is_named_and_so_is_the_option_to_change_it(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "mlflow.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        with pytest.raises(TrackingError, match=rf"port {free_port} on 127.0.0.1 cannot be had .* --port"):
            Ui(free_port, f"sqlite:///{tmp_path}/mlflow.db")()


def test_a_folder_without_runs_is_told_apart_from_an_empty_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(TrackingError, match=r"no mlflow\.db in .* `medcnn fit`"):
        Ui()()
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_a_server_is_not_served_twice() -> None:
    with pytest.raises(TrackingError, match="a server already"):
        Ui(store="http://mlflow.example.org:5000")()


def test_importing_the_verb_takes_neither_mlflow_nor_torch() -> None:
    look = "import sys, medcnn.cli.ui; print(sorted({'mlflow', 'torch'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", look]).decode().strip() == "[]"
