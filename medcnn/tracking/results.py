"""The figures of an evaluation and the tables behind them, as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from torch import Tensor

from medcnn.report.figures.evaluation import confusion_figure, precision_recall_figure, reliability_figure, roc_figure
from medcnn.report.outcome import Curve, Outcome, most_confident, precision_recall_of, reliability_of, roc_of
from medcnn.spreadsheet import write_frame
from medcnn.tracking.casework import case_names, groups_of, patients_of
from medcnn.tracking.looks import cam_figure

SPLITS = {"val": "validation cases", "test": "test cases"}


def outcome_of(trainer: pl.Trainer, task: Any, stage: str) -> Outcome | None:
    """What the task said in its last evaluation of ``stage``; None where it keeps no such thing."""
    found = getattr(task, "evaluated", {}).get(stage)
    decision = getattr(task, "decision", None)
    if found is None or decision is None or not len(found["cases"]):
        return None
    shares = task.probabilities(found["logits"].double())
    return Outcome(
        cases=case_names(trainer, found["cases"]),
        probabilities=shares.double().numpy(),
        labels=found["labels"].numpy(),
        calls=decision.call(shares, task.classes, task.multilabel),
        classes=list(task.classes),
        multilabel=task.multilabel,
        thresholds=decision.thresholds,
        patients=patients_of(trainer, found["cases"]),
        logits=found["logits"].double().numpy(),
        groups=groups_of(trainer, found["cases"], task.classes),
        split=stage,
    )


def write_results(folder: Path, trainer: pl.Trainer, task: Any, outcome: Outcome, stage: str, cases: int) -> None:
    """Write figures (PNG) and the tables behind them (CSV) of one evaluation into ``folder``."""
    of = SPLITS.get(stage, stage)
    findings = outcome.findings()
    rocs, recalls = [roc_of(f) for f in findings], [precision_recall_of(f) for f in findings]
    bins = {f.name: reliability_of(f) for f in findings}
    tables = {
        "predictions": outcome.table(),
        "roc": _points(rocs, "false_positive_rate", "sensitivity"),
        "precision_recall": _points(recalls, "sensitivity", "positive_predictive_value"),
        "confusion": outcome.confusion().rename_axis("true").reset_index(),
        "reliability": pd.concat([table.assign(finding=name) for name, table in bins.items()]),
    }
    figures = {
        "roc": roc_figure(rocs, f"ROC, {of}"),
        "precision_recall": precision_recall_figure(recalls, f"Precision and recall, {of}"),
        "confusion": confusion_figure(outcome.confusion(), f"Confusion, {of}", "called at the stored threshold"),
        "reliability": reliability_figure(bins, f"Calibration, {of}"),
        **_telling_cases(trainer, task, outcome, stage, cases),
    }
    for name, table in tables.items():
        write_frame(folder / f"{name}.csv", table)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png")


def _telling_cases(trainer: pl.Trainer, task: Any, outcome: Outcome, stage: str, n: int) -> dict[str, Figure]:
    """Grad-CAM of the cases that were called rightly and wrongly with most confidence, and of the extremes."""
    figures = {}
    for name, (title, rows, shown) in _chosen(outcome, n).items():
        batch = batch_of(trainer, task.evaluated[stage]["cases"][rows], stage) if rows else None
        if batch is not None:
            note = "relevance for the class that is named, Grad-CAM; each map is scaled by itself"
            figures[name] = cam_figure(trainer, task, batch, shown, f"{title}, {SPLITS.get(stage, stage)}", note)
    return figures


def _chosen(outcome: Outcome, n: int) -> dict[str, tuple[str, list[int], list[int]]]:
    """Name of a picture to its title, the rows to show, and the class to look for in each."""
    found = {}
    for name, word, right in (("most_confident_right", "rightly", True), ("most_confident_wrong", "wrongly", False)):
        rows = most_confident(outcome, n, right)
        found[name] = (f"Called {word} with most confidence", rows, [_called_class(outcome, row) for row in rows])
    if outcome.binary:
        order = np.argsort(outcome.probabilities[:, 1], kind="stable").tolist()
        finding = outcome.classes[1]
        for name, word, rows in (("highest", "Highest", order[::-1][:n]), ("lowest", "Lowest", order[:n])):
            found[f"{name}_probability"] = (f"{word} probability of {finding}", rows, [1] * len(rows))
    return found


def _called_class(outcome: Outcome, row: int) -> int:
    """The class to look for: the one called, of several findings the most probable."""
    if outcome.multilabel:
        return int(np.argmax(outcome.probabilities[row]))
    return list(outcome.classes).index(outcome.calls[row])


def batch_of(trainer: pl.Trainer, cases: Tensor, stage: str) -> dict[str, Tensor] | None:
    """Images, labels and numbers of chosen cases in the order asked for, from the split's own loader."""
    loader: Any = getattr(trainer.datamodule, f"{stage}_dataloader", list)()  # type: ignore[attr-defined]
    if hasattr(loader, "batch"):
        return loader.batch(cases)
    wanted = {int(case): place for place, case in enumerate(cases)}
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for batch in loader:
        for image, label, case in zip(batch["image"], batch["label"], batch["case"], strict=True):
            if int(case) in wanted:
                found[wanted[int(case)]] = (image, label)
    if len(found) < len(wanted):  # some are with another process
        return None
    images, labels = zip(*(found[place] for place in range(len(wanted))), strict=True)
    return {"image": torch.stack(images), "label": torch.stack(labels), "case": cases}


def _points(curves: Sequence[Curve], x: str, y: str) -> pd.DataFrame:
    return pd.concat([pd.DataFrame({"finding": c.name, x: c.x, y: c.y, "threshold": c.threshold}) for c in curves])
