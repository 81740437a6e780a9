"""Where the cases went: found, left out and why, split; and the proof that no split knows another."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medcnn.report.facts import RunFacts
from medcnn.report.page.blocks import Block, Facts, Section, Table, Text

NAMES = {"train": "training", "val": "validation", "test": "test"}


_NOT_TOLD = "not known: nothing told the patients apart, and cases of one may stand in several splits"


def data_section(facts: RunFacts, judged: Mapping[str, int]) -> Section:
    """Flow, splits and proof.

    Args:
        facts: Of the run.
        judged: What happened to how many cases of the judged table (see ``medcnn.report.admission``).
    """
    blocks: list[Block] = []
    if facts.data:
        blocks += [Table("data_flow", flow_table(facts.data), "From the files that were found to the splits.")]
        blocks += [Table("splits", splits_table(facts.data), "Cases, patients and classes of each split.")]
        blocks += _proof(facts.data)
        conflicts = int(facts.data.get("label_conflicts") or 0)
        if conflicts:
            blocks.append(Text(f"{conflicts:,} pairs of cases hold the same pixels under different labels: one of each "
                               "pair is wrong.", "warning"))  # fmt: skip
    else:
        blocks.append(Text("Where the cases come from, what was excluded and how they were split: not provided."))
    if judged:
        blocks.append(Table("judged", pd.DataFrame({"cases": list(judged), "number": list(judged.values())}),
                            "What happened to the cases of the table that this page judges."))  # fmt: skip
    return Section("data-flow", "Data flow", blocks)


def flow_table(data: Mapping[str, Any]) -> pd.DataFrame:
    """Cases found, excluded by reason, dropped for a leak, and those left in each split."""
    splits = _mapping(data.get("splits"))
    kept = {f"in {NAMES.get(name, name)}": _count(split, "cases") for name, split in splits.items()}
    out = {f"excluded: {reason}": int(count) for reason, count in _mapping(data.get("excluded")).items()}
    out |= {f"dropped from {NAMES.get(s, s)}, the same patient or pixels stand in a later split": int(count)
            for s, count in _mapping(data.get("dropped")).items()}  # fmt: skip
    rows = {"found": sum(kept.values()) + sum(out.values())} | out | kept
    return pd.DataFrame({"cases": list(rows), "number": list(rows.values())})


def splits_table(data: Mapping[str, Any]) -> pd.DataFrame:
    """A row a split: cases, patients, and cases of each class."""
    rows = []
    for name, split in _mapping(data.get("splits")).items():
        row: dict[str, object] = {"split": NAMES.get(name, name), "cases": _count(split, "cases")}
        if "patients" in _mapping(split):
            row["patients"] = _count(split, "patients")
        rows.append(row | _classes(_mapping(split)))
    return pd.DataFrame(rows)


def _classes(split: Mapping[str, Any]) -> dict[str, object]:
    """Cases of each class; of labels in a volume, how large they are on average."""
    volumes = _mapping(split.get("mean_volume_mm3"))
    if volumes:
        return {f"mean {name}, mm3": mean for name, mean in list(volumes.items())[1:]}  # all but the background
    return {str(name): count for name, count in _mapping(split.get("classes")).items()}


def _proof(data: Mapping[str, Any]) -> list[Block]:
    proof = _mapping(data.get("proof"))
    if not proof:
        return [Text("Whether splits share a patient or a picture is not provided.", "warning")]
    shared = {name: int(proof.get(f"{name}_shared") or 0) for name in ("patients", "contents")}
    told = bool(data.get("patients_told", True))
    facts = {
        "Patients in more than one split": f"{shared['patients']:,}" if told else _NOT_TOLD,
        "Pictures in more than one split": f"{shared['contents']:,}",
        "Cases compared": f"{int(proof.get('checked') or 0):,}",
    }
    if any(shared.values()):
        return [Facts(facts), Text("The splits share patients or pictures: the figures flatter the model.", "bad")]
    return [Facts(facts)]


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}


def _count(split: Any, name: str) -> int:
    return int(_mapping(split).get(name) or 0)
