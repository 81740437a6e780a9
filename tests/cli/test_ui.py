"""``medcnn ui`` shows the runs of this folder to this machine, and leaves nothing running."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import browser
import pytest
from processes import TIME_LIMIT_S, running

from medcnn.cli.ui import Ui
from medcnn.errors import TrackingError


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served(NamedTuple):
    """A verb that serves a store with one run.

    Attributes:
        verb: Its process.
        port: Where it listens.
        address: What it printed.
        run_id: The run.
        project: Folder of the store.
    """

    verb: subprocess.Popen[bytes]
    port: int
    address: str
    run_id: str
    project: Path

    @property
    def token(self) -> str:
        return self.address.partition("?token=")[2].partition("#")[0]

    def ask(self, path: str, body: object = None, method: str | None = None, **headers: str) -> tuple[int, bytes]:
        """Send a request with the cookie; ``body`` as JSON, or as it is where it is bytes."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = {"Content-Type": "application/json", "Cookie": f"medcnn_ui_{self.port}={self.token}"} | headers
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        link.request(method or ("GET" if body is None else "POST"), path, data, given)
        answer = link.getresponse()
        found = answer.status, answer.read()
        link.close()
        return found


MAKE = """
import sqlite3, sys, numpy as np
from medcnn.tracking.logger import RunLogger
logger = RunLogger("chest")
for epoch in range(2):
    logger.log_metrics({"val/auroc": 0.9, "epoch": epoch})
logger.experiment.log_text(logger.run_id, "lr: 1", "config.yaml")
logger.experiment.log_image(logger.run_id, np.zeros((32, 32, 3), np.uint8), "roc.png")
logger.finalize()
# As another user could have left it before there was a token: an experiment with a location of their choice.
with sqlite3.connect("mlflow.db") as store:
    store.execute("INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, workspace) "
                  "VALUES (77, 'elsewhere', ?, 'active', 'default')", (sys.argv[1],))
    store.execute("INSERT INTO runs (run_uuid, name, experiment_id, artifact_uri, lifecycle_stage, status, start_time,"
                  " user_id) VALUES (?, 'x', 77, ?, 'active', 'RUNNING', 1, '')", ("e" * 32, sys.argv[1]))
print(logger.run_id)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("ui")
    project, elsewhere = folder / "project", folder / "elsewhere"
    for made in (project, elsewhere):
        made.mkdir()
    (elsewhere / "secret.txt").write_text("secret")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    run_id = subprocess.check_output([sys.executable, "-c", MAKE, str(elsewhere)], cwd=project, env=clean)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    words = ["-m", "medcnn", "ui", "--port", str(port), "--store", f"sqlite:///{project}/mlflow.db"]
    run = run_id.decode().split()[-1]
    options = {"cwd": folder, "env": clean, "stdout": subprocess.PIPE}
    with running([sys.executable, *words, "--run", run], **options) as verb:
        address = verb.stdout.readline().decode().strip()
        yield Served(verb, port, address, run, project)
        verb.terminate()
        verb.wait(TIME_LIMIT_S)


@pytest.mark.slow
def test_it_shows_a_run_and_its_artifacts_from_any_folder(served: Served) -> None:
    base, page = f"http://127.0.0.1:{served.port}/", f"#/experiments/1/runs/{served.run_id}"
    assert served.address == f"{base}?token={served.token}{page}?workflowType=machine_learning"
    assert len(served.token) > 30
    assert served.ask("/health") == (200, b"OK")
    runs = json.loads(served.ask("/api/2.0/mlflow/runs/search", {"experiment_ids": ["1"]})[1])["runs"]
    assert [run["info"]["run_id"] for run in runs] == [served.run_id]
    assert served.ask(f"/get-artifact?run_id={served.run_id}&path=config.yaml") == (200, b"lr: 1")
    made = served.ask(f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={served.run_id}&path=note.txt", b"hello")
    assert made[0] == 200
    assert served.ask(f"/get-artifact?run_id={served.run_id}&path=note.txt") == (200, b"hello")
    created = json.loads(served.ask("/api/2.0/mlflow/experiments/create", {"name": "new"})[1])["experiment_id"]
    found = json.loads(served.ask(f"/api/2.0/mlflow/experiments/get?experiment_id={created}")[1])
    assert found["experiment"]["artifact_location"] == f"mlartifacts/{created}"


@pytest.mark.slow
def test_nobody_gets_in_without_the_token(served: Served) -> None:
    for path in ("/", "/health", "/static-files/favicon.ico", "/api/2.0/mlflow/experiments/search?max_results=1"):
        assert served.ask(path, Cookie="")[0] == 403
        assert served.ask(path, Origin="http://localhost:9999")[0] == 403
        assert served.ask(path, Host="evil.com")[0] == 403
    assert served.ask("/api/2.0/mlflow/experiments/delete", {"experiment_id": "1"}, Cookie="")[0] == 403


@pytest.mark.slow
def test_nothing_is_read_or_written_outside_of_the_store(served: Served) -> None:
    elsewhere = served.project.parent / "elsewhere"
    for location in (f"file://{elsewhere}", str(elsewhere), "../elsewhere", "s3://bucket/x"):
        for name in ("artifact_location", "artifactLocation"):
            body = {"name": f"x {location}", name: location}
            assert served.ask("/api/2.0/mlflow/experiments/create", body)[0] == 403
    assert served.ask("/api/2.0/mlflow/registered-models/create", {"name": "m"})[0] == 200
    for source in (f"file://{elsewhere}", str(elsewhere), "s3://bucket/x", "mlflow-artifacts:/../elsewhere"):
        answer = served.ask(
            "/api/2.0/mlflow/model-versions/create", {"name": "m", "source": source, "run_id": "e" * 32}
        )
        assert answer[0] in (400, 403)
    # What a database holds already.
    assert served.ask("/api/2.0/mlflow/runs/create", {"experiment_id": "77"})[0] == 403
    assert served.ask(f"/get-artifact?run_id={'e' * 32}&path=secret.txt")[0] == 403
    assert served.ask(f"/ajax-api/2.0/mlflow/artifacts/list?run_id={'e' * 32}")[0] == 403
    assert served.ask(f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={'e' * 32}&path=planted.txt", b"x")[0] == 403
    assert [path.name for path in elsewhere.iterdir()] == ["secret.txt"]
    for path in ("../mlflow.db", "%2e%2e/mlflow.db", "/etc/passwd"):
        assert served.ask(f"/get-artifact?run_id={served.run_id}&path={path}")[0] == 400


@pytest.mark.slow
def test_other_users_see_neither_the_token_nor_the_files(served: Served) -> None:
    listed = subprocess.check_output(["ps", "-eo", "args"]).decode()
    assert served.token not in listed
    assert (served.project / "mlflow.db").stat().st_mode & 0o077 == 0
    assert (served.project / "mlartifacts").stat().st_mode & 0o077 == 0


@pytest.mark.slow
@pytest.mark.skipif(browser.find_chromium() is None, reason=browser.MISSING)
def test_a_browser_shows_pages_pictures_and_charts(served: Served) -> None:
    run = f"experiments/1/runs/{served.run_id}"

    def page(number: int, fragment: str) -> str:
        return f"http://127.0.0.1:{served.port}/?{number}#/{fragment}"  # the number makes the browser load it again

    shown = "[...document.images].some(i => i.src.startsWith('blob:') && i.naturalWidth)"
    shown += " || document.querySelector('.js-plotly-plot image')"
    answers = browser.visit([
        (served.address, "document.body.innerText.includes('val/auroc') && !location.search.includes('token')"),
        (page(1, f"{run}/artifacts/config.yaml"), "document.body.innerText.includes('lr: 1')"),
        (page(2, f"{run}/artifacts/roc.png"), shown),
        (page(3, f"{run}/model-metrics"), "document.querySelector('.main-svg')"),
        (page(4, "experiments/1/runs?workflowType=machine_learning"), "document.body.innerText.includes('chest-20')"),
    ])  # fmt: skip
    # Plain MLflow has no users either; its assistant is a language model, which is not served.
    absent = ("/users/current", "/assistant/", "/gateway-proxy")
    assert [url for url, status in answers if status >= 400 and not any(part in url for part in absent)] == []


@pytest.mark.slow
@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGKILL, signal.SIGHUP])
def test_the_server_ends_with_its_verb(word: signal.Signals, tmp_path: Path, free_port: int) -> None:
    words = "from medcnn.tracking.server import _listen, _start, _stop, Path\nimport signal, sys, time\n"
    words += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
    words += "with _listen(int(sys.argv[1])) as l: p = _start(Path.cwd(), 'sqlite:///x.db', l, 'token')\n"
    words += "print(p.pid, flush=True)\ntry: time.sleep(600)\nfinally: _stop(p)"
    with running([sys.executable, "-c", words, free_port], cwd=tmp_path, stdout=subprocess.PIPE) as verb:
        assert verb.stdout is not None
        server = int(verb.stdout.readline())
        verb.send_signal(word)
        verb.wait(TIME_LIMIT_S)
        deadline = time.monotonic() + TIME_LIMIT_S
        while _is_running(server) and time.monotonic() < deadline:
            time.sleep(0.1)
        still_there = _is_running(server)
        if still_there:
            os.kill(server, signal.SIGKILL)
    assert not still_there, "the server runs on after its command has ended"


def _is_running(process: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, check=False).stdout
    return bool(state.strip()) and not state.startswith(b"Z")


def test_a_port_in_use_is_named_and_so_is_the_option_to_change_it(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "mlflow.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        with pytest.raises(TrackingError, match=rf"port {free_port} on 127.0.0.1 is not available .* --port"):
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
