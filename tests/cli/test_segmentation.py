"""A segmentation through the verbs: from a folder of volumes to a run that shows what was found."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient
from sphere_cohort import ball_case

from medcnn.cli.main import main
from medcnn.io.nifti import write_nifti

LOSSES = "medcnn.losses."
CROSS_ENTROPY = LOSSES + "weighted_cross_entropy.WeightedCrossEntropy"
CONFIG: dict[str, Any] = {
    "seed_everything": 0,
    "threads": 1,
    "trainer": {"accelerator": "cpu", "devices": 1, "max_epochs": 10, "num_sanity_val_steps": 0,
                "enable_progress_bar": False, "check_val_every_n_epoch": 2},
    "data": {
        "class_path": "medcnn.data.segmentation.SegmentationDataModule",
        "init_args": {"source": "cohort", "classes": {0: "background", 1: "small", 2: "large"},
                      "patch_size": [12, 12, 8], "batch_size": 4, "patches_per_epoch": 32, "fractions": [0.25, 0.25],
                      "workers": 0},
    },
    "model": {
        "class_path": "medcnn.tasks.segmentation.SegmentationTask",
        "init_args": {
            "net": {"class_path": "medcnn.nets.unet.UNet",
                    "init_args": {"widths": [8, 16], "strides": [2], "out_channels": 3, "deep_supervision": True}},
            "loss": {"class_path": "medcnn.losses.deep_supervision.DeepSupervision",
                     "init_args": {"loss": {"class_path": "medcnn.losses.weighted_sum.WeightedSum",
                                            "init_args": {"losses": [{"class_path": LOSSES + "soft_dice.SoftDice"},
                                                                     {"class_path": CROSS_ENTROPY}]}}}},
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.02}},
            "mirror_axes": [0],
        },
    },
    "record": {"cam_every": 2, "cases": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cohort of twelve cases and a finished run over it."""
    folder = tmp_path_factory.mktemp("segmentation")
    for number in range(12):
        case = ball_case(number)
        for name, values in (("images", case["image"][0, 0]), ("labels", case["mask"][0].byte())):
            (folder / "cohort" / name).mkdir(parents=True, exist_ok=True)
            path = folder / "cohort" / name / f"DOE_{number}.nii.gz"
            write_nifti(path, values.numpy(), case["affine"][0].numpy())
    (folder / "balls.yaml").write_text(yaml.safe_dump(CONFIG))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert main(["fit", "--config", "balls.yaml", "--register", "balls"]) == 0
        yield folder


def client_of(place: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{place}/mlflow.db")


def run_of(place: Path) -> str:
    [folder] = (place / "checkpoints").iterdir()
    return folder.name


def test_the_best_checkpoint_is_told_by_the_dice_of_the_task(place: Path) -> None:
    client = client_of(place)
    run = client.get_run(run_of(place))
    assert run.data.params["checkpoint.monitor"] == run.data.params["early_stopping.monitor"] == "val/dice"
    assert run.data.metrics["val/dice"] > 0.8
    assert {"val/dice/small", "val/nsd", "val/hd95_mm", "val/dice_low"} <= run.data.metrics.keys()


def test_the_run_holds_overlays_a_table_of_cases_and_a_box_plot(place: Path) -> None:
    client, run_id = client_of(place), run_of(place)
    artifacts = {artifact.path for artifact in client.list_artifacts(run_id, "val")}
    names = {"cases.csv", "summary.json", "dice.png", "best_cases.png", "worst_cases.png"}
    assert {f"val/{name}" for name in names} <= artifacts
    pictures = [Path(artifact.path).name for artifact in client.list_artifacts(run_id, "images")]
    assert pictures
    assert {name.split("+")[0] for name in pictures} == {"overlay_val", "val_dice", "val_worst_cases"}
    table = pd.read_csv(client.download_artifacts(run_id, "val/cases.csv"))
    assert set(table["class"]) == {"small", "large"}
    assert table["case"].nunique() * 2 == len(table)
    metrics = client.get_run(run_id).data.metrics
    assert table.groupby("class")["dice"].mean().mean() == pytest.approx(metrics["val/dice"], abs=1e-5)


def test_the_test_is_judged_on_the_files_own_grid(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = run_of(place)
    assert main(["test", "--config", "balls.yaml", "--ckpt_path", f"runs:/{run_id}"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"test/dice +[01]\.\d{4} \([01]\.\d{4} to [01]\.\d{4}\)", said)
    assert re.search(r"test/hd95_mm +\d.* mm$", said, re.MULTILINE)
    assert re.search(r"test/nsd .* of the surface within 1 mm$", said, re.MULTILINE)
    assert said.count("95 % intervals") == 1


def test_predictions_are_volumes_by_case(place: Path) -> None:
    assert main(["predict", "--config", "balls.yaml", "--ckpt_path", f"runs:/{run_of(place)}", "--out", "v.csv"]) == 0
    table = pd.read_csv(place / "v.csv")
    assert list(table.columns) == ["case", "volume_mm3/small", "volume_mm3/large"]
    assert (table["volume_mm3/large"] > table["volume_mm3/small"]).all()


def test_the_registered_model_answers_for_every_voxel_of_an_image_of_any_size(place: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{place}/mlflow.db")
    model = mlflow.pyfunc.load_model("models:/balls@champion")
    image = ball_case(50, (13, 18, 9))["image"]
    shares = model.predict(image.numpy())
    assert shares.shape == (1, 3, 13, 18, 9)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
