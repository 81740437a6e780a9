"""Anterior and posterior hippocampus by the shipped experiment: folds through ``fit``, Dice of the cases left out.

    python benchmarks/hippocampus.py ../shared/data/hippocampus [--folds 0 1 2 3 4] [--set KEY VALUE ...]

Each fold is a process of its own, as a user would start it, in a folder that is gone afterwards. Dice is measured on
the grid of the files with the weights that ``fit`` kept; intervals are 95 %, by drawing patients again.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from medcnn.cli.configs import configs_folder

REGIONS = ("anterior", "posterior")


def fitted(source: Path, fold: int, more: list[str]) -> tuple[dict[str, float], pd.DataFrame, float, float]:
    """Figures and the table of cases of one fold; wall seconds and processor seconds of ``fit``."""
    words = ["fit", "--config", str(configs_folder() / "experiment" / "hippocampus.yaml")]
    words += ["--data.init_args.source", str(source.resolve()), "--data.init_args.fold", str(fold)]
    words += ["--trainer.enable_progress_bar", "false", *more]
    with tempfile.TemporaryDirectory() as made:
        folder, start, before = Path(made), time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "medcnn", *words], cwd=folder, capture_output=True, text=True, check=False,
            env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"},
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"medcnn fit ended with {done.returncode}: {done.stderr[-2000:]}")
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        (summary,) = folder.rglob("val/summary.json")
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return json.loads(summary.read_text())["values"], pd.read_csv(summary.with_name("cases.csv")), seconds, used


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--folds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", nargs="*", default=[], help="further words for fit, without their --")
    given = parser.parse_args()
    more = [f"--{word}" if place % 2 == 0 else word for place, word in enumerate(given.set)]
    print("| fold | cases | Dice | anterior | posterior | surface within 1 mm | 95 % distance, mm "
          "| mean mm3, true / found | wall s | CPU s |\n|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for fold in given.folds:
        values, cases, wall, used = fitted(given.source, fold, more)
        names = ["dice", *(f"dice/{region}" for region in REGIONS)]
        told = [f"{values[n]:.4f} ({values[f'{n}_low']:.4f} to {values[f'{n}_high']:.4f})" for n in names]
        volumes = cases.groupby("class")[["truth_mm3", "volume_mm3"]].mean()
        sizes = "; ".join(f"{volumes.truth_mm3[r]:.0f} / {volumes.volume_mm3[r]:.0f}" for r in REGIONS)
        row = [str(fold), str(len(cases) // len(REGIONS)), *told, f"{values['nsd']:.4f}", f"{values['hd95_mm']:.2f}",
               sizes, f"{wall:.0f}", f"{used:.0f}"]  # fmt: skip
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
