"""A chest X-ray model from the shipped experiment to its report: fit, test once, report.

    python benchmarks/chest_report.py ../shared/data/chest_xray FOLDER

FOLDER receives the manifest, the store of runs and ``report/``. The manifest adds columns that describe groups: the
cause that the file names tell (bacterial, viral, none), whether the patient has one film or several, and how bright
the film is (by thirds of the mean gray value).
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from medcnn.cli.configs import configs_folder

PATIENT = re.compile(r"(person\d+|(?:NORMAL2-)?IM-\d+)")


def manifest_of(source: Path) -> pd.DataFrame:
    """A row a film: path, label, patient and the columns of groups."""
    rows = []
    for path in sorted(source.glob("*/*.jpeg")):
        cause = next((word for word in ("bacteria", "virus") if word in path.name), "none")
        found = PATIENT.match(path.name)
        rows.append({"path": str(path.relative_to(source)), "label": path.parent.name,
                     "patient": found.group(1) if found else path.stem, "cause": cause,
                     "gray": float(np.asarray(Image.open(path).convert("L")).mean())})  # fmt: skip
    table = pd.DataFrame(rows)
    several = table.groupby("patient")["path"].transform("size") > 1
    thirds = pd.qcut(table["gray"], 3, labels=["dark", "middle", "bright"]).astype(str)
    return table.drop(columns="gray").assign(films=np.where(several, "several", "one"), brightness=thirds)


def main() -> None:
    """Run the verbs one after the other and say how long each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    manifest = given.folder / "manifest.csv"
    manifest_of(given.source).to_csv(manifest, index=False)
    cohort = ["--config", str(configs_folder() / "experiment" / "chest_xray.yaml"),
              "--data.init_args.source", "manifest.csv", "--data.init_args.root", str(given.source.resolve()),
              "--data.init_args.patient", "column:patient", "--tracking.experiment", "chest",
              "--trainer.enable_progress_bar", "false"]  # fmt: skip
    steps = (
        ["fit", *cohort, "--register", "chest"],
        ["test", *cohort, "--ckpt_path", "models:/chest@champion"],
        ["report", "last", "--prevalence", "0.1", "--out", "report"],
    )
    for words in steps:
        start = time.perf_counter()
        environment = {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}
        done = subprocess.run([sys.executable, "-m", "medcnn", *words], cwd=given.folder, env=environment, check=False)
        if done.returncode:
            raise SystemExit(done.returncode)
        print(f"{words[0]}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
