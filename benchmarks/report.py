"""The page of 100,000 predictions: seconds and memory of its figures, its HTML and its files.

    python benchmarks/report.py

Synthetic cases with a fixed seed: 100,000 of 40,000 patients, three columns of groups, 20,000 validation cases. The
figures are made, then the page and every file behind it are written, in one process with one thread; the peak is that
of the whole process, what importing takes beside it.
"""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from medcnn.report.classification_page import classification_page
from medcnn.report.facts import RunFacts
from medcnn.report.outcome import Outcome
from medcnn.report.outcome_table import outcome_from_table
from medcnn.report.page.html import write_page


def predictions(cases: int, patients: int, seed: int, split: str) -> pd.DataFrame:
    """A table as a run leaves it behind: one finding in ten cases, cases of one patient alike."""
    chance = np.random.default_rng(seed)
    owner = chance.integers(0, patients, cases)
    present = chance.random(cases) < 0.1
    logit = 2.2 * present - 3 + chance.normal(size=patients)[owner] * 0.7 + chance.normal(size=cases)
    share = 1 / (1 + np.exp(-logit / 1.2))
    return pd.DataFrame({
        "case": [f"{split}-{place:06d}" for place in range(cases)],
        "patient": [f"{split}-p{number:05d}" for number in owner],
        "label": np.where(present, "pneumonia", "normal"),
        "logit/normal": 0.0,
        "logit/pneumonia": logit,
        "probability/normal": 1 - share,
        "probability/pneumonia": share,
        "group/sex": chance.choice(["F", "M"], cases),
        "group/age": chance.normal(55, 18, cases).round(),
        "group/scanner": chance.choice(list("ABCDEF"), cases),
    })  # fmt: skip


def read(table: pd.DataFrame, split: str) -> Outcome:
    return outcome_from_table(table, ["normal", "pneumonia"], {"pneumonia": 0.12}, split)


def now() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    tables = predictions(100_000, 40_000, 0, "test"), predictions(20_000, 8_000, 1, "val")
    facts = RunFacts(name="synthetic", decision={"temperature": 1.2, "chosen_on": "val", "target_sensitivity": 0.95})
    before = peak_mib()
    marks = [now()]
    test, val = (read(table, split) for table, split in zip(tables, ("test", "val"), strict=True))
    marks.append(now())
    page = classification_page(test, val, facts, prevalence=0.02)
    marks.append(now())
    with tempfile.TemporaryDirectory() as folder:
        written = write_page(page, Path(folder))
        marks.append(now())
        sizes = [path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()]
        html = written.stat().st_size
    steps = ("table to outcome", "figures and pictures", "HTML and files", "all")
    spent = np.vstack([np.diff(marks, axis=0), np.subtract(marks[-1], marks[0])])
    print("| step | CPU seconds | seconds on the wall |\n|---|---|---|")
    print("\n".join(f"| {step} | {cpu:.1f} | {wall:.1f} |" for step, (cpu, wall) in zip(steps, spent, strict=True)))
    print(f"\nPeak {peak_mib():.0f} MiB, of which {before:.0f} MiB before the first step.")
    print(f"HTML {html / 1e6:.2f} MB; {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB together.")


if __name__ == "__main__":
    main()
