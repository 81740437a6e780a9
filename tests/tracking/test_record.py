"""A run can be judged from what it holds, and names nobody."""

import getpass
import io
import socket
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from tracking_fakes import FakeData, FakeTask, fit_with, stored_bytes

from medcnn.tracking.logger import RunLogger
from medcnn.tracking.record import RunRecord

CONFIG = """
seed_everything: 7
model:
  class_path: medcnn.tasks.classification.ClassificationTask
  init_args: {lr: 0.1}
data:
  class_path: medcnn.data.xray.ChestXrayDataModule
  init_args:
    source: /srv/Hospital St. Mary/DOE, JOHN 1960-01-01
    cache_dir: ../caches/DOE^JOHN
    patient: column:patient
    preprocess:
      - {class_path: medcnn.transforms.intensity.PercentileNormalized, init_args: {keys: image}}
tracking: {tags: {site: "read from /srv/Hospital St. Mary/scans by jane@mary.example.org"}}
"""
PLANTED = (b"DOE", b"JOHN", b"Mary", b"1960-01", b"jane@")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> tuple[Path, RunLogger]:
    """One run with everything in it; the tests below read it."""
    import shutil

    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("fitted") / "DOE_JOHN"
        folder.mkdir()
        shutil.copy(empty_store, folder / "mlflow.db")
        patch.chdir(folder)
        logger, record = RunLogger(tracking_uri=f"sqlite:///{folder}/mlflow.db"), RunRecord(cam_every=1, cases=4)
        record.config_text = CONFIG
        task = FakeTask()
        trainer = fit_with(logger, record, task)
        record.log_decision(trainer, task)
        trainer.test(task, datamodule=FakeData(), verbose=False)
    return folder, logger


def artifact(folder: Path, logger: RunLogger, name: str) -> Path:
    return folder / logger.experiment.get_run(logger.run_id).info.artifact_uri / name


def test_nothing_in_the_store_or_its_artifacts_names_a_person_a_place_or_a_machine(
    fitted: tuple[Path, RunLogger],
) -> None:
    folder, _ = fitted
    names = {getpass.getuser().encode(), Path.home().name.encode(), socket.gethostname().encode()}
    # Words of three letters and less stand in any compressed picture; the account "root" names nobody.
    names = {name for name in names if len(name) > 3 and name != b"root"}
    forbidden = [*PLANTED, str(folder).encode(), b"/tmp/", b"/home/", *names]
    stored = stored_bytes(folder)
    assert len(stored) > 10
    assert {(name, word) for name, content in stored.items() for word in forbidden if word in content} == set()
    assert not [name for name in stored for word in forbidden if word.decode() in name]


def test_parameters_are_called_as_on_the_command_line(fitted: tuple[Path, RunLogger]) -> None:
    _, logger = fitted
    held = logger.experiment.get_run(logger.run_id).data.params
    assert held["model.init_args.lr"] == "0.1"
    assert held["data.init_args.preprocess.0.init_args.keys"] == "image"
    assert held["data.init_args.source"] == held["data.init_args.cache_dir"] == "<local>"
    assert held["data.init_args.patient"] == "column:patient"
    assert "lr" not in held  # Lightning's own list of hyper-parameters would say everything twice


def test_the_composed_config_is_kept_whole_but_for_places(fitted: tuple[Path, RunLogger]) -> None:
    kept = artifact(*fitted, "config.yaml").read_text()
    assert "medcnn.data.xray.ChestXrayDataModule" in kept
    assert "source: <local>" in kept


def test_metrics_stand_at_their_epoch_and_the_test_at_the_last_one(fitted: tuple[Path, RunLogger]) -> None:
    _, logger = fitted
    history = logger.experiment.get_metric_history(logger.run_id, "val/loss")
    assert [entry.step for entry in history] == [0, 1]
    assert [entry.step for entry in logger.experiment.get_metric_history(logger.run_id, "test/loss")] == [0]


def test_each_split_has_a_dataset_entry_with_digest_and_class_counts(fitted: tuple[Path, RunLogger]) -> None:
    _, logger = fitted
    entries = {
        entry.tags[0].value: entry.dataset for entry in logger.experiment.get_run(logger.run_id).inputs.dataset_inputs
    }
    assert set(entries) == {"training", "validation"}
    assert entries["training"].digest == "d" * 36
    assert '"pneumonia": 6' in entries["training"].profile
    assert logger.experiment.get_run(logger.run_id).data.tags["data.digest"] == "d" * 64


def test_the_run_tells_code_libraries_device_and_seed(fitted: tuple[Path, RunLogger]) -> None:
    _, logger = fitted
    tags = logger.experiment.get_run(logger.run_id).data.tags
    assert {"medcnn.version", "package.torch", "package.monai", "device", "cpu.count", "seed"} <= set(tags)
    assert not {"mlflow.user", "mlflow.source.name", "mlflow.source.git.repoURL"} & set(tags)


def test_the_fixed_cases_are_looked_at_in_every_chosen_epoch(fitted: tuple[Path, RunLogger]) -> None:
    pictures = [path.name.split("+")[:3:2] for path in artifact(*fitted, "images").iterdir() if path.suffix == ".png"]
    assert {step for key, step in pictures if key == "grad_cam_val"} == {"0", "1"}


def test_the_figures_of_an_evaluation_stand_in_the_image_grid_beside_those_of_other_runs(
    fitted: tuple[Path, RunLogger],
) -> None:
    pictures = {path.name.split("+")[0] for path in artifact(*fitted, "images").iterdir()}
    assert {"val_roc", "val_confusion", "test_roc", "test_confusion", "test_reliability"} <= pictures


@pytest.mark.parametrize("stage", ["val", "test"])
def test_figures_stand_beside_the_data_they_were_drawn_from(fitted: tuple[Path, RunLogger], stage: str) -> None:
    place = artifact(*fitted, stage)
    names = {path.name for path in place.iterdir()}
    drawn = {"roc", "precision_recall", "confusion", "reliability"}
    assert {f"{name}{end}" for name in drawn for end in (".png", ".csv")} <= names
    assert {"predictions.csv"} <= names
    assert names & {"most_confident_right.png", "most_confident_wrong.png"}
    assert min(Image.open(io.BytesIO((place / f"{name}.png").read_bytes())).size[0] for name in drawn) > 300


def test_predictions_hold_pseudonyms_and_give_back_the_curve(fitted: tuple[Path, RunLogger]) -> None:
    table = pd.read_csv(artifact(*fitted, "val") / "predictions.csv")
    curve = pd.read_csv(artifact(*fitted, "val") / "roc.csv")
    assert list(table.columns) == [
        "case", "patient", "label", "logit/normal", "logit/pneumonia", "probability/normal", "probability/pneumonia",
        "call", "group/sex",
    ]  # fmt: skip
    assert table["case"].str.fullmatch("c[0-9a-f]{12}").all()
    area = ((curve["sensitivity"] + curve["sensitivity"].shift()) / 2 * curve["false_positive_rate"].diff()).sum()
    expected = roc_auc_score(table["label"] == "pneumonia", table["probability/pneumonia"])
    assert area == pytest.approx(expected, abs=0.03)  # the table rounds to six digits, so ties may differ


def test_without_a_composed_config_the_hyperparameters_and_figures_are_logged_at_the_end(workplace: Path) -> None:
    logger = RunLogger()
    fit_with(logger, RunRecord(cam_every=0), epochs=1)
    run = logger.experiment.get_run(logger.run_id)
    assert run.data.params["lr"] == "0.1"
    assert (workplace / run.info.artifact_uri / "val" / "roc.png").is_file()
    pictures = {path.name.split("+")[0] for path in (workplace / run.info.artifact_uri / "images").iterdir()}
    assert not {name for name in pictures if name.startswith("grad_cam")}
    assert run.info.status == "FINISHED"


def test_a_task_and_data_of_another_make_are_recorded_as_far_as_they_tell(workplace: Path) -> None:
    import pytorch_lightning as pl
    from pytorch_lightning.demos.boring_classes import BoringModel

    logger = RunLogger()
    trainer = pl.Trainer(
        accelerator="cpu", fast_dev_run=False, max_epochs=1, limit_train_batches=2, limit_val_batches=2, logger=logger,
        callbacks=[RunRecord()], enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(BoringModel())
    assert logger.experiment.get_run(logger.run_id).info.status == "FINISHED"
