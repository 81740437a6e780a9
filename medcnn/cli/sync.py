"""``medcnn sync``: send what a training could not, once the store answers again."""

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Sync:
    """Send to the store what trainings recorded while it did not answer.

    Attributes:
        folder: The folder of the checkpoints, or that of one run in it.
        store: The store; MLFLOW_TRACKING_URI by default, else mlflow.db in this folder.
    """

    folder: Path = Path("checkpoints")
    store: str | None = None

    def __call__(self) -> int:
        """Send everything that waits.

        Returns:
            0, or 3 where the store refused some of it.

        Raises:
            TrackingError: If the store does not answer, or a run is deleted.
        """
        # MLflow takes a second to import: --help does without.
        from medcnn.tracking.sync import send_unsent

        runs = refused = 0
        for found in send_unsent(self.folder, self.store):
            print(f"run {found.run_id}: {found.sent} sent, {found.refused} refused", flush=True)
            runs, refused = runs + 1, refused + found.refused
        if not runs:
            print(f"nothing is waiting in {self.folder}")
        return 3 if refused else 0
