from pathlib import Path

import numpy as np
import pytest
import yaml

from medcnn.cli.main import main
from medcnn.io.nifti import write_nifti


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Six noisy volumes with a bright ball, on a turned, unequal grid."""
    rng = np.random.default_rng(0)
    affine = np.array([[0, 0, 1.5, -10], [-1.0, 0, 0, 5], [0, 1.0, 0, 3], [0, 0, 0, 1]])
    index = np.stack(np.meshgrid(*map(np.arange, (24, 24, 16)), indexing="ij"))
    for number in range(6):
        ball = ((index - rng.uniform(8, 10, (3, 1, 1, 1))) ** 2).sum(0) < 20
        write_nifti(_at(tmp_path, "images", number), (100 * ball + rng.normal(0, 20, ball.shape)).astype("f4"), affine)
        write_nifti(_at(tmp_path, "labels", number), ball.astype(np.uint8), affine)
    return tmp_path


def _at(root: Path, folder: str, number: int) -> Path:
    (root / folder).mkdir(exist_ok=True)
    return root / folder / f"case_{number}.nii.gz"


def test_what_is_planned_can_be_fitted(
    cohort: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(cohort)
    words = ["plan", str(cohort), "plan.yaml", "--classes", "[background, ball]", "--width", "4", "--folds", "2"]
    assert main([*words, "--test_fraction", "0.34"]) == 0
    said = capsys.readouterr().out
    assert "100 epochs of 250 steps" in said
    assert "no GPU" in said
    planned = yaml.safe_load(Path("plan.yaml").read_text())
    data, net = planned["data"]["init_args"], planned["model"]["init_args"]["net"]["init_args"]
    # Axes in the order right, front, head: 16 voxels of 1.5 mm, 24 of 1, 24 of 1.
    assert data["patch_size"] == [16, 24, 24]
    assert (net["in_channels"], net["out_channels"], net["widths"][0]) == (1, 2, 4)
    words = ["fit", "--config", "plan.yaml", "--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1"]
    words += ["--data.init_args.patches_per_epoch", "4", "--trainer.accelerator", "cpu"]
    assert main(words) == 0
    assert "medcnn test" in capsys.readouterr().out  # two of the six are kept for it


def test_a_plan_that_is_there_is_not_written_over(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = cohort / "plan.yaml"
    out.write_text("mine")
    assert main(["plan", str(cohort), str(out), "--classes", "[background, ball]"]) == 2
    assert out.read_text() == "mine"
    assert "is there already" in capsys.readouterr().err


def test_classes_have_to_be_named(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(cohort), str(cohort / "plan.yaml")]) == 2
    assert "name the label values" in capsys.readouterr().err
