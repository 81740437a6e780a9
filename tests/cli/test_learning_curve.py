"""``learning-curve`` as it is typed, on a small phantom cohort: nested runs, one table."""

import io
import json
import math
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient

from medcnn.cli import learning_curve
from medcnn.cli.main import main
from medcnn.metrics.estimate import Estimate
from medcnn.tracking.learning import CURVE_TAG, SHARE_TAG, runs_of_curve
from medcnn.tracking.logger import RunLogger
from medcnn.tracking.runs import fetch_run

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
        """The first share in this process, which has everything imported already; a run that says the same after it."""
        self.fits.append(words)
        share = words[words.index("--data.init_args.train_share") + 1]
        if share == self.stop_at:
            return learning_curve.STOPPED
        return main(words) if share == "0.3" else self.repeated(json.loads(words[words.index("--tracking.tags") + 1]))

    def repeated(self, tags: dict[str, str]) -> int:
        """A second run as a fit on all cases leaves one: what was kept of the first, on more cases."""
        first = fetch_run(runs_of_curve("abc")["0.3"])
        assert first.folder is not None
        train = first.data["splits"]["train"]
        whole = {"cases": train["cases"] + first.data["left_out"], "patients": 2 * train["patients"]}
        logger = RunLogger(tags=tags)
        logger.log_metrics(first.metrics)
        client, run = logger.experiment, logger.run_id
        client.log_dict(run, first.config, "config.yaml")
        client.log_dict(run, {**first.data, "splits": {**first.data["splits"], "train": whole}}, "data.json")
        client.log_artifact(run, str(first.folder / "val" / "predictions.csv"), "val")
        logger.finalize("success")
        return 0

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
    assert "from 30 to 100 % of the cases val/auroc got better by 0.000 (the intervals overlap)" in said
    assert f"medcnn report runs:/{table['run'][1]}" in said


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


def point(share: float, value: float, reach: float, falls: bool = False) -> learning_curve.Point:
    found = Estimate(value, value - reach, value + reach, n=524)
    return learning_curve.Point(share, 100, None, "val/loss" if falls else "val/auroc", found, "run", falls)


@pytest.mark.parametrize(
    ("before", "last", "told"),
    [
        (point(0.5, 0.90, 0.01), point(1, 0.95, 0.01), "better by 0.050 (the intervals lie apart): more"),
        (point(0.5, 0.95, 0.01), point(1, 0.90, 0.01), "worse by 0.050 (the intervals lie apart): look"),
        (point(0.5, 0.96, 0.01), point(1, 0.965, 0.01), "(the intervals overlap): more cases of the same kind"),
        (point(0.5, 0.96, 0.05), point(1, 0.965, 0.05), "more cases may help; 524 validation cases cannot tell"),
        (point(0.5, 0.90, 0.03), point(1, 0.93, 0.02), "better by 0.030 (the intervals overlap): more cases may help"),
        (point(0.5, 0.5, 0.01, True), point(1, 0.4, 0.01, True), "val/loss got better by 0.100 (the"),
        (point(0.5, 0.90, math.nan), point(1, 0.93, 0.02), "without intervals that may be chance"),
        (point(0.5, math.nan, 0.01), point(1, 0.93, 0.02), "a figure is missing"),
    ],
)  # fmt: skip
def test_the_curve_answers_whether_more_cases_would_help(
    before: learning_curve.Point, last: learning_curve.Point, told: str
) -> None:
    line = learning_curve.verdict([before, last])
    assert told in line
    assert "\n" not in line
    assert learning_curve.verdict([last]) == ""


def test_where_nothing_tells_patients_the_table_counts_none() -> None:
    assert "not told" in learning_curve._shown([point(1, 0.9, 0.01)])


def test_a_file_in_place_of_the_folder_is_told_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.csv").touch()
    assert main(["learning-curve", "--config", "any.yaml", "--out", str(tmp_path / "table.csv")]) == 2
    assert "out is table.csv, which is a file" in capsys.readouterr().err
