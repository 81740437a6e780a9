"""Two gloo processes against one, through the verbs: the same figures on an odd number of cases, one run, one model.

    python benchmarks/two_processes.py ../shared/data/medmnist/pneumoniamnist.npz [--cases 523] [--epochs 1]

Trains with two processes, then validates that checkpoint with one and with two. The validation split is cut to
``--cases``, an odd number, so that the two processes cannot be given as many each.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from medcnn.cli.configs import configs_folder
from medcnn.io.medmnist import read_npz
from medcnn.tracking.store import open_store

FIGURES = ("val/loss", "val/auroc", "val/average_precision", "val/brier", "val/sensitivity", "val/specificity")
RESULTS = Path(__file__).parent / "results" / "two_processes.md"


def cut(npz: Path, cases: int, out: Path) -> None:
    """The same archive with fewer validation cases, of both classes."""
    parts = read_npz(npz)
    for name in ("val_images", "val_labels"):
        parts[name] = parts[name][:cases]
    if cases % 2 == 0 or len(parts["val_labels"]) < cases or len(np.unique(parts["val_labels"])) < 2:
        raise SystemExit(f"--cases {cases}: give an odd number of cases that the archive has, with both classes")
    np.savez(out, **parts)


def verb(folder: Path, name: str, processes: int, *words: str) -> str:
    """What a verb says; it must end with 0."""
    config = configs_folder().resolve() / "experiment" / "pneumoniamnist.yaml"
    command = [sys.executable, "-m", "medcnn", name, "--config", config, "--data.init_args.source", "cohort.npz"]
    command += ["--trainer.accelerator", "cpu", "--trainer.devices", str(processes)]
    command += ["--trainer.strategy", "ddp" if processes > 1 else "auto", "--trainer.enable_progress_bar", "false"]
    kept = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    done = subprocess.run([*command, *words], cwd=folder, env=kept, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"medcnn {name} with {processes} process(es) ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def left_behind(folder: Path) -> tuple[str, str, int, int]:
    """The run's id and state, and how many runs and models the store holds."""
    store = open_store(f"sqlite:///{folder}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in store.search_experiments()]
    runs = store.search_runs(experiments)
    return runs[0].info.run_id, runs[0].info.status, len(runs), len(store.search_logged_models(experiments))


def logged_since(start: float, folder: Path, run_id: str) -> dict[str, float]:
    """The figures of the evaluation that began at ``start``, in full precision."""
    store = open_store(f"sqlite:///{folder}/mlflow.db")
    history = {name: store.get_metric_history(run_id, name) for name in FIGURES}
    found = {name: [m.value for m in metrics if m.timestamp >= 1000 * start] for name, metrics in history.items()}
    return {name: value for name, [value] in found.items()}


def report(cases: int, alone: dict[str, float], both: dict[str, float], runs: int, models: int, state: str) -> None:
    lines = [f"| {n} | {alone[n]:.10f} | {both[n]:.10f} | {abs(alone[n] - both[n]):.1e} |" for n in FIGURES]
    table = "\n".join(lines)
    text = f"""# Two processes and one

A checkpoint of `configs/experiment/pneumoniamnist.yaml`, trained with `--trainer.devices 2 --trainer.strategy ddp` on
the CPU (gloo), then validated by one process and by two on {cases} cases. One run of
`python benchmarks/two_processes.py`.

| figure | one process | two processes | difference |
|---|---|---|---|
{table}

The training with two processes ended with exit code 0 and left {runs} run ({state}) with {models} model.
"""
    print(text)
    RESULTS.write_text(text)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("npz", type=Path, help="pneumoniamnist.npz")
    options.add_argument("--cases", type=int, default=523)
    options.add_argument("--epochs", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        cut(given.npz, given.cases, folder / "cohort.npz")
        verb(folder, "fit", 2, "--trainer.max_epochs", str(given.epochs))
        run_id, state, runs, models = left_behind(folder)
        figures = []
        for processes in (1, 2):
            start = time.time()
            verb(folder, "validate", processes, "--ckpt_path", f"runs:/{run_id}")
            figures.append(logged_since(start, folder, run_id))
        report(given.cases, figures[0], figures[1], runs, models, state)
    if figures[0]["val/loss"] != figures[1]["val/loss"] or figures[0]["val/auroc"] != figures[1]["val/auroc"]:
        raise SystemExit("the figures differ")


if __name__ == "__main__":
    main()
