"""What a fit keeps is told before it starts, and when it ends without a model."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger

from medcnn.cli.kept import check_kept, last_of, tell_no_model, way_on
from medcnn.errors import ConfigError


def trainer(folder: Path, monitor: str = "val/dice", **changes: Any) -> pl.Trainer:
    callbacks = [ModelCheckpoint(folder, monitor=monitor, filename="best"), ModelCheckpoint(folder, filename="last")]
    return pl.Trainer(accelerator="cpu", logger=False, enable_model_summary=False, callbacks=callbacks, **changes)


def test_fewer_epochs_than_one_validation_takes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="3 epochs, validation every 5: nothing would be validated or kept"):
        check_kept(trainer(tmp_path, max_epochs=3, check_val_every_n_epoch=5), None)


@pytest.mark.parametrize(
    "changes",
    [
        {"max_epochs": 5, "check_val_every_n_epoch": 5},
        {"max_epochs": -1, "check_val_every_n_epoch": 5},
        {"max_steps": 7, "check_val_every_n_epoch": 5},
        {"max_epochs": 3, "check_val_every_n_epoch": None, "val_check_interval": 20},
        {"max_epochs": 3, "check_val_every_n_epoch": 5, "limit_val_batches": 0},
        {"max_epochs": 3, "check_val_every_n_epoch": 5, "fast_dev_run": True},
        {"max_epochs": 3, "check_val_every_n_epoch": 5, "monitor": "train/loss"},
    ],
)
def test_a_run_that_keeps_a_model_or_wants_none_is_let_go(tmp_path: Path, changes: dict[str, Any]) -> None:
    check_kept(trainer(tmp_path, **changes), None)


def test_a_name_to_register_under_needs_a_store_and_a_validation(tmp_path: Path) -> None:
    tracked = trainer(tmp_path, limit_val_batches=0)
    with pytest.raises(ConfigError, match="needs the store of runs"):
        check_kept(tracked, "name")
    tracked.loggers = [CSVLogger(tmp_path)]
    with pytest.raises(ConfigError, match="limit_val_batches is 0"):
        check_kept(tracked, "name")


def test_a_file_of_an_earlier_run_is_no_way_on(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").touch()
    stopped = trainer(tmp_path)
    assert last_of(stopped) is None
    assert way_on(stopped) == "stopped before the first checkpoint: start again"


def test_a_run_without_a_figure_tells_of_its_last_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = trainer(tmp_path)
    kept = ended.checkpoint_callbacks[-1]
    assert isinstance(kept, ModelCheckpoint)
    kept.best_model_path = str(tmp_path / "last.ckpt")
    assert f"--ckpt_path {tmp_path}/last.ckpt" in way_on(ended)
    tell_no_model(ended, None)
    said = capsys.readouterr().out
    assert "last.ckpt holds the last epoch" in said
    assert "nothing was registered" in said
    with pytest.raises(ConfigError, match="nothing was registered as chest"):
        tell_no_model(ended, "chest")
