"""Volumes the whole way: fit on class folders of NIfTI files, then score and explain with what was fitted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.spatial.transform import Rotation

from medcnn.cli.main import main
from medcnn.io.nifti import read_nifti, write_nifti

CONFIG = {
    "trainer": {"accelerator": "cpu", "devices": 1, "max_epochs": 1, "enable_progress_bar": False},
    "data": {
        "class_path": "medcnn.data.mri.BrainMriDataModule",
        "init_args": {
            "source": "cohort",
            "batch_size": 8,
            "workers": 0,
            "preprocess": [
                {"class_path": "monai.transforms.Orientationd",
                 "init_args": {"keys": ["image"], "axcodes": "RAS", "labels": None}},
                {"class_path": "monai.transforms.ResizeWithPadOrCropd",
                 "init_args": {"keys": ["image"], "spatial_size": [12, 12, 12]}},
                {"class_path": "medcnn.transforms.intensity.MinMaxNormalized", "init_args": {"keys": "image"}},
            ],
        },
    },
    "model": {
        "class_path": "medcnn.tasks.classification.ClassificationTask",
        "init_args": {
            "net": {
                "class_path": "medcnn.nets.resnet.ResNet",
                "init_args": {"spatial_dims": 3, "widths": [4, 8], "depths": [1, 1]},
            },
            "loss": {"class_path": "torch.nn.CrossEntropyLoss"},
        },
    },
}  # fmt: skip


@pytest.mark.slow
def test_a_folder_of_volumes_goes_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix() * (3.0, 0.8, 1.1)
    chance = np.random.default_rng(0)
    for number in range(24):
        folder = tmp_path / "cohort" / ("well", "ill")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        voxels = chance.integers(0, 500, (9, 14, 11)).astype(np.int16)
        voxels[4:6, 5:8, 3:7] += 2000 * (number % 2)
        write_nifti(folder / f"{number}.nii.gz", voxels, affine)
    Path("config.yaml").write_text(yaml.safe_dump(CONFIG))
    assert main(["fit", "--config", "config.yaml"]) == 0
    (best,) = Path("checkpoints").glob("*/best.ckpt")
    assert main(["score", str(best), "cohort", "findings"]) == 0
    assert len(pd.read_csv("findings/findings.csv")) == 24
    assert main(["explain", str(best), "cohort/ill/1.nii.gz", "--finding", "ill", "--out", "seen", "--size", "64"]) == 0
    made = read_nifti(Path("seen/explanation_ill.nii.gz"))
    np.testing.assert_allclose(made.affine, affine, atol=1e-4)
