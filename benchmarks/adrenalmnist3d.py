"""AdrenalMNIST3D by the shipped experiment: three seeds through ``fit`` and ``predict``, and the AUC of the test cases.

    python benchmarks/adrenalmnist3d.py ../shared/data/medmnist/adrenalmnist3d.npz [--seeds 0 1 2] [--set KEY VALUE ...]

Each seed is a process of its own, as a user would start it, in a folder that is gone afterwards. The interval of a seed
and of the mean is a percentile bootstrap over the test cases, drawn alike for all seeds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from medcnn.cli.configs import configs_folder
from medcnn.io.medmnist import read_npz

DRAWS = 2000


def medcnn(folder: Path, words: list[str]) -> None:
    """One command, quiet unless it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "medcnn", *words], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"medcnn {words[0]} ended with {done.returncode}: {done.stderr[-2000:]}")


def trained(source: Path, seed: int, more: list[str]) -> tuple[np.ndarray, float]:
    """Probabilities of the positive class of the test cases, in the order of the file, and the seconds of ``fit``."""
    config = ["--config", str(configs_folder() / "experiment" / "adrenalmnist3d.yaml")]
    config += ["--data.init_args.source", str(source.resolve()), "--trainer.enable_progress_bar", "false"]
    with tempfile.TemporaryDirectory() as made:
        folder, start = Path(made), time.perf_counter()
        medcnn(folder, ["fit", *config, "--seed_everything", str(seed), *more])
        seconds = time.perf_counter() - start
        (best,) = folder.glob("checkpoints/*/best.ckpt")
        medcnn(folder, ["predict", *config, *more, "--ckpt_path", str(best), "--out", "test.csv"])
        table = pd.read_csv(folder / "test.csv")
    number = table["case"].str.rsplit("-", n=1).str[1].astype(int)
    return table.iloc[np.argsort(number)].select_dtypes("number").iloc[:, -1].to_numpy(), seconds


def interval(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Of the mean AUC of the rows of ``scores``, by drawing the cases again."""
    generator, found = np.random.default_rng(0), []
    while len(found) < DRAWS:
        drawn = generator.integers(len(labels), size=len(labels))
        if 0 < labels[drawn].sum() < len(labels):
            found.append(np.mean([roc_auc_score(labels[drawn], row[drawn]) for row in scores]))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", nargs="*", default=[], help="further words for fit and predict, without their --")
    given = parser.parse_args()
    more = [f"--{word}" if place % 2 == 0 else word for place, word in enumerate(given.set)]
    labels = read_npz(given.source)["test_labels"].ravel()
    print("| seed | test AUC | 95 % interval | seconds of fit |\n|---|---|---|---|")
    scores = []
    for seed in given.seeds:
        score, seconds = trained(given.source, seed, more)
        scores.append(score)
        low, high = interval(labels, score[None])
        print(f"| {seed} | {roc_auc_score(labels, score):.4f} | {low:.4f} to {high:.4f} | {seconds:.0f} |", flush=True)
    low, high = interval(labels, np.array(scores))
    mean = np.mean([roc_auc_score(labels, score) for score in scores])
    print(f"| mean | {mean:.4f} | {low:.4f} to {high:.4f} | |")


if __name__ == "__main__":
    main()
