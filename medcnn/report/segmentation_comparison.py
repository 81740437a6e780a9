"""Two segmentations side by side on the cases that both have judged, with the paired test."""

import numpy as np
import pandas as pd

from medcnn.errors import ReportError
from medcnn.metrics.group_means import mean_difference, mean_of
from medcnn.report.page.blocks import Facts, Headline, Section, Table
from medcnn.report.sections.overlap import FIGURES
from medcnn.report.segmented_cases import SegmentedCases, cases_from_table

#: Volumes of the truth in mm3 may differ by so much where two runs read one label.
_SAME = 1e-3


def compared_cases_section(first: pd.DataFrame, second: pd.DataFrame) -> Section:
    """The differences of every figure over the shared cases, by class; patients are the units of the test.

    Args:
        first: ``cases.csv`` of the first run.
        second: ``cases.csv`` of the second run.

    Raises:
        ReportError: No case or no class in common, or a truth that differs: then it is not the same cases.
    """
    one, other = cases_from_table(first), cases_from_table(second)
    rows = {case: row for row, case in enumerate(other.scores.cases)}
    here = [row for row, case in enumerate(one.scores.cases) if case in rows]
    there = [rows[one.scores.cases[row]] for row in here]
    classes = [name for name in one.scores.classes if name in other.scores.classes]
    if not here or not classes:
        raise ReportError("the two runs share no case of a class: nothing is paired, so nothing is compared")
    _refuse_other_truth(one, other, here, there, classes)
    patients = None if one.patients is None else [one.patients[row] for row in here]
    table, headline = [], {}
    for name in classes:
        for figure, told in FIGURES.items():
            left, right = one.column(figure, name)[here], other.column(figure, name)[there]
            difference, p = mean_difference(left - right, patients)
            if np.isnan(difference.value):
                continue
            table.append({"class": name, "figure": told, "first": mean_of(left, patients),
                          "second": mean_of(right, patients), "first minus second": difference, "p": p})  # fmt: skip
            if figure == "dice":
                headline[f"Dice of {name}, first minus second"] = difference
    counts = Facts({"Cases in both": f"{len(here):,}", "Patients": f"{len(set(patients or here)):,}"})
    caption = "Means over the shared cases; p of the paired difference, by patient, two-sided, not corrected."
    return Section(
        "compared", "Two runs compared", [counts, Headline(headline), Table("compared", pd.DataFrame(table), caption)]
    )


def _refuse_other_truth(
    one: SegmentedCases, other: SegmentedCases, here: list[int], there: list[int], classes: list[str]
) -> None:
    for name in classes:
        left, right = one.column("truth_mm3", name)[here], other.column("truth_mm3", name)[there]
        apart = np.flatnonzero(~np.isclose(left, right, rtol=_SAME, equal_nan=True))
        if len(apart):
            case = one.scores.cases[here[int(apart[0])]]
            raise ReportError(
                f"the true volume of {name} in case {case} is {left[apart[0]]:g} mm3 in one run and "
                f"{right[apart[0]]:g} in the other: the labels differ, so the runs cannot be compared"
            )
