"""``learning-curve`` as it is typed, on a small phantom cohort: nested runs, one table."""

import io
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient

from medcnn.cli import learning_curve
from medcnn.cli.main import main
from medcnn.tracking.learning import CURVE_TAG, SHARE_TAG

TINY = {
    "seed_everything": 3,
    "trainer": {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 1,
        "num_sanity_val_steps": 0,
        "enable_progress_bar": False,
        "log_every_n_steps": 1,
    },
    "record": {"cases": 1, "cam_every": 0},
    "data": {
        "class_path": "medcnn.data.phantom.PhantomDataModule",
        "init_args": {"patients": 60, "size": 16, "batch_size": 16, "fractions": [0.3, 0.1]},
    },
    "model": {
        "class_path": "medcnn.tasks.classification.ClassificationTask",
        "init_args": {
            "net": {"class_path": "medcnn.nets.resnet.ResNet", "init_args": {"widths": [4], "depths": [1]}},
            "loss": {"class_path": "medcnn.losses.weighted_cross_entropy.WeightedCrossEntropy"},
        },
    },
}


class Curve:
    """A folder with a config, what was said, and which fits were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, folder / "tiny.yaml"
        self.config.write_text(yaml.safe_dump(TINY))
        self.fits: list[list[str]] = []
        self.stop_at: str | None = None

    def fit(self, words: list[str]) -> int:
        """In this process, which has everything imported already; stopped where the test says so."""
        self.fits.append(words)
        share = words[words.index("--data.init_args.train_share") + 1]
        return learning_curve.STOPPED if share == self.stop_at else main(words)

    def call(self, *words: str) -> tuple[int, str, str]:
        with redirect_stdout(io.StringIO()) as said, redirect_stderr(io.StringIO()) as errors:
            asked = ["learning-curve", "--config", str(self.config), "--shares", "[0.3, 1.0]", "--id", "abc", *words]
            code = learning_curve.run(asked, self.fit)
        return code, said.getvalue(), errors.getvalue()


@pytest.fixture(scope="module")
def curve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Curve, list[tuple[int, str, str]]]]:
    """Stopped before the second share, and gone on with."""
    place = Curve(tmp_path_factory.mktemp("curve"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        place.stop_at = "1"
        first = place.call()
        place.stop_at = None
        yield place, [first, place.call()]


def test_a_stopped_curve_tells_how_it_goes_on_and_trains_no_share_twice(
    curve: tuple[Curve, list[tuple[int, str, str]]],
) -> None:
    place, ((stopped, _, told), (done, _, _)) = curve
    assert (stopped, done) == (learning_curve.STOPPED, 0)
    assert "--id abc" in told
    shares = [words[words.index("--data.init_args.train_share") + 1] for words in place.fits]
    assert shares == ["0.3", "1", "1"]


def test_the_table_has_a_row_a_share_on_the_same_validation_cases(
    curve: tuple[Curve, list[tuple[int, str, str]]],
) -> None:
    place, (_, (_, said, _)) = curve
    table = pd.read_csv(place.folder / "learning_curve" / "learning_curve.csv")
    assert table["share"].tolist() == [0.3, 1.0]
    assert table["figure"].tolist() == ["val/auroc"] * 2
    assert 0.2 < table["cases"][0] / table["cases"][1] < 0.45
    assert table["patients"][0] < table["patients"][1]
    assert table["n"].nunique() == 1
    assert (table["low"] < table["value"]).all()
    assert (table["value"] < table["high"]).all()
    assert f"{table['value'][1]:.3f}" in said


def test_the_runs_are_tagged_and_the_largest_holds_the_table(curve: tuple[Curve, list[tuple[int, str, str]]]) -> None:
    place, _ = curve
    client = MlflowClient(f"sqlite:///{place.folder}/mlflow.db")
    table = pd.read_csv(place.folder / "learning_curve" / "learning_curve.csv")
    for row in table.to_dict("records"):
        run = client.get_run(row["run"])
        assert run.data.tags[CURVE_TAG] == "abc"
        assert float(run.data.tags[SHARE_TAG]) == row["share"]
        assert run.data.metrics["val/auroc"] == pytest.approx(row["value"], abs=1e-6)
    copy = Path(client.download_artifacts(table["run"][1], "learning_curve/learning_curve.csv"))
    assert copy.read_bytes() == (place.folder / "learning_curve" / "learning_curve.csv").read_bytes()
    assert not client.list_artifacts(table["run"][0], "learning_curve")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--shares", "[0.1,2]"], "--shares is '[0.1,2]'"),
        (["--shares", "half"], "expected numbers"),
        (["--register", "chest"], "--register does not go with"),
        (["--ckpt_path=last.ckpt"], "--ckpt_path does not go with"),
        (["--id", "a' or '1"], "letters and digits"),
    ],
)
def test_what_does_not_go_with_a_curve_is_one_line_and_code_2(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["learning-curve", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_fit_is_a_process_of_its_own_and_its_code_is_the_curve_s(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Process:
        def __init__(self, words: list[str]) -> None:
            asked.append(words)
            self.waits = 0

        def __enter__(self) -> "Process":
            return self

        def __exit__(self, *_: object) -> None:
            assert self.waits == 2

        def wait(self) -> int:
            self.waits += 1
            if self.waits == 1:
                raise KeyboardInterrupt
            return 130

    monkeypatch.setattr(learning_curve.subprocess, "Popen", Process)
    assert learning_curve._fit(["fit", "--config", "x"]) == learning_curve.STOPPED
    assert asked[0][1:] == ["-m", "medcnn", "fit", "--config", "x"]
