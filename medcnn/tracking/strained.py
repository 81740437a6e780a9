"""How a model bears worse images, and what it follows that is no finding."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from medcnn.explain.embedding import embed
from medcnn.explain.looks import Shortcut, in_short
from medcnn.explain.robustness import Row, robustness, segmentation_robustness, worst_in_short
from medcnn.explain.shortcuts import find_shortcuts
from medcnn.report.figures.examination import robustness_figure
from medcnn.report.intervals import Estimate, mean_auroc
from medcnn.report.outcome import Finding, Outcome
from medcnn.spreadsheet import write_frame
from medcnn.tracking.bench import BATCH, LONG, SECONDS, Bench, Told
from medcnn.tracking.casework import patients_of
from medcnn.tracking.segmented import cases_of

MOST, MOST_MASKS, FEWEST_MASKS = 400, 24, 3
#: Passes over the cases that seven ways to get worse take, in five strengths, and the images as they are.
PASSES = 36
#: Passes over the cases that looking for shortcuts takes: corners of a volume marked and hidden, the border.
LOOKS = 27
#: Findings that are looked at, of a model with many: the first ones.
FINDINGS = 5


def write_robustness(bench: Bench) -> Told:
    """The AUROC of the same cases with worse images: ``robustness.csv`` and ``.png``."""
    rows = bench.chosen(bench.affordable(MOST, PASSES))
    outcome = bench.found.take(rows)
    names, several = list(outcome.classes), outcome.multilabel

    def figure(probabilities: NDArray[np.float64], _: NDArray[Any]) -> Estimate:
        return mean_auroc(replace(outcome, probabilities=probabilities))

    def called(probabilities: NDArray[np.float64]) -> NDArray[Any]:
        return np.asarray(bench.task.decision.call(torch.from_numpy(probabilities), names, several), dtype=object)

    batches = ((batch["image"], batch["label"]) for batch in bench.batches(rows))
    return _kept(bench, robustness(bench.answer, batches, figure, called=called, most=len(rows)), len(rows))


def write_robustness_of_masks(bench: Bench) -> Told:
    """The mean Dice of some cases with worse images: ``robustness.csv`` and ``.png``."""
    numbers = bench.numbers[bench.chosen(MOST_MASKS)]
    first = cases_of(bench.trainer, numbers[:1].tolist(), "test")
    start = time.perf_counter()
    for case in first.values():
        bench.answer_voxels(case["image"][None])
    each = time.perf_counter() - start
    numbers = numbers[: int(np.clip(SECONDS / max(each * PASSES, 1e-9), FEWEST_MASKS, MOST_MASKS))]
    if (seconds := each * PASSES * len(numbers)) > LONG:
        bench.tell(f"  {bench.share(len(numbers))}, about {seconds:.0f} s")
    cases = cases_of(bench.trainer, numbers.tolist(), "test")
    if len(cases) < len(numbers):
        raise ValueError("some test cases are with another process: run `medcnn test` on one device")
    device, kind = bench.task.device, bench.task.dtype
    batches = [(cases[n]["image"][None].to(device, kind), cases[n]["mask"][None].to(device)) for n in numbers.tolist()]
    patients = patients_of(bench.trainer, numbers)
    found = segmentation_robustness(bench.answer_voxels, batches, patients, most=len(batches))
    return _kept(bench, found, len(batches))


def _kept(bench: Bench, rows: Sequence[Row], cases: int) -> Told:
    table = pd.DataFrame([asdict(row) for row in rows])
    write_frame(bench.folder / "robustness.csv", table)
    robustness_figure(table).savefig(bench.folder / "robustness.png")
    drop = float(table["value"].iloc[0] - table["value"].iloc[1:].min())
    return Told({"robustness_worst_drop": drop}, f"{worst_in_short(rows)} ({bench.share(cases)})")


def write_shortcuts(bench: Bench) -> Told:
    """``shortcuts.csv``: whether the score of a finding follows a marker, the border or a group."""
    asked = bench.found.findings()[:FINDINGS]
    rows = bench.chosen(bench.affordable(MOST, LOOKS * len(asked)))
    outcome = bench.found.take(rows)
    images = torch.cat([batch["image"] for batch in bench.batches(rows)])
    features = np.concatenate([embed(bench.task.net, part).cpu().double().numpy() for part in images.split(BATCH)])
    parts = [_looks(bench, outcome, finding, images, features) for finding in outcome.findings()[:FINDINGS]]
    looks = [look for part in parts for look in part]
    write_frame(bench.folder / "shortcuts.csv", pd.DataFrame([asdict(look) for look in looks]))
    flagged = float(sum(look.flagged for look in looks)) if looks else float("nan")
    return Told({"shortcuts_flagged": flagged}, f"{in_short(looks)} ({bench.share(len(rows))})")


def _looks(
    bench: Bench, outcome: Outcome, finding: Finding, images: Tensor, features: NDArray[np.float64]
) -> list[Shortcut]:
    """Every look at one finding of these cases; where there are several, each names its own."""
    rows, several = finding.rows, len(outcome.findings()) > 1
    assert rows is not None
    groups = pd.DataFrame() if outcome.groups is None else outcome.groups.iloc[rows]
    looks = find_shortcuts(
        bench.answer,
        images[torch.as_tensor(rows, device=images.device)],
        finding.positive,
        index=list(outcome.classes).index(finding.name),
        threshold=finding.threshold if np.isfinite(finding.threshold) else 0.5,
        columns={str(name): values.tolist() for name, values in groups.items()},
        patients=finding.patients,
        features=features[rows],
        batch=BATCH,
    )
    prefix = f"{finding.name}: " if several else ""
    return [replace(look, name=prefix + look.name, sentence=prefix + look.sentence) for look in looks]
