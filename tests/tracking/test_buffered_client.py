"""A store that fails in mid-training costs neither the training nor what it records."""

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from tracking_fakes import FakeTask, fit_with, write_product

from medcnn.cli.main import main
from medcnn.errors import TrackingError
from medcnn.tracking import buffered_client
from medcnn.tracking.logger import RunLogger
from medcnn.tracking.models import fetch, log_product
from medcnn.tracking.outbox import Call, Outbox
from medcnn.tracking.record import RunRecord
from medcnn.tracking.store import open_store

WRITING = ("log_batch", "set_tag", "update_run_info", "log_inputs", "create_logged_model")


class Outage:
    """A store that stops and comes back: its methods raise while ``down``."""

    def __init__(self, patch: pytest.MonkeyPatch, error: BaseException) -> None:
        self.down, self.error = False, error
        for name in (*WRITING, "get_run"):
            patch.setattr(SqlAlchemyStore, name, self._failing(getattr(SqlAlchemyStore, name)))

    def _failing(self, method: Any) -> Any:
        def called(*args: Any, **kwargs: Any) -> Any:
            if self.down:
                raise self.error
            return method(*args, **kwargs)

        return called


@pytest.fixture(params=[ConnectionError("refused"), MlflowException("(sqlite3.OperationalError) database is locked")])
def outage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, workplace: Path) -> Outage:
    return Outage(monkeypatch, request.param)


class StoreStops(FakeTask):
    """Loses the store at the start of its second epoch, and gets it back at the start of the fourth."""

    def __init__(self, outage: Outage, comes_back: bool) -> None:
        super().__init__()
        self.outage, self.comes_back = outage, comes_back

    def on_train_epoch_start(self) -> None:
        self.outage.down = self.current_epoch >= 1 and not (self.comes_back and self.current_epoch >= 3)


def history(run_id: str | None) -> list[int]:
    found = open_store().get_metric_history(str(run_id), "val/loss")
    return sorted(metric.step for metric in found)


def test_a_store_that_comes_back_gets_everything(
    outage: Outage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(buffered_client, "_PAUSE_S", 0.0)
    monkeypatch.setattr(buffered_client.BufferedClient, "_pause", 0.0)
    logger = RunLogger()
    fit_with(logger, RunRecord(cam_every=1), StoreStops(outage, comes_back=True), epochs=5)
    assert history(logger.run_id) == [0, 1, 2, 3, 4]
    run = open_store().get_run(logger.run_id)
    assert run.info.status == "FINISHED"
    assert not Path("checkpoints", str(logger.run_id), "unsent").exists()
    assert len([message for message in caplog.messages if "does not take" in message]) == 1


def test_a_store_that_stays_away_is_sent_to_later(
    outage: Outage, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    logger = RunLogger()
    fit_with(logger, RunRecord(cam_every=0), StoreStops(outage, comes_back=False), epochs=4)
    assert log_product(logger, write_product(tmp_path / "product"), register="net") is None
    ended = time.time()
    logger._report_unsent()
    assert "medcnn sync --folder" in caplog.messages[-1]
    assert main(["sync"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "start the store's server" in line

    outage.down = False
    assert history(logger.run_id) == [0]
    assert main(["sync"]) == 0
    assert history(logger.run_id) == [0, 1, 2, 3]
    run = open_store().get_run(logger.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.end_time <= ended * 1000
    assert (fetch("models:/net@champion") / "product.json").is_file()
    assert not Path("checkpoints", str(logger.run_id), "unsent").exists()


def test_a_run_deleted_in_mid_training_is_written_once_restored(workplace: Path) -> None:
    logger = RunLogger()
    client, run_id = open_store(), str(logger.run_id)
    client.delete_run(run_id)
    logger.log_metrics({"val/loss": 0.5, "epoch": 7})
    logger.finalize()
    assert main(["sync"]) == 2
    client.restore_run(run_id)
    assert main(["sync"]) == 0
    assert history(run_id) == [7]


def test_a_database_that_is_damaged_in_mid_training_is_survived(workplace: Path) -> None:
    logger = RunLogger()
    run_id = str(logger.run_id)
    whole = Path("mlflow.db").read_bytes()
    Path("mlflow.db").write_bytes(b"not a database" * 1000)
    logger.log_metrics({"val/loss": 0.5, "epoch": 7})
    logger.finalize()
    Path("mlflow.db").write_bytes(whole)
    assert main(["sync"]) == 0
    assert history(run_id) == [7]


def test_pictures_and_texts_wait_as_files(outage: Outage) -> None:
    logger = RunLogger()
    client, run_id = logger.experiment, str(logger.run_id)
    outage.down = True
    client.set_tag(run_id, "before", "x")
    client.log_text(run_id, "lr: 1", "config.yaml")
    client.log_image(run_id, np.zeros((4, 4, 3), np.uint8), key="cam", step=1)
    outage.down = False
    client.flush()
    names = [entry.path for entry in client.list_artifacts(run_id)]
    assert names == ["config.yaml", "images"]
    assert len(client.list_artifacts(run_id, "images")) == 2
    assert client.get_run(run_id).data.tags["before"] == "x"


def test_an_entry_that_the_store_refuses_blocks_no_other(workplace: Path) -> None:
    logger = RunLogger()
    outbox, run_id = logger.experiment.outbox, str(logger.run_id)
    assert outbox is not None
    outbox.add(Call("log_batch", run_id, {"metrics": [], "params": [], "tags": [["bad\n:key", "x"]]}))
    outbox.add(Call("log_batch", run_id, {"metrics": [["val/loss", 0.5, 1, 3]], "params": [], "tags": []}))
    assert main(["sync"]) == 3
    assert history(run_id) == [3]
    assert [path.name for path in outbox.folder.iterdir()] == ["refused_000001"]


def test_a_disk_without_room_is_counted_and_ends_nothing(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    logger = RunLogger()
    assert logger.run_id
    Path("checkpoints").write_text("in the way")
    outage.down = True
    logger.log_metrics({"val/loss": 0.5, "epoch": 0})
    logger.log_metrics({"val/loss": 0.5, "epoch": 1})
    logger._report_unsent()
    assert "2 entries of run" in caplog.messages[-1]
    assert "are lost" in caplog.messages[-1]


def test_a_damaged_entry_is_named(workplace: Path) -> None:
    entry = Path("checkpoints", "a" * 32, "unsent", "000001")
    entry.mkdir(parents=True)
    (entry / "call.json").write_text("[]")
    with pytest.raises(TrackingError, match="does not hold an unsent call"):
        list(Outbox(entry.parent).calls())
    assert main(["sync"]) == 2


def test_the_log_stays_short_while_a_store_is_away(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    logger = RunLogger()
    assert logger.run_id
    outage.down = True
    for epoch in range(20):
        logger.log_metrics({"val/loss": 0.5, "epoch": epoch})
    assert len(caplog.messages) == 1
