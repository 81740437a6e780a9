"""``medcnn ui``: the runs, in MLflow's pages, on this machine only."""

import signal
from dataclasses import dataclass


@dataclass
class Ui:
    """Show the runs of this project in a browser. Nobody but this machine can reach the pages; Ctrl-C ends them.

    Attributes:
        port: Where to listen on 127.0.0.1.
        store: The store to show; MLFLOW_TRACKING_URI by default, else mlflow.db in this folder.
        run: The run to open: runs:/ID, an ID or its beginning, or "last"; all runs of the newest experiment by default.
    """

    port: int = 5000
    store: str | None = None
    run: str | None = None

    def __call__(self) -> int:
        """Serve until Ctrl-C.

        Returns:
            0, or 1 where the server ended by itself.

        Raises:
            TrackingError: If there is no store or no such run, the port is taken, or the server does not come up.
        """
        # MLflow takes a second to import: --help does without.
        from medcnn.tracking.server import serving

        # Whoever ends this process by a signal ends the server with it. Ctrl-C too: a shell that starts the verb in the
        # background has it ignored.
        for word in (signal.SIGINT, signal.SIGTERM):
            signal.signal(word, signal.default_int_handler)
        with serving(self.store, self.port, self.run) as (address, process):
            print(f"{address}\nCtrl-C ends it", flush=True)
            try:
                process.wait()
            except KeyboardInterrupt:
                print("stopped")
                return 0
        return 1
