"""What a test looks into beside its figures: what moves the score, what the maps depend on, who lies near whom."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytorch_lightning as pl
import torch

from medcnn.explain.randomization import randomized_similarity, steps_table, verdict
from medcnn.report.figures.examination import randomization_figure
from medcnn.report.outcome import Outcome
from medcnn.spreadsheet import write_frame
from medcnn.tracking.bench import Bench, Told
from medcnn.tracking.embedded import write_embedding, write_neighbors
from medcnn.tracking.looks import shown_classes
from medcnn.tracking.scrub import scrub_text
from medcnn.tracking.strained import write_robustness, write_robustness_of_masks, write_shortcuts

Part = Literal["robustness", "shortcuts", "randomization", "embedding", "neighbors"]
PARTS: tuple[Part, ...] = ("robustness", "shortcuts", "randomization", "embedding", "neighbors")
#: Cases whose maps are made again with random weights, and how often the weights are drawn.
RANDOMIZED, DRAWS = 16, 5
#: Told of every test: what was looked into, how long it took, and why a part could not be.
ACCOUNT = "examination.json"
_OF_CLASSES = "only models that give one answer a case are examined so"
_log = logging.getLogger("medcnn.tracking")

Look = Callable[[Bench], Told]


def examine(
    folder: Path,
    trainer: pl.Trainer,
    task: Any,
    found: Any,
    parts: Sequence[Part] = PARTS,
    tell: Callable[[str], object] = _log.info,
) -> dict[str, float]:
    """Write the tables and pictures of each part, and an account of what was done and what could not be.

    A part that does not fit the net fails by itself: the test stands without it, and the account says why.

    Args:
        folder: Where the files go.
        trainer: After its test.
        task: That was tested.
        found: What the test found, an ``Outcome`` or ``CaseScores``.
        parts: What to look into.
        tell: Takes a line before each part, and one with what it found.

    Returns:
        Figures for the run, ``test/...``.
    """
    bench, account, figures = Bench(folder, trainer, task, found, tell), dict[str, Any](), dict[str, float]()
    for part in parts:
        start = time.perf_counter()
        tell(f"examining {part} ...")
        try:
            told = _look(part, found)(bench)
        except (ValueError, RuntimeError) as error:  # torch's own errors are RuntimeErrors
            reason = scrub_text((str(error).splitlines() or [type(error).__name__])[0])
            account[part] = {"done": False, "reason": reason}
            tell(f"{part}: not done: {reason}")
            continue
        seconds = round(time.perf_counter() - start, 1)
        figures |= {f"test/{name}": value for name, value in told.figures.items()}
        account[part] = {"done": True, "seconds": seconds, **told.figures, "sentence": told.sentence}
        tell(f"{part}: {told.sentence}; {seconds:.0f} s")
    known = {part: {k: v for k, v in said.items() if v == v} for part, said in account.items()}
    (folder / ACCOUNT).write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    return figures


def _look(part: Part, found: Any) -> Look:
    """How a part is looked into.

    Raises:
        ValueError: It cannot be, for this kind of model.
    """
    of_classes: dict[Part, Look] = {
        "robustness": write_robustness,
        "shortcuts": write_shortcuts,
        "randomization": write_randomization,
        "embedding": write_embedding,
        "neighbors": write_neighbors,
    }
    if isinstance(found, Outcome):
        return of_classes[part]
    if part == "robustness":
        return write_robustness_of_masks
    raise ValueError(_OF_CLASSES)


def write_randomization(bench: Bench) -> Told:
    """Whether the maps follow what was learned: ``randomization.csv``."""
    rows = bench.chosen(RANDOMIZED)
    (batch,) = bench.batches(rows)
    index = torch.as_tensor(shown_classes(bench.task, batch["label"]), device=batch["image"].device)
    steps = randomized_similarity(bench.task.net, batch["image"], index, draws=DRAWS)
    table, said = steps_table(steps), verdict(steps)
    write_frame(bench.folder / "randomization.csv", table)
    randomization_figure(table).savefig(bench.folder / "randomization.png")
    pd.Series({"sentence": said.sentence, "falls": said.falls, "monotone": said.monotone}).to_json(
        bench.folder / "randomization.json"
    )
    return Told({"randomization_similarity": steps[-1].spearman}, said.sentence)
