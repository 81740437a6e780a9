"""What trainings left unsent, sent by a later command."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from medcnn.errors import TrackingError
from medcnn.tracking.outbox import FAILURES, UNSENT, Outbox, first_line, replay
from medcnn.tracking.store import open_store


class Sent(NamedTuple):
    """What came of the unsent calls of one run."""

    run_id: str
    sent: int
    refused: int


def send_unsent(folder: Path, tracking_uri: str | None = None) -> Iterator[Sent]:
    """Send what waits under a folder of checkpoints, run by run.

    Args:
        folder: Of all checkpoints, or of one run's.
        tracking_uri: The store; as for ``open_store``.

    Raises:
        TrackingError: If there is no such folder, or the store does not take the calls.
    """
    if not folder.is_dir():
        raise TrackingError(f"expected the folder of checkpoints, and there is no {folder}; name another folder")
    places = [path for path in (folder / UNSENT, *sorted(folder.glob(f"*/{UNSENT}"))) if path.is_dir()]
    client = open_store(tracking_uri) if places else None
    for place in places:
        assert client is not None
        run_id = place.absolute().parent.name
        try:
            yield Sent(run_id, *replay(client, Outbox(place)))
        except FAILURES as error:
            raise TrackingError(
                f"the record of run {run_id} was not sent to {client.tracking_uri} ({first_line(error)}); start the "
                "store's server or restore the run, then repeat the command; MLFLOW_TRACKING_URI names the store"
            ) from error
