"""MLflow's own pages over the project's store, for this machine alone."""

import contextlib
import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import medcnn
from medcnn.errors import TrackingError
from medcnn.tracking.access import TOKEN_PARAMETER, cookie_name
from medcnn.tracking.runs import find_run
from medcnn.tracking.store import open_store, sqlite_file, store_uri

HOST = "127.0.0.1"
# Without it MLflow's menu is that of language models: judges, prompts, sessions.
_MENU = "?workflowType=machine_learning"
_PACKAGES = Path(medcnn.__file__).parents[1]
_START_S, _STOP_S = 300, 10


@contextlib.contextmanager
def serving(
    given: str | None = None, port: int = 5000, run: str | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the server while the block runs; gives the address to open, and the process.

    It listens on the loopback interface, and answers only to who has the token in the address: other users of the
    machine and other pages in the browser are refused. It ends with this process, however that ends.

    Args:
        given: The store; as for ``open_store``.
        port: Where to listen.
        run: The run to open, as ``find_run`` takes it; the runs of the newest experiment by default.

    Raises:
        TrackingError: If there is no store or no such run, the port is taken, or the server does not come up.
    """
    uri = store_uri(given)
    folder, backend = _place(uri)
    with _listen(port) as listening:
        page = _newest_experiment(uri) if run is None else _page_of(uri, run)
        token = secrets.token_urlsafe(32)
        process = _start(folder, backend, listening, token)
    try:
        _wait_until_it_answers(process, port, token)
        yield f"http://{HOST}:{port}/?{TOKEN_PARAMETER}={token}{page}", process
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


def _listen(port: int) -> socket.socket:
    """Take the port here, so that nobody else can between a check and the start of the server."""
    listening = socket.socket()
    # As servers do: a port whose last connection is only just closed counts as free.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        raise TrackingError(f"port {port} on {HOST} is not available ({error}); choose another with --port") from error
    return listening


def _newest_experiment(uri: str) -> str:
    found = open_store(uri).search_experiments(order_by=["last_update_time DESC"], filter_string="name != 'Default'")
    return f"#/experiments/{found[0].experiment_id}/runs{_MENU}" if found else ""


def _page_of(uri: str, run: str) -> str:
    found = find_run(open_store(uri), run).info
    return f"#/experiments/{found.experiment_id}/runs/{found.run_id}{_MENU}"


def _start(folder: Path, backend: str, listening: socket.socket, token: str) -> subprocess.Popen[bytes]:
    handle = listening.fileno()
    # -P: nothing is imported from the folder of the store, where the server runs.
    words = [sys.executable, "-P", "-m", "medcnn.tracking.server_process", str(handle), backend]
    path = os.pathsep.join(filter(None, (str(_PACKAGES), os.environ.get("PYTHONPATH"))))
    # In a session of its own: Ctrl-C reaches us, and we end the server.
    process = subprocess.Popen(
        words,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
        pass_fds=[handle],
        stdin=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # the server ended at once, which its exit code shows
        process.stdin.write(f"{token}\n".encode())
    return process  # with its input open, whose end would end it


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, token: str) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise TrackingError(f"MLflow's server ended with code {process.returncode}; its messages are above")
        # The system takes connections until the server does: what counts is an answer.
        link = http.client.HTTPConnection(HOST, port, timeout=2)
        try:
            link.request("GET", "/health", headers={"Cookie": f"{cookie_name(port)}={token}"})
            if link.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
        finally:
            link.close()
    raise TrackingError(f"MLflow's server did not answer on port {port} within {_START_S} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    for word in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, word)
            process.wait(_STOP_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
