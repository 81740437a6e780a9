"""The verbs with two processes, typed as a user types them: one run, one model, and the figures of one process."""

import os
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient
from processes import finished

from medcnn.cli.main import main

CONFIG = {
    "trainer": {"accelerator": "cpu", "max_epochs": 2, "num_sanity_val_steps": 0, "enable_progress_bar": False},
    "record": {"cases": 2},
    "data": {
        "class_path": "medcnn.data.phantom.PhantomDataModule",
        "init_args": {
            "patients": 36,
            "size": 16,
            "batch_size": 8,
            "preprocess": [
                {"class_path": "medcnn.transforms.intensity.PercentileNormalized", "init_args": {"keys": "image"}}
            ],
        },
    },
    "model": {
        "class_path": "medcnn.tasks.classification.ClassificationTask",
        "init_args": {
            "net": {"class_path": "medcnn.nets.resnet.ResNet", "init_args": {"widths": [4, 8], "depths": [1, 1]}},
            "loss": {
                "class_path": "medcnn.losses.weighted_cross_entropy.WeightedCrossEntropy",
                "init_args": {"weight": "balanced"},
            },
            "scheduler": {"class_path": "medcnn.tasks.schedule.CosineWithWarmup"},
        },
    },
}


def typed(folder: Path, verb: str, *words: str) -> str:
    """What a verb says with two processes: Lightning starts the second by running the same command again."""
    command = [sys.executable, "-m", "medcnn", verb, "--config", "config.yaml", *words]
    command += ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    done = finished(command, cwd=folder, env=environment | {"OMP_NUM_THREADS": "1"}, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what two processes left of a training."""
    folder = tmp_path_factory.mktemp("both")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    assert typed(folder, "fit").count("\nrun ") == 1
    return folder


def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def best(folder: Path) -> str:
    [found] = folder.glob("checkpoints/*/best.ckpt")
    return str(found)


@pytest.mark.slow
def test_two_processes_leave_one_finished_run_with_one_model(fitted: Path) -> None:
    store = client(fitted)
    [run] = store.search_runs([e.experiment_id for e in store.search_experiments()])
    assert run.info.status == "FINISHED"
    assert len(store.get_metric_history(run.info.run_id, "train/loss")) == 2
    [model] = store.search_logged_models([run.info.experiment_id])
    assert model.source_run_id == run.info.run_id
    assert {path.name for path in Path(best(fitted)).parent.iterdir()} == {"best.ckpt", "last.ckpt"}


@pytest.mark.slow
def test_two_processes_evaluate_as_one_does(
    fitted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(fitted)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    words = ("--ckpt_path", best(fitted))
    for verb in ("validate", "predict"):
        assert main([verb, "--config", "config.yaml", *words, "--trainer.devices", "1"]) == 0
    alone = capsys.readouterr().out
    one = pd.read_csv("predictions.csv")
    assert alone == typed(fitted, "validate", *words) + typed(fitted, "predict", *words)
    assert len(one) % 2 == 1  # of an even number, no process would have to be given less
    pd.testing.assert_frame_equal(one, pd.read_csv("predictions.csv"), rtol=1e-6)
