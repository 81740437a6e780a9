"""The process of ``medcnn ui``: MLflow's application behind access control, until its parent is gone.

Started by ``medcnn.tracking.server`` as ``python -m medcnn.tracking.server_process SOCKET STORE``, in the folder of the
store. The token arrives on standard input: arguments and environment can be read by others. Standard input stays open
as long as the parent lives, however that ends.
"""

import ctypes
import os
import signal
import socket
import sys
import threading
import warnings
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve on an inherited socket."""
    _end_with_parent()
    os.umask(0o077)
    listening, store = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    token = sys.stdin.readline().strip()
    if not token:  # the parent is gone already
        return
    threading.Thread(target=_exit_at_end_of_input, daemon=True).start()
    port = listening.getsockname()[1]
    _configure(store, port)
    warnings.simplefilter("ignore")

    import uvicorn  # first: MLflow sets up its own checks where it finds a server loaded

    from medcnn.tracking.access import AccessControl
    from medcnn.tracking.confinement import confine

    confine(Path.cwd())
    from mlflow.server.fastapi_app import app

    # One process, and no line for a request: the first one holds the token.
    served = AccessControl(app, token, port)
    config = uvicorn.Config(served, log_level="warning", access_log=False, lifespan="off", proxy_headers=False)
    uvicorn.Server(config).run([listening])


def _configure(store: str, port: int) -> None:
    """Give MLflow the store, and take away what the surroundings would add to it."""
    for name in list(os.environ):
        if name.startswith(("MLFLOW_SERVER_", "_MLFLOW_", "MLFLOW_ENABLE_", "MLFLOW_AUTH_")):
            del os.environ[name]
    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": store,
        "_MLFLOW_SERVER_REGISTRY_STORE": store,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlartifacts",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": "mlartifacts",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_TRACKING_URI": store,
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"127.0.0.1:{port},localhost:{port}",
        # The job runner is for evaluating language models: five more processes.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _end_with_parent() -> None:
    """Ask Linux to end this process with its parent, also where something else holds standard input open."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _exit_at_end_of_input() -> None:
    while sys.stdin.buffer.readline():
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
