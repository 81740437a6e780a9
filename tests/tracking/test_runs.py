"""A run is found by every name that people have for it, and a report in it replaces the one before."""

import math
import shutil
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from tracking_fakes import FakeData, FakeTask, fit_with, write_product

from medcnn.errors import TrackingError
from medcnn.metrics.estimate import Estimate
from medcnn.tracking import runs
from medcnn.tracking.learning import CURVE_TAG
from medcnn.tracking.logger import RunLogger
from medcnn.tracking.models import log_product
from medcnn.tracking.record import RunRecord
from medcnn.tracking.runs import fetch_run, log_report
from medcnn.tracking.store import open_store


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> RunLogger:
    """One run that was fitted, logged its model, and was tested."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("tested")
        shutil.copy(empty_store, folder / "mlflow.db")
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        logger, record, task = RunLogger("chest"), RunRecord(cam_every=0, cases=2, examine=[]), FakeTask()
        record.config_text = "model: {class_path: a.Task}"
        trainer = fit_with(logger, record, task, epochs=1)
        record.log_decision(trainer, task)
        log_product(logger, write_product(folder / "out"), register="chest_xray")
        trainer.test(task, datamodule=FakeData(), verbose=False)
    return logger


def test_every_name_leads_to_the_run(tested: RunLogger) -> None:
    run, store = str(tested.run_id), tested._tracking_uri
    names = [
        f"runs:/{run}",
        f"runs:/{run}/",
        run,
        run[:8],
        "last",
        "models:/chest_xray@champion",
        "models:/chest_xray/1",
    ]
    assert {fetch_run(name, store).run_id for name in names} == {run}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("0" * 32, "no run"), ("ffffffff", "begins with ffffffff"), ("models:/unheard@champion", "unheard"),
        ("models:/chest_xray", "names no version"), ("runs:/", "no run"), ("DOE^JOHN", "no run"),
    ],
)  # fmt: skip
def test_a_name_that_leads_nowhere_is_refused_in_one_line(tested: RunLogger, name: str, why: str) -> None:
    with pytest.raises(TrackingError, match=why) as caught:
        fetch_run(name, tested._tracking_uri)
    assert "\n" not in str(caught.value)


def test_a_beginning_that_several_runs_share_is_refused_with_their_names(workplace: Path) -> None:
    from mlflow.tracking import MlflowClient

    from medcnn.tracking.runs import find_run

    logger = RunLogger()
    _ = logger.experiment

    class Two(MlflowClient):
        def search_runs(self, *args: object, **kwargs: object) -> list:  # type: ignore[override,type-arg]
            return [self.get_run(str(logger.run_id))] * 2

    with pytest.raises(TrackingError, match="several runs begin with"):
        find_run(Two(f"sqlite:///{workplace}/mlflow.db"), str(logger.run_id)[:6])


def test_without_a_finished_run_there_is_no_last_one(workplace: Path) -> None:
    logger = RunLogger()
    _ = logger.experiment  # running
    with pytest.raises(TrackingError, match="no run has ended"):
        fetch_run("last")


def test_a_deleted_run_is_said_to_be_and_the_last_one_is_of_medcnn(workplace: Path) -> None:
    client = MlflowClient(open_store(None).tracking_uri)
    experiment = client.create_experiment("theirs")
    ours = client.create_run(experiment, tags={"medcnn.version": "1"}).info.run_id
    theirs = client.create_run(experiment).info.run_id
    for run in (ours, theirs):
        client.set_terminated(run)
    assert fetch_run("last").run_id == ours
    client.delete_run(ours)
    with pytest.raises(TrackingError, match=f"run {ours} is deleted; restore it"):
        fetch_run(ours)
    with pytest.raises(TrackingError, match="no run has ended"):
        fetch_run("last")


def test_the_facts_are_what_the_run_logged(tested: RunLogger) -> None:
    facts = fetch_run("last", tested._tracking_uri)
    assert (facts.experiment, facts.status, facts.started[-6:]) == ("chest", "FINISHED", "+00:00")
    assert facts.config == {"model": {"class_path": "a.Task"}}
    assert facts.data["digest"] == "d" * 64
    assert facts.decision == {"thresholds": {"pneumonia": 0.5}}
    assert facts.model["classes"] == ["normal", "pneumonia"]
    assert {"test/loss", "test/auroc_low", "val/auroc_high"} <= set(facts.metrics)
    assert facts.folder is not None
    assert (facts.folder / "test" / "predictions.csv").is_file()


def test_a_report_replaces_the_former_one_and_its_figures_stand_where_the_evaluation_stands(
    tested: RunLogger, tmp_path: Path
) -> None:
    run, store = str(tested.run_id), tested._tracking_uri
    headline = {"AUROC": Estimate(0.9, 0.8, 0.95), "calibration error": Estimate(0.1)}
    for name in ("old.html", "report.html"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text("page")
        log_report(
            run, folder, headline, f"**AUROC** in {tmp_path}/DOE_JOHN/x.csv\n\nsaid jane@mary.example.org", store
        )
    facts = fetch_run(run, store)
    assert facts.folder is not None
    assert [path.name for path in (facts.folder / "report").iterdir()] == ["report.html"]
    assert facts.metrics["report/auroc"] == 0.9
    assert facts.metrics["report_interval/auroc_low"] == 0.8
    assert facts.metrics["report/calibration_error"] == 0.1
    assert "report_interval/calibration_error_low" not in facts.metrics
    assert facts.tags["mlflow.note.content"] == "**AUROC** in <local>\n \nsaid <person>"
    step = tested.experiment.get_metric_history(run, "report/auroc")[0].step
    assert step == tested.experiment.get_metric_history(run, "test/loss")[0].step


def test_a_figure_that_is_not_known_stays_so(tested: RunLogger, tmp_path: Path) -> None:
    log_report(str(tested.run_id), tmp_path, {"ppv": Estimate(math.nan)}, "", tested._tracking_uri)
    assert math.isnan(fetch_run("last", tested._tracking_uri).metrics["report/ppv"])


def test_a_report_of_no_run_is_refused_in_one_line(tested: RunLogger, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="was not logged") as caught:
        log_report("a" * 32, tmp_path, {}, "", tested._tracking_uri)
    assert "\n" not in str(caught.value)


def test_artifacts_that_lie_elsewhere_are_downloaded(tested: RunLogger, monkeypatch: pytest.MonkeyPatch) -> None:
    import medcnn.tracking.runs as runs

    monkeypatch.setattr(runs, "LocalArtifactRepository", type("Other", (), {}))
    facts = fetch_run("last", tested._tracking_uri)
    here = fetch_run("last", tested._tracking_uri)
    assert facts.folder != here.folder  # each its own copy
    assert facts.folder is not None
    assert (facts.folder / "test" / "predictions.csv").is_file()
    assert not (facts.folder / "images").exists()


def test_a_report_of_validation_cases_leaves_what_that_of_the_test_said(tested: RunLogger, tmp_path: Path) -> None:
    run, store = str(tested.run_id), tested._tracking_uri
    (tmp_path / "report.html").write_text("page")
    former = fetch_run(run, store).folder
    assert former is not None
    shutil.rmtree(former / "report", ignore_errors=True)
    log_report(run, tmp_path, {"AUROC": Estimate(0.7)}, "of validation", store, name="report_val")
    assert fetch_run(run, store).tags["mlflow.note.content"] == "of validation"  # there was no other
    log_report(run, tmp_path, {"AUROC": Estimate(0.9)}, "of the test", store)
    log_report(run, tmp_path, {"AUROC": Estimate(0.8)}, "of validation", store, name="report_val")
    facts = fetch_run(run, store)
    assert facts.tags["mlflow.note.content"] == "of the test"
    assert (facts.metrics["report/auroc"], facts.metrics["report_val/auroc"]) == (0.9, 0.8)
    assert facts.folder is not None
    assert (facts.folder / "report" / "report.html").is_file()
    assert (facts.folder / "report_val" / "report.html").is_file()


def test_points_of_a_learning_curve_are_the_last_run_only_where_they_were_tested_or_alone(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_AT_ONCE", 2)
    client = MlflowClient(open_store(None).tracking_uri)
    experiment = client.create_experiment("chest")

    def ended(**more: str) -> str:
        run = client.create_run(experiment, tags={"medcnn.version": "1", **more}).info.run_id
        client.set_terminated(run)
        return str(run)

    first = ended(**{CURVE_TAG: "abc"})
    assert fetch_run("last").run_id == first
    model = ended()
    points = [ended(**{CURVE_TAG: "abc"}) for _ in range(4)]
    assert fetch_run("last").run_id == model
    client.log_metric(points[1], "test/auroc", 0.9)
    assert fetch_run("last").run_id == points[1]
