"""What a segmentation records: overlays of chosen cases, Dice by case as a table, and a box plot of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medcnn.report.figures.segmentation import dice_figure, overlay_figure
from medcnn.report.segmentation import CaseScores, Shown
from medcnn.spreadsheet import write_frame
from medcnn.tracking.casework import case_names, groups_of, patients_of
from medcnn.tracking.looks import pixels_of
from medcnn.tracking.scrub import scrub

Case = Mapping[str, Any]
SPLITS = {"val": "validation cases", "test": "test cases"}


def overlays_of_fixed_cases(
    trainer: pl.Trainer, task: pl.LightningModule, n: int, epoch: int
) -> NDArray[np.uint8] | None:
    """The same validation cases with truth and prediction in every epoch ``(rows, columns, 3)``; None without any."""
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    if not hasattr(datamodule, "fixed_cases") or not hasattr(task, "predict"):
        return None
    cases = datamodule.fixed_cases("val", n)
    if not len(cases):
        return None
    names = case_names(trainer, torch.tensor([int(case["case"]) for case in cases]))
    return pixels_of(_overlays(task, cases, names, f"What the net finds, epoch {epoch}", "validation cases"))


def scores_of(trainer: pl.Trainer, task: Any, stage: str) -> CaseScores | None:
    """How well the last evaluation of ``stage`` segmented each case; None where the task keeps no such thing."""
    found = getattr(task, "evaluated", {}).get(stage)
    if found is None or "dice" not in found or not len(found["cases"]):
        return None
    by_class = {name: values.numpy() for name, values in found.items() if values.ndim == 2}
    measured = {name: values for name, values in by_class.items() if not np.isnan(values).all()}
    return CaseScores(
        cases=case_names(trainer, found["cases"]),
        classes=list(task.classes[1:]),
        figures={"dice": by_class["dice"], "truth_mm3": by_class["truth_mm3"]} | measured,
    )


def write_scores(folder: Path, trainer: pl.Trainer, task: Any, scores: CaseScores, stage: str, cases: int) -> None:
    """Write the table (CSV), the summary with its intervals (JSON) and the figures (PNG) of one evaluation."""
    of = SPLITS.get(stage, stage)
    write_frame(folder / "cases.csv", case_rows(trainer, task, scores, stage))
    summary = getattr(task, "summaries", {}).get(stage)
    if summary is not None:
        text = json.dumps(scrub(_plain(vars(summary))), indent=2)
        (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    figures = {"dice": dice_figure(scores, f"Dice by class, {of}")}
    for name, best in (("best_cases", True), ("worst_cases", False)):
        rows = scores.ranked(cases, best)
        figure = _chosen(trainer, task, scores, rows, stage, f"{'Best' if best else 'Worst'} {of}")
        if figure is not None:
            figures[name] = figure
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png")


def case_rows(trainer: pl.Trainer, task: Any, scores: CaseScores, stage: str) -> pd.DataFrame:
    """One row a case and class: pseudonyms of case and patient, class, every figure, and the groups it belongs to."""
    table, numbers = scores.table(), task.evaluated[stage]["cases"]
    repeated = np.repeat(np.arange(len(numbers)), len(scores.classes))
    patients, groups = patients_of(trainer, numbers), groups_of(trainer, numbers, task.classes)
    if patients is not None:
        table.insert(1, "patient", np.asarray(patients, dtype=object)[repeated])
    if groups is not None:
        table = table.join(groups.iloc[repeated].reset_index(drop=True).add_prefix("group/"))
    return table


def _chosen(
    trainer: pl.Trainer, task: Any, scores: CaseScores, rows: Sequence[int], stage: str, title: str
) -> Figure | None:
    """Overlays of some cases with their Dice; None where another process holds one of them."""
    numbers = [int(task.evaluated[stage]["cases"][row]) for row in rows]
    cases = cases_of(trainer, numbers, stage)
    if not cases or len(cases) < len(rows):
        return None
    captions = [f"{scores.cases[row]}\n{_dice_of(scores, row)}" for row in rows]
    return _overlays(task, [cases[number] for number in numbers], captions, title, "by mean Dice of a case")


def _dice_of(scores: CaseScores, row: int) -> str:
    told = [
        f"{name} {value:.3f}"
        for name, value in zip(scores.classes, scores.figures["dice"][row], strict=True)
        if not np.isnan(value)
    ]
    return f"Dice {', '.join(told[:3])}{', ...' if len(told) > 3 else ''}"


def _overlays(task: Any, cases: Sequence[Case], captions: Sequence[str], title: str, note: str) -> Figure:
    was_training = task.training
    task.eval()
    with torch.no_grad():
        shown = [_shown(task, case, caption) for case, caption in zip(cases, captions, strict=True)]
    task.train(was_training)
    return overlay_figure(shown, task.classes, title, note)


def _shown(task: Any, case: Case, caption: str) -> Shown:
    labels = task.predict(case["image"][None].to(task.device, task.dtype)).argmax(dim=0)
    affine = case["affine"].double().cpu().numpy() if "affine" in case else np.eye(4)
    image = case["image"][0].float().cpu().numpy()
    return Shown(image, case["mask"].cpu().numpy(), labels.cpu().numpy(), affine, caption)


def cases_of(trainer: pl.Trainer, numbers: Sequence[int], stage: str) -> dict[int, Case]:
    """Number to ``image`` ``(C, *spatial)``, ``mask`` and ``affine``, of those cases that this process can reach."""
    loader: Any = getattr(trainer.datamodule, f"{stage}_dataloader", list)()  # type: ignore[attr-defined]
    if hasattr(loader, "batch"):
        return {number: _alone(loader.batch(torch.tensor([number]))) for number in numbers}
    return {int(batch["case"]): _alone(batch) for batch in loader if int(batch["case"]) in set(numbers)}


def _alone(batch: Case) -> Case:
    """The one case of a batch."""
    return {name: batch[name][0] for name in ("image", "mask", "affine") if name in batch}


def _plain(value: Any) -> Any:
    """Numbers, words, lists and dictionaries of them; a number that is none is null, for JSON knows no NaN."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
