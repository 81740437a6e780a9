"""How well a segmentation finds what is there: overlap, surfaces, volumes, patients, groups and its worst cases."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from medcnn.metrics.agreement import BlandAltman, bland_altman
from medcnn.metrics.group_means import group_means, mean_of
from medcnn.report.figures.evidence import bland_altman_figure
from medcnn.report.figures.segmentation import dice_figure
from medcnn.report.page.blocks import Block, Headline, Picture, Section, Table, Text
from medcnn.report.segmented_cases import SegmentedCases

#: Column of the table of cases to how it is told.
FIGURES = {
    "dice": "Dice",
    "nsd": "surface Dice",
    "hd95_mm": "95th percentile of surface distance (mm)",
    "volume_error": "volume error, signed, as a share of the true volume",
}
_WORST = 10


def headline(cases: SegmentedCases) -> Headline:
    """Mean Dice over the classes, and of each."""
    each = {f"Dice, {name}": mean_of(cases.column("dice", name), cases.patients) for name in cases.scores.classes}
    whole = mean_of(cases.scores.of_case(), cases.patients)
    return Headline({"Dice": whole, **(each if len(each) > 1 else {})})


def overlap_section(cases: SegmentedCases, of: str) -> Section:
    """Every figure of every class with its interval, and Dice as a picture."""
    rows = [
        {"class": name, "figure": told, "mean": mean_of(values, cases.patients), "median": _quantile(values, 0.5),
         "5th percentile": _quantile(values, 0.05), "worst": _worst(values, figure),
         "cases": int((~np.isnan(values)).sum())}
        for name in cases.scores.classes
        for figure, told in FIGURES.items()
        if not np.isnan(values := cases.column(figure, name)).all()
    ]  # fmt: skip
    blocks: list[Block] = [
        Table("overlap", pd.DataFrame(rows), "Means over cases, with 95 % intervals by bootstrap over patients."),
        Picture(
            "dice", dice_figure(cases.scores, f"Dice by class, {of}"), "A box and a point for each case, by class.",
            cases.scores.table(), "Dice of each case.",
        ),
    ]  # fmt: skip
    if text := _emptiness(cases):
        blocks.append(Text(text, "warning"))
    return Section("overlap", "Overlap and surfaces", blocks)


def volume_section(cases: SegmentedCases) -> Section:
    """Agreement of volumes by Bland and Altman, a table over the classes and a picture of each."""
    blocks: list[Block] = []
    rows, left_out = [], 0
    for place, name in enumerate(cases.scores.classes):
        predicted, true = cases.column("volume_mm3", name), cases.column("truth_mm3", name)
        if np.isnan(predicted).all():
            continue
        found = bland_altman(predicted, true, cases.patients)
        rows.append(_volume_row(name, found))
        left_out += found.left_out
        shown = pd.DataFrame({"mean_mm3": found.means, "difference_mm3": found.differences})
        picture = bland_altman_figure(found, f"Volume of {name}", "mm\N{SUPERSCRIPT THREE}")
        caption = f"Difference of the predicted and the true volume of {name} over their mean."
        blocks.append(Picture(f"volume_{place + 1}", picture, caption, shown, caption))
    if not rows:
        return Section("volumes", "Volumes", [])
    caption = "Predicted minus true volume in cubic millimeters; limits hold 95 % of further cases."
    if left_out:
        caption += f" {left_out:,} volumes were not measured and are left out."
    return Section("volumes", "Volumes", [Table("volumes", pd.DataFrame(rows), caption), *blocks])


def patients_section(cases: SegmentedCases) -> Section:
    """Mean Dice of each patient, the worst first; nothing where no patient has two cases."""
    if cases.patients is None or len(set(cases.patients)) == len(cases.patients):
        return Section("patients", "By patient", [])
    frame = pd.DataFrame({"patient": cases.patients, "dice": cases.scores.of_case()})
    by_patient = frame.groupby("patient")["dice"].agg(["size", "mean", "min"]).reset_index()
    by_patient.columns = pd.Index(["patient", "cases", "mean Dice", "lowest Dice"])
    several = int((by_patient["cases"] > 1).sum())
    caption = f"{len(by_patient):,} patients, the lowest first; {several:,} have several cases."
    return Section(
        "patients", "By patient", [Table("patients", by_patient.sort_values("mean Dice"), caption, shown=_WORST)]
    )


def groups_section(cases: SegmentedCases, minimum: int = 10) -> Section:
    """Mean Dice of every group of every column, with gaps that are flagged after correction for all looks."""
    if not cases.groups:
        return Section("subgroups", "Subgroups", [Text("The table of cases has no column that describes groups.")])
    groups = group_means(cases.scores.of_case(), cases.groups, cases.patients, minimum)
    rows = [
        {"column": one.column, "group": one.group, "cases": one.mean.n, "patients": one.mean.patients,
         "Dice": one.mean, "gap to the rest": one.gap, "p": one.p, "p, corrected": one.p_adjusted,
         "flagged": "yes" if one.flagged else "", "note": one.gap.reason or one.mean.reason}
        for one in groups
    ]  # fmt: skip
    looks = len({(one.column, one.p) for one in groups if not np.isnan(one.p)})
    flagged = [f"{one.column} = {one.group} (gap {one.gap})" for one in groups if one.flagged]
    told = f"Flagged: {'; '.join(flagged)}." if flagged else "No gap is flagged."
    missed = "A gap that is not flagged may be there and too small for these cases."
    note = Text(
        f"{looks} looks (the pair of a column of two groups counts once), corrected by Holm. {told} {missed}",
        "warning" if flagged else "plain",
    )
    return Section("subgroups", "Subgroups", [note, Table("subgroups", pd.DataFrame(rows))])


def failures_section(cases: SegmentedCases, folder: Path | None) -> Section:
    """The cases of lowest Dice as a table, and the pictures that the evaluation drew."""
    worst = cases.scores.ranked(_WORST, best=False)
    rows = [
        {"case": cases.scores.cases[row], "mean Dice": cases.scores.of_case()[row]}
        | {f"Dice, {name}": cases.column("dice", name)[row] for name in cases.scores.classes}
        for row in worst
    ]
    blocks: list[Block] = [Table("worst_cases", pd.DataFrame(rows), "The cases of lowest mean Dice.", shown=_WORST)]
    for name, alt in (("worst_cases", "The cases of lowest Dice"), ("best_cases", "The cases of highest Dice")):
        file = None if folder is None else folder / f"{name}.png"
        if file is not None and file.is_file():
            said = f"{alt} in three planes: what was found as a fill, what is true as an outline."
            blocks.append(Picture(f"pictures_of_{name}", file.read_bytes(), said, None, said, wide=True))
    return Section("failures", "Failures", blocks)


def _volume_row(name: str, found: BlandAltman) -> Mapping[str, object]:
    return {
        "class": name, "cases": found.n, "bias": found.bias, "lower limit": found.lower, "upper limit": found.upper,
        "per mm3 of size": found.slope, "concordance": found.concordance,
    }  # fmt: skip


def _quantile(values: Sequence[float] | np.ndarray, share: float) -> float:
    return float(np.nanquantile(values, share))


def _worst(values: np.ndarray, figure: str) -> float:
    if figure == "volume_error":
        return float(values[np.nanargmax(np.abs(values))])
    return float(np.nanmax(values) if figure == "hd95_mm" else np.nanmin(values))


def _emptiness(cases: SegmentedCases) -> str:
    """What the means leave out, in words."""
    told = []
    for name in cases.scores.classes:
        true, found = cases.column("truth_mm3", name) > 0, cases.column("volume_mm3", name) > 0
        empty, missed, alarms = int((~true).sum()), int((true & ~found).sum()), int((~true & found).sum())
        if empty or missed:
            told.append(f"{name}: absent in {empty:,} cases, found there in {alarms:,} of them, missed in {missed:,}")
    return "; ".join(told) + "." if told else ""
