"""A run says truly how it ended, and stays one run when it is resumed."""

import math
from pathlib import Path

import pytest
import pytorch_lightning as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tracking_fakes import FakeData, FakeTask, fit_with

from medcnn.errors import TrackingError
from medcnn.tracking.logger import RunLogger, flatten
from medcnn.tracking.record import RunRecord


def silent() -> RunRecord:
    return RunRecord(cam_every=0)


def status(logger: RunLogger) -> str:
    return str(RunLogger(tracking_uri=logger._tracking_uri).experiment.get_run(logger.run_id).info.status)


def test_the_store_is_read_from_the_environment_when_the_run_is_made(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "elsewhere").mkdir()
    (workplace / "mlflow.db").rename(workplace / "elsewhere" / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workplace}/elsewhere/mlflow.db")
    logger = RunLogger()
    logger.experiment.log_text(logger.run_id, "here", "note.txt")
    assert (workplace / "elsewhere" / "mlartifacts").is_dir()
    assert not (workplace / "mlflow.db").exists()


def test_a_run_is_named_by_its_experiment_and_the_time_and_names_nobody(workplace: Path) -> None:
    pl.seed_everything(7)
    logger = RunLogger("chest")
    run = logger.experiment.get_run(logger.run_id)
    assert run.info.run_name.startswith("chest-20")
    # Neither user, nor script, nor working directory.
    assert set(run.data.tags) == {"mlflow.runName", "medcnn.version"}


def test_a_training_that_ends_is_finished(workplace: Path) -> None:
    logger = RunLogger()
    fit_with(logger, silent())
    assert status(logger) == "FINISHED"


@pytest.mark.parametrize(("error", "raised", "ended"), [
    (ValueError, ValueError, "FAILED"), (KeyboardInterrupt, SystemExit, "KILLED"), (SystemExit, SystemExit, "KILLED"),
])  # fmt: skip
def test_a_training_that_breaks_off_is_not_left_running(
    workplace: Path, error: type[BaseException], raised: type[BaseException], ended: str
) -> None:
    logger = RunLogger()
    with pytest.raises(raised):
        fit_with(logger, silent(), FakeTask(explode_at=1, error=error))
    assert status(logger) == ended


def test_a_process_that_leaves_between_two_stages_leaves_no_running_run(workplace: Path) -> None:
    logger = RunLogger()
    assert logger.run_id
    assert status(logger) == "RUNNING"
    logger._close_at_exit()
    assert status(logger) == "KILLED"


def test_a_resumed_run_runs_again_keeps_its_parameters_and_notes_what_changed(workplace: Path) -> None:
    first = RunLogger()
    fit_with(first, silent(), FakeTask(lr=0.1))
    again = RunLogger(run_id=first.run_id)
    assert again.run_id == first.run_id
    assert status(again) == "RUNNING"
    fit_with(again, silent(), FakeTask(lr=0.2))
    data = again.experiment.get_run(first.run_id).data
    assert data.params["lr"] == "0.1"
    assert data.tags["drift.lr"] == "0.1 -> 0.2"
    assert status(again) == "FINISHED"


def test_a_test_in_a_later_process_belongs_to_the_run_and_to_no_epoch(workplace: Path) -> None:
    first = RunLogger()
    fit_with(first, silent(), epochs=3)
    later = RunLogger()
    assert later.continue_run(str(first.run_id))
    trainer = pl.Trainer(
        accelerator="cpu", logger=later, callbacks=[silent()], enable_progress_bar=False, enable_model_summary=False
    )
    trainer.test(FakeTask(), datamodule=FakeData(), verbose=False)
    assert later.run_id == first.run_id
    assert [m.step for m in later.experiment.get_metric_history(later.run_id, "test/loss")] == [0]


def test_a_model_from_elsewhere_is_tested_in_a_run_of_its_own_that_says_so(workplace: Path) -> None:
    logger = RunLogger()
    assert not logger.continue_run("a" * 32)
    assert logger.experiment.get_run(logger.run_id).data.tags["medcnn.made_by_run"] == "a" * 32


def test_the_model_of_a_deleted_run_gets_a_new_run(workplace: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = RunLogger()
    first.experiment.delete_run(first.run_id)
    logger = RunLogger()
    assert not logger.continue_run(str(first.run_id))
    assert f"run {first.run_id} is deleted" in caplog.text
    assert logger.run_id != first.run_id
    assert logger.experiment.get_run(logger.run_id).data.tags["medcnn.made_by_run"] == first.run_id


def test_a_deleted_run_that_is_named_is_refused_in_one_line(workplace: Path) -> None:
    first = RunLogger()
    first.experiment.delete_run(first.run_id)
    with pytest.raises(TrackingError, match=f"run {first.run_id} is deleted; restore it"):
        _ = RunLogger(run_id=first.run_id).experiment


def test_a_store_that_does_not_answer_is_not_a_missing_run(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionError("refused")

    logger = RunLogger()
    monkeypatch.setattr("medcnn.tracking.buffered_client.BufferedClient.get_run", refuse)
    with pytest.raises(TrackingError, match=r"does not answer as expected \(refused\)"):
        logger.continue_run("a" * 32)


def test_an_unknown_run_is_refused_in_one_line(workplace: Path) -> None:
    with pytest.raises(TrackingError, match="no run nowhere in sqlite") as caught:
        _ = RunLogger(run_id="nowhere").experiment
    assert "\n" not in str(caught.value)


def test_a_store_of_a_kind_that_mlflow_gave_up_is_refused_in_one_line(workplace: Path) -> None:
    with pytest.raises(TrackingError, match="does not open") as caught:
        RunLogger(tracking_uri="redis://localhost")
    assert "\n" not in str(caught.value)


def test_a_long_value_is_cut_where_mlflow_would_refuse_it_and_says_so(workplace: Path) -> None:
    logger = RunLogger()
    logger.log_config({"long": "x" * 7000, "short": "y" * 5999, **{f"p{i}": i for i in range(250)}})
    params = logger.experiment.get_run(logger.run_id).data.params
    assert len(params["long"]) == 6000
    assert params["long"].endswith("(cut; whole in config.yaml)")
    assert params["short"] == "y" * 5999
    assert len(params) == 252


def test_a_missing_figure_stays_missing(workplace: Path) -> None:
    logger = RunLogger()
    logger.log_metrics({"val/auroc": math.nan, "epoch": 0})
    assert math.isnan(logger.experiment.get_run(logger.run_id).data.metrics["val/auroc"])


nested = st.recursive(
    st.integers() | st.text(max_size=5),
    lambda inner: (
        st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3) | st.lists(inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), nested, max_size=3))
def test_flattening_loses_no_leaf_and_leaves_no_mapping(config: dict[str, object]) -> None:
    def leaves(value: object) -> int:
        if isinstance(value, dict) and value:
            return sum(map(leaves, value.values()))
        if isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
            return sum(map(leaves, value))
        return 1

    flat = flatten(config)
    assert len(flat) == sum(map(leaves, config.values()))
    assert not any(isinstance(value, dict) and value for value in flat.values())


def test_a_run_whose_store_was_removed_is_left_without_a_word(
    workplace: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = RunLogger()
    _ = logger.experiment
    (workplace / "mlflow.db").unlink()
    logger._close_at_exit()
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    assert not (workplace / "mlflow.db").exists()
