"""The table of a segmentation's cases, read back from its file: figures by case and class, patients and groups."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcnn.errors import ReportError
from medcnn.report.segmentation import CaseScores

Array = NDArray[np.float64]
GROUP = "group/"
NEEDED = ("case", "class", "dice", "truth_mm3")
_NO_FIGURES = ("case", "class", "patient")


@dataclass(frozen=True)
class SegmentedCases:
    """Every case of a split, judged once.

    Attributes:
        scores: Figures by case and class.
        patients: Whose each case is ``(n,)``; None where the table does not say.
        groups: Column to a value a case ``(n,)``.
        repeated: Rows that stood there again, equal to what was there, and were counted once.
    """

    scores: CaseScores
    patients: list[str] | None
    groups: Mapping[str, list[object]]
    repeated: int = 0

    @property
    def people(self) -> int:
        """Patients, or cases where nobody told whose they are."""
        return len(self.scores.cases if self.patients is None else set(self.patients))

    def column(self, figure: str, name: str) -> Array:
        """A figure of one class ``(n,)``; NaN where the table has none."""
        values = self.scores.figures.get(figure)
        if values is None:
            return np.full(len(self.scores.cases), np.nan)
        return np.asarray(values, dtype=np.float64)[:, list(self.scores.classes).index(name)]


def cases_from_table(frame: pd.DataFrame) -> SegmentedCases:
    """Read ``cases.csv``: one row a case and class, with ``dice`` and ``truth_mm3`` at least.

    Raises:
        ReportError: A column is missing, a case has two different rows for a class, or a class is missing in a case.
    """
    lacking = [name for name in NEEDED if name not in frame]
    if lacking:
        raise ReportError(f"the table of cases has no column {', '.join(lacking)}; expected {', '.join(NEEDED)}")
    once = frame.drop_duplicates()
    again = once.duplicated(["case", "class"])
    if again.any():
        name = once.loc[again, "case"].iloc[0]
        raise ReportError(f"case {name} stands twice for one class with different figures: nobody knows which is right")
    cases, classes = list(dict.fromkeys(once["case"])), list(dict.fromkeys(once["class"]))
    if len(once) != len(cases) * len(classes):
        raise ReportError(f"{len(once)} rows for {len(cases)} cases and {len(classes)} classes; expected one for each")
    ordered = once.set_index(["case", "class"]).reindex(pd.MultiIndex.from_product([cases, classes]))
    first = once.drop_duplicates("case").set_index("case").loc[cases]
    names = [str(name) for name in once]
    measured = [name for name in names if name not in _NO_FIGURES and not name.startswith(GROUP)]
    figures: dict[str, Array] = {
        name: ordered[name].to_numpy(np.float64).reshape(len(cases), len(classes)) for name in measured
    }
    return SegmentedCases(
        scores=CaseScores([str(case) for case in cases], [str(name) for name in classes], figures),
        patients=[str(one) for one in first["patient"]] if "patient" in first else None,
        groups={name.removeprefix(GROUP): list(first[name]) for name in names if name.startswith(GROUP)},
        repeated=len(frame) - len(once),
    )
