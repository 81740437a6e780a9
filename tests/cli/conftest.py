"""What the tests of the commands share: a cohort of phantoms that is fitted in half a second."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from medcnn.cli.main import main

TINY: dict[str, Any] = {
    "seed_everything": 3,
    "threads": 1,
    "trainer": {
        "accelerator": "cpu", "devices": 1, "max_epochs": 2, "num_sanity_val_steps": 0, "enable_progress_bar": False,
    },
    "record": {"cases": 1},
    "data": {
        "class_path": "medcnn.data.phantom.PhantomDataModule",
        "init_args": {"patients": 24, "size": 16, "batch_size": 8, "fractions": [0.3, 0.2]},
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
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.004}},
        },
    },
}  # fmt: skip

TinyFit = Callable[..., int]


@pytest.fixture
def tiny_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyFit:
    """Run ``medcnn fit`` with further words in a folder of its own, untracked unless asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY))

    def fit(*words: str, tracked: bool = False) -> int:
        untracked = () if tracked else ("--trainer.logger", "false")
        return main(["fit", "--config", "tiny.yaml", *untracked, *words])

    return fit
