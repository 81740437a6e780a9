"""The page of a segmentation: what was judged, how well it does, where it fails, and what cannot be said."""

import numpy as np
import pandas as pd

from medcnn.metrics.estimate import Estimate
from medcnn.report.facts import RunFacts
from medcnn.report.page.blocks import Facts, Page, Section, Text
from medcnn.report.sections.data_flow import data_section
from medcnn.report.sections.examination import examination_section
from medcnn.report.sections.identity import (
    identity_section,
    made_of,
    preprocessing_section,
    purpose_section,
    run_below,
    title_of,
)
from medcnn.report.sections.overlap import (
    failures_section,
    groups_section,
    headline,
    overlap_section,
    patients_section,
    volume_section,
)
from medcnn.report.sections.raised import for_the_top, raised
from medcnn.report.segmented_cases import SegmentedCases, cases_from_table

SPLITS = {"val": "validation cases", "test": "test cases"}
#: Below so many patients an interval says more about their number than about the model.
FEW = 20


def segmentation_page(table: pd.DataFrame, facts: RunFacts, split: str = "test") -> Page:
    """Everything that the table of cases and the run can show.

    Args:
        table: One row a case and class, as an evaluation writes ``cases.csv``.
        facts: Of the run; an empty ``RunFacts`` for a table that belongs to no run.
        split: Which cases the table holds.

    Raises:
        ReportError: The table is not one of cases, or says two things of one case.
    """
    cases, of = cases_from_table(table), SPLITS.get(split, f"cases of {split}")
    shown = headline(cases)
    folder = None if facts.folder is None else facts.folder / split
    told = f"{cases.people:,} patients" if cases.patients is not None else "patients not told"
    verdict = Text(_verdict(shown.figures["Dice"], cases, of, split))
    sections = [
        Section("headline", "In short", [verdict, shown, _counts(cases)]),
        identity_section(facts),
        purpose_section(facts),
        data_section(facts, {"judged": len(cases.scores.cases)}),
        preprocessing_section(facts),
        overlap_section(cases, of),
        volume_section(cases),
        patients_section(cases),
        groups_section(cases),
        failures_section(cases, folder),
        examination_section(facts, split, len(cases.scores.cases), of),
    ]
    limits = [*_limits(cases, facts, split), *raised(sections)]
    return Page(
        title=title_of(facts, f"{facts.name or 'Segmentations'}: {', '.join(cases.scores.classes)}"),
        subtitle=f"{run_below(facts)}{len(cases.scores.cases):,} {of}, {told}",
        sections=[*sections, Section("limits", "Limits", [Text(limit) for limit in limits])],
        made=made_of(facts),
        warnings=[*_warnings(cases, split), *for_the_top(sections)],
        split=split,
        patients=cases.people if cases.patients is not None else None,
    )


def _verdict(whole: Estimate, cases: SegmentedCases, of: str, split: str) -> str:
    where = f"Mean Dice is {whole} over {len(cases.scores.cases):,} {of} of {cases.people:,} patients"
    return f"{where}; {_beyond(split)}."


def _beyond(split: str) -> str:
    if split == "val":
        return "these cases also chose the model, so it is no test"
    return "this says nothing about cases of another source"


def _counts(cases: SegmentedCases) -> Facts:
    return Facts({
        "Cases": f"{len(cases.scores.cases):,}",
        "Patients": f"{cases.people:,}" if cases.patients is not None else "not told",
        "Classes": ", ".join(cases.scores.classes),
    })  # fmt: skip


def _warnings(cases: SegmentedCases, split: str) -> list[str]:
    found = []
    if split == "val":
        found.append("These validation cases also chose the model: figures of these cases tend to flatter, and are no "
                     "evidence of how it does on new ones.")  # fmt: skip
    if cases.patients is None:
        found.append("Nobody told which cases belong to one patient: intervals take each case as a patient of its own.")
    if cases.people < FEW:
        found.append(f"There are {cases.people} patients: intervals are wide, and their coverage is not assured.")
    if cases.repeated:
        found.append(f"{cases.repeated} rows stood there twice and were counted once.")
    if missing := int(np.isnan(cases.scores.of_case()).sum()):
        found.append(f"{missing} cases have no Dice in any class (nothing is there, and nothing was found).")
    return found


def _limits(cases: SegmentedCases, facts: RunFacts, split: str) -> list[str]:
    told = [f"What was measured are {SPLITS.get(split, split)} of the same source as the training cases."]
    external = facts.about.get("external_test")
    told.append(f"Test on another source, in the words of its makers: {external}" if external else
                "No test on data of another source was told.")  # fmt: skip
    told.append("One training with one seed: how far another would differ is not known.")
    if not facts.about.get("reader_agreement"):
        told.append("How far two readers agree on these structures was not told; Dice cannot be read without it.")
    if not cases.groups:
        told.append("No subgroup could be looked at.")
    return told
