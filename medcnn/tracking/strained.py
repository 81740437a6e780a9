"""How a model bears worse images, and what it follows that is no finding."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from medcnn.explain.embedding import embed
from medcnn.explain.shortcuts import find_shortcuts
from medcnn.report.outcome import Finding, Outcome
from medcnn.tracking.bench import BATCH, Bench

MOST = 400
#: Passes over the cases that looking for shortcuts takes: corners of a volume marked and hidden, the border.
LOOKS = 27
#: Findings that are looked at, of a model with many: the first ones.
FINDINGS = 5


def write_robustness(bench: Bench) -> dict[str, float]:
    """Nothing yet.

    Raises:
        ValueError: Always.
    """
    raise ValueError("worse images cannot be made yet")


def write_shortcuts(bench: Bench) -> dict[str, float]:
    """``shortcuts.csv``: whether the score of a finding follows a marker, the border or a group."""
    asked = bench.found.findings()[:FINDINGS]
    rows = bench.chosen(bench.affordable(MOST, LOOKS * len(asked)))
    outcome = bench.found.take(rows)
    images = torch.cat([batch["image"] for batch in bench.batches(rows)])
    features = np.concatenate([embed(bench.task.net, part).cpu().double().numpy() for part in images.split(BATCH)])
    parts = [_looks(bench, outcome, finding, images, features) for finding in outcome.findings()[:FINDINGS]]
    table = pd.DataFrame([look for part in parts for look in part])
    table.to_csv(bench.folder / "shortcuts.csv", index=False)
    return {"shortcuts_flagged": float(table["flagged"].sum()) if len(table) else float("nan")}


def _looks(
    bench: Bench, outcome: Outcome, finding: Finding, images: Tensor, features: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Every look at one finding of these cases, as rows; where there are several, each row names its own."""
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
    return [asdict(look) | {"name": prefix + look.name, "sentence": prefix + look.sentence} for look in looks]
