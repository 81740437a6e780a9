"""What ``medcnn report`` judges: the evaluation of a run, or a table of predictions that anybody made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from medcnn.errors import ReportError
from medcnn.io.columns import candidates
from medcnn.io.patients import identifier, patient_source
from medcnn.io.subgroups import describing_columns
from medcnn.io.table import read_table
from medcnn.printable import printable
from medcnn.report.facts import TABLE, RunFacts
from medcnn.report.outcome import Outcome
from medcnn.report.outcome_table import at_threshold, outcome_from_table, refuse_undecided
from medcnn.spreadsheet import original_frame

VERBS = {"test": "test", "val": "validate"}
# Names that medcnn made, of which none leads to a person.
_PSEUDONYM = r"[cpu][0-9a-f]{12}"


@dataclass(frozen=True)
class Judged:
    """What is judged, and what is known of it.

    Attributes:
        facts: Of the run; bare for a table.
        split: Which of its cases.
        outcome: What a classifier said of them; None for a segmentation.
        val: Of the validation cases, where another split is judged and they were recorded.
        scores: How well a segmentation did, one row a case and class; None for a classifier.
        notes: What was done to the table, for whoever reads the terminal.
    """

    facts: RunFacts
    split: str
    outcome: Outcome | None
    val: Outcome | None = None
    scores: pd.DataFrame | None = None
    notes: Sequence[str] = ()


def judged_run(uri: str, split: str) -> Judged:
    """The recorded evaluation of a run.

    Raises:
        TrackingError: The store has no such run.
        ReportError: The run was not evaluated on that split, or its table does not read.
    """
    from medcnn.tracking.runs import fetch_run  # MLflow takes seconds, and a table has no use for it

    facts = fetch_run(uri)
    facts = replace(facts, model=_with_digest(facts))
    place = None if facts.folder is None else facts.folder / split
    if place is not None and (place / "cases.csv").is_file():
        table = _read_own(place / "cases.csv", {"case": str, "patient": str, "class": str})
        return Judged(facts, split, None, scores=table)
    outcome = _outcome_of(facts, split)
    if outcome is None:
        raise ReportError(
            f"run {facts.run_id} holds no predictions of its {split} cases: run `medcnn {VERBS[split]} --config CONFIG "
            f"--ckpt_path runs:/{facts.run_id}` first, with the data that it was trained with"
        )
    return Judged(facts, split, outcome, _outcome_of(facts, "val") if split == "test" else None)


def judged_at(judged: Judged, threshold: float) -> Judged:
    """The same cases, called from one probability on; what the run stored is told, and not used.

    Raises:
        ReportError: No threshold has a part in these calls.
    """
    if judged.outcome is None:
        raise ReportError("--threshold judges a classifier; a segmentation has no probability of a case: leave it out")
    outcome = at_threshold(judged.outcome, threshold)
    val = None if judged.val is None else at_threshold(judged.val, threshold)
    stored = dict(judged.facts.decision.get("thresholds") or {})
    kept = {name: value for name, value in judged.facts.decision.items() if name != "target_sensitivity"}
    decision = kept | {"thresholds": dict(outcome.thresholds), "stored": stored, "given": True}
    return replace(judged, facts=replace(judged.facts, decision=decision), outcome=outcome, val=val)


class Numbers:
    """Numbers in place of names, in the order in which they come; a name has the same number in every table."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, int]] = {}

    def of(self, word: str, names: Sequence[str]) -> list[str]:
        """``word`` and a number for each name; "" stays."""
        known = self._known.setdefault(word, {})
        return [f"{word} {known.setdefault(name, len(known) + 1)}" if name else "" for name in names]


def judged_table(path: Path, split: str, numbers: Numbers, classes: Sequence[str] | None = None) -> Judged:
    """A table that anybody made: what could name a person is left out or replaced by numbers, and that is said.

    Args:
        path: Of the table.
        split: What its cases are.
        numbers: Shared by tables that are to be compared.
        classes: Their names, of two the finding second.

    Raises:
        ManifestError: The file is no table.
        ReportError: It holds no predictions.
    """
    given, assumed = _by_role(read_table(path), path.name)
    frame, notes = nameless(given, numbers)
    notes = [*assumed, *notes]
    dropped: list[str] = []

    def describing(columns: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
        kept, left_out = describing_columns(columns)
        dropped.extend(left_out)
        return kept, left_out

    if not classes:
        refuse_undecided(frame)
    outcome = outcome_from_table(frame, classes, split=split, describing=describing)
    if dropped:
        notes.append(f"left out, for they may name a person: {', '.join(name[:60] for name in dropped)}")
    return Judged(RunFacts(name=TABLE), split, outcome, notes=notes)


def _by_role(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[str]]:
    """The table with its columns of patients and labels under these names; and what was assumed."""
    notes, renamed = list(frame.attrs["notes"]), {}
    owner = patient_source(None, frame, name, "name the one meant patient").column
    if owner is not None and owner != "patient" and "patient" not in frame:
        renamed[owner] = "patient"
    labels = candidates(list(frame.columns), "label")
    if "label" not in frame and len(labels) == 1 and not any(str(one).startswith("label/") for one in frame):
        renamed[labels[0]] = "label"
    notes += [f"column {printable(old, 40)} is read as {new}" for old, new in renamed.items()]
    frame = frame.rename(columns=renamed)
    for column in frame.columns.intersection(["case", "patient"]):
        # One spelling of an identifier, as 7 for 7.0; a patient that is not known stays blank.
        frame[column] = [identifier(value) or "" for value in frame[column]]
    return frame, notes


def nameless(frame: pd.DataFrame, numbers: Numbers) -> tuple[pd.DataFrame, list[str]]:
    """The table with numbers in place of cases and patients, unless they are pseudonyms of medcnn; and what was done.

    Columns ``group/...`` lose that word: what they hold has yet to be looked at, as any other column.
    """
    frame, notes = frame.rename(columns=lambda name: str(name).removeprefix("group/")), []
    frame = frame.loc[:, ~frame.columns.duplicated()].copy()
    for column in ("case", "patient"):
        if column in frame and not frame[column].str.fullmatch(_PSEUDONYM).all():
            frame[column] = numbers.of(column, frame[column].tolist())
            notes.append(f"column {column} was replaced by numbers in the order of the table: it may name persons")
    return frame, notes


def _outcome_of(facts: RunFacts, split: str) -> Outcome | None:
    """What a run's table of predictions says, at its own classes and thresholds; None where it has none."""
    path = None if facts.folder is None else facts.folder / split / "predictions.csv"
    if path is None or not path.is_file():
        return None
    frame = _read_own(path, {"case": str, "patient": str})
    thresholds = facts.decision.get("thresholds") or {}
    return outcome_from_table(frame, facts.model.get("classes"), thresholds, split=split)


def _read_own(path: Path, types: dict[str, type]) -> pd.DataFrame:
    """A table that medcnn wrote; words such as "None" or "NA" name classes and groups as well as any."""
    return original_frame(pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=types))


def _with_digest(facts: RunFacts) -> dict[str, Any]:
    """What the logged product says of itself, with what only its weights tell: its digest and how many numbers."""
    if not facts.model:
        return {}
    from medcnn.tasks.checkpoint import open_product  # so do torch, MONAI and Lightning
    from medcnn.tracking.models import fetch

    product = open_product(fetch(f"runs:/{facts.run_id}"))
    parameters = sum(p.numel() for p in product.build_task().net.parameters())
    return dict(facts.model) | {"digest": product.digest, "parameters": parameters}
