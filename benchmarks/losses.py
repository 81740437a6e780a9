"""Three losses side by side on one seed, through ``medcnn fit`` and ``medcnn test``.

    python benchmarks/losses.py ../shared/data/medmnist/pneumoniamnist.npz [--epochs N] [--seed 0]

Unweighted and balanced cross-entropy, and a cost matrix in which a missed pneumonia costs five false alarms; all else
as in ``configs/experiment/pneumoniamnist.yaml``. The threshold is the one ``fit`` chose on validation cases for the
target sensitivity; what the same probabilities give at a plain 0.5 stands beside it.
"""

import argparse
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medcnn.cli.configs import configs_folder
from medcnn.cli.main import main as medcnn
from medcnn.tasks.checkpoint import open_product
from medcnn.tracking.store import open_store

PLACE = "medcnn.losses"
LOSSES: dict[str, dict[str, Any]] = {
    "unweighted": {
        "class_path": f"{PLACE}.weighted_cross_entropy.WeightedCrossEntropy",
        "init_args": {"weight": None, "label_smoothing": 0.05},
    },
    "balanced classes": {
        "class_path": f"{PLACE}.weighted_cross_entropy.WeightedCrossEntropy",
        "init_args": {"weight": "balanced", "label_smoothing": 0.05},
    },
    "cost matrix, a miss costs 5": {
        "class_path": f"{PLACE}.cost_matrix_cross_entropy.CostMatrixCrossEntropy",
        "init_args": {"cost": [[0, 1], [5, 0]]},
    },
}
RESULTS = Path(__file__).parent / "results" / "losses.md"


def config_for(loss: dict[str, Any], npz: Path, seed: int, epochs: int | None) -> dict[str, Any]:
    """The experiment as one mapping, with another loss in it."""
    import yaml

    folder = configs_folder().resolve() / "experiment"
    config = yaml.safe_load((folder / "pneumoniamnist.yaml").read_text())
    for part in ("trainer", "data", "model"):
        config[part] = yaml.safe_load((folder / config[part]).resolve().read_text())
    config["seed_everything"] = seed
    config["data"]["init_args"]["source"] = str(npz)
    config["model"]["init_args"]["loss"] = loss
    config["trainer"]["enable_progress_bar"] = False
    if epochs:
        config["trainer"]["max_epochs"] = epochs
    Path("config.yaml").write_text(yaml.safe_dump(config))
    return config


def figures_of(run_id: str) -> dict[str, float]:
    """The test figures of a run as they were logged, and sensitivity and specificity at 0.5 from its predictions."""
    client = open_store()
    logged = client.get_run(run_id).data.metrics
    table = pd.read_csv(client.download_artifacts(run_id, "test/predictions.csv"))
    decision = open_product(Path("checkpoints", run_id, "best.ckpt")).decision or {}
    [(finding, threshold)] = decision["thresholds"].items()
    called, true = table[f"probability/{finding}"] >= 0.5, table["label"] == finding
    return {
        "auroc": logged["test/auroc"],
        "threshold": threshold,
        "sensitivity": logged["test/sensitivity"],
        "specificity": logged["test/specificity"],
        "sensitivity_half": float(called[true].mean()),
        "specificity_half": float((~called)[~true].mean()),
    }


def fit_and_test(loss: dict[str, Any], npz: Path, seed: int, epochs: int | None) -> tuple[dict[str, float], int]:
    """Figures on the test cases, and epochs asked for; leaves nothing behind."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        config = config_for(loss, npz, seed, epochs)
        _verb("fit")
        [run] = Path("checkpoints").iterdir()
        _verb("test", "--ckpt_path", f"runs:/{run.name}")
        return figures_of(run.name), config["trainer"]["max_epochs"]


def _verb(verb: str, *words: str) -> None:
    if medcnn([verb, "--config", "config.yaml", *words]):
        raise SystemExit(f"medcnn {verb} failed; the line above says why")


def report(rows: dict[str, dict[str, float]], seed: int, epochs: int) -> None:
    lines = [
        f"| {name} | {f['auroc']:.4f} | {f['threshold']:.4f} | {f['sensitivity']:.4f} | {f['specificity']:.4f} "
        f"| {f['sensitivity_half']:.4f} | {f['specificity_half']:.4f} |"
        for name, f in rows.items()
    ]
    table = "\n".join(lines)
    spread = np.ptp([f["auroc"] for f in rows.values()])
    text = f"""# Three losses on one seed

PneumoniaMNIST's test cases; `configs/experiment/pneumoniamnist.yaml` with seed {seed} and at most {epochs} epochs, only
the loss differs. One run of `python benchmarks/losses.py`. Thresholds were chosen on validation cases for a sensitivity
of 0.95. In the cost matrix a missed pneumonia costs five false alarms.

| loss | AUC | threshold | sensitivity | specificity | sensitivity at 0.5 | specificity at 0.5 |
|---|---|---|---|---|---|---|
{table}

The AUCs lie within {spread:.4f}. Probabilities are calibrated by one temperature, which moves none across 0.5.
"""
    print(text)
    RESULTS.write_text(text)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("npz", type=Path, help="pneumoniamnist.npz")
    options.add_argument("--epochs", type=int, default=None, help="those of the configuration by default")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    npz = given.npz.resolve()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    found = {name: fit_and_test(loss, npz, given.seed, given.epochs) for name, loss in LOSSES.items()}
    report({name: figures for name, (figures, _) in found.items()}, given.seed, max(e for _, e in found.values()))


if __name__ == "__main__":
    main()
