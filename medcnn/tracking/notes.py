"""The description that a run carries: what it was trained on, its first figure, and the next command."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl

from medcnn.report.page.blocks import Headline, Page
from medcnn.tracking.scrub import scrub, scrub_text

#: Where MLflow keeps the description that stands on top of a run's page.
NOTE = "mlflow.note.content"
_SPLITS = {"val": "validation", "test": "test"}


def describe_run(trainer: pl.Trainer, task: Any, stage: str, run_id: str) -> str:
    """A few lines of Markdown on a run after ``stage``, without a place or a name of a person."""
    figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
    data = getattr(trainer, "datamodule", None)
    lines = [headline_line(figures, task, stage), _trained_on(task, data), _next_line(data, stage, run_id)]
    return "\n\n".join(scrubbed_lines(lines))


def report_note(page: Page, run_id: str) -> str:
    """What the page of a run says first, as Markdown: its first figures, its warnings, and how to open it."""
    figures = [block.figures for block in page.blocks() if isinstance(block, Headline)]
    told = [f"**{name} {estimate}**" for part in figures[:1] for name, estimate in part.items()]
    place, split = ("report", "") if page.split == "test" else (f"report_{page.split}", f" --split {page.split}")
    return "\n\n".join([
        ", ".join(told), page.subtitle, *_listed(page.warnings),
        f"The page: Artifacts, folder {place}, report.html. Made anew by `medcnn report runs:/{run_id}{split}`.",
    ])  # fmt: skip


def _listed(warnings: Sequence[str]) -> list[str]:
    return ["\n".join(f"- {warning}" for warning in warnings)] if warnings else []


def headline_line(figures: Mapping[str, float], task: Any, stage: str) -> str:
    """The first figure of the task that the evaluation gave, with its interval; "" where it gave none."""
    for name in getattr(task, "headline", ()):
        value = figures.get(f"{stage}/{name}", math.nan)
        if math.isnan(value):
            continue
        ends = [figures.get(f"{stage}/{name}_{end}", math.nan) for end in ("low", "high")]
        interval = "" if any(map(math.isnan, ends)) else f" (95 % interval {ends[0]:.3f} to {ends[1]:.3f})"
        unit = getattr(task, "units", {}).get(name, "")
        return f"**{name} {value:.3f}{f' {unit}' if unit else ''}**{interval} on {_SPLITS.get(stage, stage)} cases"
    return ""


def scrubbed_lines(lines: list[str]) -> list[str]:
    """Those that say something, each scrubbed by itself: what looks like a path ends with its line."""
    return [scrub_text(line) for line in lines if line]


def _trained_on(task: Any, data: Any) -> str:
    net = type(task.net).__name__ if hasattr(task, "net") else type(task).__name__
    words = f"{net} for {', '.join(task.classes)}" if hasattr(task, "classes") else net
    if not hasattr(data, "describe"):
        return words
    splits = scrub(data.describe()).get("splits", {})
    counted = [f"{split} {_counts(counts)}" for split, counts in splits.items() if counts.get("cases")]
    return f"{words}; {type(data).__name__}: {', '.join(counted)}"


def _counts(counts: Mapping[str, Any]) -> str:
    cases, patients = counts["cases"], counts.get("patients")
    return f"{cases:,} cases" + (f" of {patients:,} patients" if patients and patients != cases else "")


def _next_line(data: Any, stage: str, run_id: str) -> str:
    table = getattr(data, "cases", None)
    left = table is not None and "split" in table and bool((table["split"] == "test").any())
    if stage == "val" and left:
        return f"Next: `medcnn test ... --ckpt_path runs:/{run_id}` with the same data"
    judged = "" if left else " --split val"  # of several folds each is validated on, and nothing may be left to test
    return f"Next: `medcnn report runs:/{run_id}{judged}`"
