"""``fit``, ``validate``, ``test`` and ``predict`` as they are typed, on a small phantom cohort."""

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mlflow.tracking import MlflowClient

from medcnn.cli.configs import configs_folder
from medcnn.cli.main import main
from medcnn.tasks.archive import read_checkpoint
from medcnn.tasks.checkpoint import open_product

TINY = {
    "seed_everything": 3,
    "trainer": {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 4,
        "num_sanity_val_steps": 0,
        "enable_progress_bar": False,
        "log_every_n_steps": 1,
    },
    "early_stopping": {"patience": 50},
    "record": {"cases": 2},
    "data": {
        "class_path": "medcnn.data.phantom.PhantomDataModule",
        "init_args": {
            "patients": 36,
            "size": 24,
            "batch_size": 16,
            "preprocess": [
                {"class_path": "medcnn.transforms.intensity.PercentileNormalized", "init_args": {"keys": "image"}}
            ],
            "augment": {
                "class_path": "medcnn.transforms.augment.BatchAugment",
                "init_args": {"translate": 0.1, "noise_std": 0.05},
            },
        },
    },
    "model": {
        "class_path": "medcnn.tasks.classification.ClassificationTask",
        "init_args": {
            "net": {
                "class_path": "medcnn.nets.resnet.ResNet",
                "init_args": {"widths": [4, 8], "depths": [1, 1], "dropout": 0.1},
            },
            "loss": {
                "class_path": "medcnn.losses.weighted_cross_entropy.WeightedCrossEntropy",
                "init_args": {"weight": "balanced"},
            },
            "scheduler": {"class_path": "medcnn.tasks.schedule.CosineWithWarmup"},
        },
    },
}


class Place:
    """A folder with a config and a finished run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, folder / "tiny.yaml"
        self.config.write_text(yaml.safe_dump(TINY))
        self.code, self.run_id, self.said = -1, "", ""

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.folder}/mlflow.db")

    def checkpoint(self, name: str = "best", run_id: str = "") -> Path:
        return self.folder / "checkpoints" / (run_id or self.run_id) / f"{name}.ckpt"


def run_of(text: str) -> str:
    found = re.search(r"^run +([0-9a-f]{32})", text, re.MULTILINE)
    assert found, text
    return found[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Fitted once, through the verb."""
    place = Place(tmp_path_factory.mktemp("fit"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with redirect_stdout(io.StringIO()) as said:
            place.code = main(["fit", "--config", str(place.config), "--register", "tiny"])
        place.said = said.getvalue()
        runs = list((place.folder / "checkpoints").iterdir())
        place.run_id = runs[0].name
        yield place


def test_fit_leaves_a_finished_run_with_figures_and_its_one_model(place: Place) -> None:
    assert place.code == 0
    run = place.client.get_run(place.run_id)
    assert run.info.status == "FINISHED"
    assert 0 <= run.data.metrics["val/auroc"] <= 1
    assert len(place.client.get_metric_history(place.run_id, "train/loss")) == 4
    version = place.client.get_model_version_by_alias("tiny", "champion")
    assert version.run_id == place.run_id
    assert "registered tiny version 1 as champion\n" in place.said
    assert "medcnn score models:/tiny@champion FOLDER OUT" in place.said


def test_the_composed_configuration_is_in_the_run_without_a_path(place: Place) -> None:
    text = Path(place.client.download_artifacts(place.run_id, "config.yaml")).read_text()
    assert yaml.safe_load(text)["trainer"]["max_epochs"] == 4
    assert str(place.folder) not in text


def test_the_checkpoint_holds_the_decision_and_what_the_data_told_the_model(place: Place) -> None:
    product = open_product(place.checkpoint())
    assert product.classes == ("normal", "opacity")
    assert product.decision is not None
    assert set(product.decision["thresholds"]) >= {"opacity"}
    assert product.provenance["run_id"] == place.run_id


def test_test_writes_into_the_run_that_made_the_checkpoint(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["test", "--config", str(place.config), "--ckpt_path", f"runs:/{place.run_id}"]
    assert main(words) == 0
    shown = float(re.search(r"test/auroc +([0-9.]+)", capsys.readouterr().out)[1])
    run = place.client.get_run(place.run_id)
    assert run.data.metrics["test/auroc"] == pytest.approx(shown, abs=1e-4)
    assert run.info.status == "FINISHED"
    assert len(place.client.search_runs([run.info.experiment_id])) == 1
    assert run.data.metrics["test/auroc_low"] <= run.data.metrics["test/auroc"] <= run.data.metrics["test/auroc_high"]
    assert "test cases" in run.data.tags["mlflow.note.content"]


def test_what_test_ends_with_makes_the_page_and_logs_it(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--config", str(place.config), "--ckpt_path", f"runs:/{place.run_id}"]) == 0
    words = re.search(r"^next +medcnn (.+)$", capsys.readouterr().out, re.MULTILINE)[1].split()
    assert words == ["report", f"runs:/{place.run_id}"]
    assert main(words) == 0
    said = capsys.readouterr().out
    run = place.client.get_run(place.run_id)
    assert f"{run.data.metrics['report/auroc']:.3f}" in said
    assert run.data.metrics["report/auroc"] == pytest.approx(run.data.metrics["test/auroc"], abs=1e-6)  # one is float32
    assert "report.html" in run.data.tags["mlflow.note.content"]
    here = (place.folder / f"report_{place.run_id[:8]}" / "report.html").read_bytes()
    assert Path(place.client.download_artifacts(place.run_id, "report/report.html")).read_bytes() == here


def test_a_run_without_a_test_says_with_which_command_to_make_one(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", "--config", str(place.config), "--trainer.max_epochs", "1"]
    assert main(words) == 0
    run = run_of(capsys.readouterr().out)
    assert main(["report", run]) == 2
    assert f"medcnn test --config CONFIG --ckpt_path runs:/{run}" in capsys.readouterr().err


def test_a_file_a_run_and_a_registered_model_are_the_same_model(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(place.checkpoint()), f"runs:/{place.run_id}", "models:/tiny@champion"]
    figures = []
    for name in names:
        assert main(["validate", "--config", str(place.config), "--trainer.logger", "false", "--ckpt_path", name]) == 0
        figures.append(re.findall(r"val/\w+ +[0-9.]+", capsys.readouterr().out))
    assert figures[0]
    assert figures[0] == figures[1] == figures[2]


def test_predict_writes_a_row_for_each_case(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    out = place.folder / "predicted.csv"
    words = ["predict", "--config", str(place.config), "--ckpt_path", f"runs:/{place.run_id}", "--out", str(out)]
    assert main(words) == 0
    table = pd.read_csv(out)
    assert str(len(table)) in capsys.readouterr().out
    assert table["case"].is_unique
    assert (table[["normal", "opacity"]].sum(axis=1) - 1).abs().max() < 1e-5
    assert set(table["call"]) <= {"normal", "opacity"}


def test_a_resumed_fit_ends_with_the_weights_of_an_uninterrupted_one(place: Place) -> None:
    start = ["fit", "--config", str(place.config), "--model.init_args.scheduler", "null", "--trainer.max_epochs"]

    def fit(epochs: int, *words: str) -> str:
        before = set((place.folder / "checkpoints").iterdir())
        assert main([*start, str(epochs), *words]) == 0
        return next((run.name for run in set((place.folder / "checkpoints").iterdir()) - before), "")

    whole, half = fit(3), fit(1)
    assert fit(3, "--ckpt_path", f"runs:/{half}") == ""
    resumed, uninterrupted = (read_checkpoint(place.checkpoint("last", run)) for run in (half, whole))
    assert resumed["global_step"] == uninterrupted["global_step"]
    for part in ("state_dict", "current_model_state"):
        assert all(torch.equal(resumed[part][name], value) for name, value in uninterrupted[part].items())
    assert len(place.client.get_metric_history(half, "train/loss")) == 3
    assert place.client.get_run(half).info.status == "FINISHED"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trainer.epochs", "2"], "trainer.epochs"),
        (["--model.init_args.net.init_args.width", "3"], "width"),
        (["--model", "medcnn.tasks.classification.NoSuchTask"], "NoSuchTask"),
        (["--data.init_args.batch_size", "many"], "batch_size"),
        (["--config", "gone.yaml"], "gone.yaml"),
        (["--ckpt_path", "gone.ckpt"], "gone.ckpt"),
    ],
)
def test_what_does_not_parse_is_one_line_and_code_2(
    place: Place, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--config", str(place.config), *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_judging_needs_a_model(place: Place, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--config", str(place.config)]) == 2
    assert "--ckpt_path" in capsys.readouterr().err


def test_a_model_of_other_classes_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    images = torch.zeros(8, 24, 24, dtype=torch.uint8).numpy()
    labels = torch.tensor([[0], [1]] * 4).numpy()
    parts = {f"{s}_images": images + i for i, s in enumerate(("train", "val", "test"))}
    np.savez("pneumoniamnist.npz", **parts, **{f"{s}_labels": labels for s in ("train", "val", "test")})
    data = ["--data", "medcnn.data.medmnist.MedMnistDataModule", "--data.init_args.source", "pneumoniamnist.npz"]
    words = ["test", "--config", str(place.config), *data, "--ckpt_path", f"runs:/{place.run_id}"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "opacity" in error
    assert "pneumonia" in error


EXPERIMENTS = sorted((configs_folder() / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_shipped_experiment_is_whole(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--config", str(experiment), "--print_config"])
    assert ended.value.code == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["model"]["init_args"]["net"]["class_path"].startswith(("medcnn.", "monai."))
    assert "Unable to serialize" not in str(config)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "medcnn.data.xray.ChestXrayDataModule", "--data.init_args.source", "nope"], "nope"),
        (["--model.init_args.target_sensitivity", "1.5"], "target_sensitivity is 1.5"),
        (["--trainer.max_epochs", "-3"], "max_epochs"),
        (["--model.init_args.net.init_args.out_channels", "3"], "--model.init_args.net.init_args.out_channels 2"),
    ],
)
def test_what_does_not_fit_is_one_line_too(
    place: Place, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--config", str(place.config), *words]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert said in error[-1]
    assert error[-1].startswith("medcnn fit: ")
    assert not any("Traceback" in line for line in error)


def test_a_test_on_cases_that_were_trained_on_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["test", "--config", str(place.config), "--ckpt_path", f"runs:/{place.run_id}"]
    before = len(place.client.get_metric_history(place.run_id, "test/loss"))
    assert main([*words, "--data.init_args.seed", "5"]) == 2
    assert "were trained on" in capsys.readouterr().err
    assert len(place.client.get_metric_history(place.run_id, "test/loss")) == before


def test_a_validation_on_cases_that_were_trained_on_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["validate", "--config", str(place.config), "--ckpt_path", f"runs:/{place.run_id}"]
    assert main([*words, "--data.init_args.seed", "5"]) == 2
    assert "validation cases were trained on" in capsys.readouterr().err


def test_a_resume_on_another_split_names_the_seed(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "--config", str(place.config), "--ckpt_path", str(place.checkpoint("last"))]
    before = place.checkpoint("last").read_bytes()
    assert main([*words, "--trainer.max_epochs", "6", "--data.init_args.seed", "5"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "validation cases were trained on" in error
    assert "seed 0, now 5" in error
    assert place.checkpoint("last").read_bytes() == before


def test_the_positive_class_is_printed_and_stored(place: Place) -> None:
    classes = open_product(place.checkpoint()).classes
    assert place.said.splitlines()[0] == f"positive class: {classes[1]} (of {', '.join(classes)})"
    assert open_product(place.checkpoint()).provenance["positive"] == classes[1]


def test_a_resume_that_is_already_over_is_told_in_one_line(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "--config", str(place.config), "--ckpt_path", str(place.checkpoint("last"))]
    assert main([*words, "--trainer.max_epochs", "1"]) == 2
    assert "max_epochs" in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_fit_that_would_keep_nothing_is_refused_before_it_starts(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = set((place.folder / "checkpoints").iterdir())
    assert main(["fit", "--config", str(place.config), "--trainer.check_val_every_n_epoch", "5"]) == 2
    assert "4 epochs, validation every 5" in capsys.readouterr().err
    assert set((place.folder / "checkpoints").iterdir()) == runs


def test_a_fit_can_do_without_a_logger(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "--config", str(place.config), "--trainer.logger", "false", "--trainer.max_epochs", "1"]
    assert main(words) == 0
    assert "not tracked" in capsys.readouterr().out


def test_a_fit_in_float64_draws_its_maps_in_float64(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "--config", str(place.config), "--trainer.precision", "64-true", "--trainer.max_epochs", "1"]
    assert main(words) == 0
    run = run_of(capsys.readouterr().out)
    assert main(["test", *words[1:5], "--ckpt_path", f"runs:/{run}"]) == 0


@pytest.mark.parametrize(
    ("part", "value"),
    [("loops", 5), ("callbacks", "x"), ("optimizer_states", {"a": 1}), ("lr_schedulers", None), ("decision", [])],
)
def test_a_damaged_training_state_is_refused_in_one_line(
    part: str, value: object, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = place.folder / "damaged.ckpt"
    torch.save(read_checkpoint(place.checkpoint("last")) | {part: value}, damaged)
    words = ["fit", "--config", str(place.config), "--trainer.logger", "false", "--ckpt_path", str(damaged)]
    assert main([*words, "--trainer.max_epochs", "9"]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the training in the checkpoint cannot be resumed" in line or "the model's decision" in line
