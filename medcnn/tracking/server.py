"""MLflow's own pages over the project's store, for this machine alone."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from medcnn.errors import TrackingError
from medcnn.tracking.runs import find_run
from medcnn.tracking.store import ARTIFACTS, open_store, sqlite_file, store_uri

HOST = "127.0.0.1"
# Without it MLflow's menu is that of language models: judges, prompts, sessions.
_MENU = "?workflowType=machine_learning"
_START_S, _STOP_S = 90, 10


@contextmanager
def serving(
    given: str | None = None, port: int = 5000, run: str | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the server while the block runs; gives the address to open, and the process.

    It listens on the loopback interface and nowhere else: runs hold radiographs, and MLflow asks nobody who they are.

    Args:
        given: The store; as for ``open_store``.
        port: Where to listen.
        run: The run to open, as ``find_run`` takes it; the runs of the newest experiment by default.

    Raises:
        TrackingError: If there is no store or no such run, the port is taken, or the server does not come up.
    """
    uri = store_uri(given)
    folder, backend = _place(uri)
    _check_port(port)
    page = _newest_experiment(uri) if run is None else _page_of(uri, run)
    process = _start(folder, backend, port)
    try:
        _wait_until_it_answers(process, port)
        yield f"http://{HOST}:{port}/{page}", process
    finally:
        _stop(process)


def _place(uri: str) -> tuple[Path, str]:
    """The folder to serve from, and the store as seen from there: relative artifacts count from that folder."""
    if uri.startswith(("http://", "https://")):
        raise TrackingError(f"the store {uri} is a server already: open that address in a browser")
    database = sqlite_file(uri)
    if database is None:
        return Path.cwd(), uri
    if not database.is_file():
        raise TrackingError(
            f"there is no {database.name} in {database.parent}, so nothing to show: train with `medcnn fit` first, or "
            "name a store with --store sqlite:///FILE"
        )
    return database.parent, f"sqlite:///{database.name}"


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        # As the server does: a port whose last connection is only just closed counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise TrackingError(f"port {port} on {HOST} cannot be had ({error}); choose another with --port") from error


def _newest_experiment(uri: str) -> str:
    found = open_store(uri).search_experiments(order_by=["last_update_time DESC"], filter_string="name != 'Default'")
    return f"#/experiments/{found[0].experiment_id}/runs{_MENU}" if found else ""


def _page_of(uri: str, run: str) -> str:
    found = find_run(open_store(uri), run).info
    return f"#/experiments/{found.experiment_id}/runs/{found.run_id}{_MENU}"


def _start(folder: Path, backend: str, port: int) -> subprocess.Popen[bytes]:
    words = [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", backend, "--registry-store-uri", backend, "--artifacts-destination", ARTIFACTS),
        # A page of another name that resolves to this machine (DNS rebinding) is refused.
        *("--allowed-hosts", f"{HOST}:{port},localhost:{port}"),
        *("--uvicorn-opts", "--log-level warning"),
    ]
    # The job runner is for evaluating language models: five more processes that nobody here asks for.
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_TRACKING_URI": backend,
        "PYTHONWARNINGS": "ignore",
    }
    # A session of its own: Ctrl-C reaches us, and we end the server and its workers together.
    return subprocess.Popen(words, cwd=folder, env=environment, start_new_session=True)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise TrackingError(f"MLflow's server ended with code {process.returncode}; what it said stands above")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.2)
    raise TrackingError(f"MLflow's server did not answer on port {port} within {_START_S} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for word in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, word)
            process.wait(_STOP_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
