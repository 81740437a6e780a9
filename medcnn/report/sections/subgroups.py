"""How a model fares in each group of cases, and which gaps chance does not explain."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from medcnn.metrics.subgroup_columns import NOT_GIVEN
from medcnn.metrics.subgroups import Gap, Group, Subgroups, subgroups
from medcnn.report.evidence import Evidence
from medcnn.report.figures.comparison import forest_figure
from medcnn.report.outcome import Finding
from medcnn.report.page.blocks import Block, Picture, Section, Table, Text

ALPHA, MINIMUM = 0.05, 20
NAMES = {"auroc": "AUROC", "sensitivity": "sensitivity", "specificity": "specificity",
         "calibration": "calibration (intercept)"}  # fmt: skip


def subgroup_section(evidence: Evidence) -> Section:
    """A table of all groups, a forest plot, and the flagged gaps in words."""
    groups = evidence.test.groups
    if groups is None or not len(groups.columns):
        return _section([Text("No column of the table of cases describes groups: whether the model is worse for some "
                              "patients than for others is not known.")])  # fmt: skip
    if not len(evidence.test.cases):
        return _section([Text("There is no case to group.")])
    found = {finding.name: _judged(finding, evidence) for finding in evidence.findings}
    blocks: list[Block] = [Text(_rules(found, len(groups.columns))), *_flags(found)]
    blocks += [Table("subgroups", group_table(found), f"Each group, {evidence.at}.", shown=60)]
    if any(one.gaps for one in found.values()):
        blocks.append(Table("subgroup_gaps", gap_table(found), "Each group against the rest of its column, of a column "
                            "of two groups once; p adjusted for all looks at a finding.", shown=20))  # fmt: skip
    blocks += [_forest(f, k, found[f.name], evidence) for k, f in enumerate(evidence.shown) if found[f.name].groups]
    return _section(blocks + _skipped(found))


def group_table(found: dict[str, Subgroups]) -> pd.DataFrame:
    """A row a finding, column and group."""
    rows = [
        ({"finding": name} if len(found) > 1 else {})
        | {"column": g.column, "group": g.name, "cases": g.cases, "patients": g.patients, "with it": g.events,
           "AUROC": g.auroc, "sensitivity": g.sensitivity, "specificity": g.specificity,
           "observed over expected": g.observed_over_expected}
        for name, one in found.items() for g in one.groups
    ]  # fmt: skip
    return pd.DataFrame(rows)


def gap_table(found: dict[str, Subgroups]) -> pd.DataFrame:
    """A row a gap, the least likely by chance first; of a column of two groups the one that is worse off."""
    rows = [
        ({"finding": name} if len(found) > 1 else {})
        | {"column": gap.column, "group": gap.group, "figure": NAMES.get(gap.figure, gap.figure),
           "group minus the rest": gap.value, "p": gap.p, "p adjusted": gap.p_adjusted, "flagged": gap.flagged}
        for name, one in found.items() for gap in _once(one)
    ]  # fmt: skip
    return pd.DataFrame(rows).sort_values("p", kind="stable", ignore_index=True)


def flagged(found: dict[str, Subgroups]) -> list[tuple[str, Gap]]:
    """Every flagged gap with its finding; of two that mirror each other the lower one alone."""
    kept: dict[tuple[str, str, str, float], tuple[str, Gap]] = {}
    for name, one in found.items():
        for gap in one.gaps:
            # Of three groups of which two can be judged the gaps mirror each other, too.
            key = (name, gap.column, gap.figure, gap.p)
            if gap.flagged and (key not in kept or gap.value.value < kept[key][1].value.value):
                kept[key] = (name, gap)
    return list(kept.values())


def _once(found: Subgroups) -> list[Gap]:
    """Each gap once: the two groups of a column of two mirror each other, and the lower one is told."""
    kept: dict[tuple[str, str, str], Gap] = {}
    sizes = Counter(group.column for group in found.groups)
    for gap in found.gaps:
        key = (gap.column, gap.figure, "" if sizes[gap.column] == 2 else gap.group)
        if key not in kept or gap.value.value < kept[key].value.value:
            kept[key] = gap
    return list(kept.values())


def natural(name: str) -> tuple[object, ...]:
    """A key that puts groups in the order of their numbers: ``0-4``, ``5-17``, ``18-64``, ``65+``; the rest last."""
    last = 2 if name == NOT_GIVEN else 1 if name.startswith("others (") else 0
    below = -0.5 if name.lstrip().startswith(("<", "\N{LESS-THAN OR EQUAL TO}")) else 0.0
    parts = re.findall(r"\d+(?:\.\d+)?|[^\d]+", name.strip(" <>\N{LESS-THAN OR EQUAL TO}"))
    return last, [(0, float(part) + below, "") if part[0].isdigit() else (1, 0.0, part) for part in parts]


def _section(blocks: Sequence[Block]) -> Section:
    return Section("subgroups", "Subgroups", list(blocks))


def _judged(finding: Finding, evidence: Evidence) -> Subgroups:
    frame, rows = evidence.test.groups, finding.rows
    assert frame is not None
    assert rows is not None
    columns = {str(name): frame[name].iloc[rows].tolist() for name in frame}
    # A report that looks at many findings has as many more chances of a false flag.
    alpha = ALPHA / len(evidence.findings)
    found = subgroups(
        finding.scores, finding.positive, finding.called, columns, finding.patients, MINIMUM, evidence.level, alpha
    )
    return replace(found, groups=_ordered(found.groups, frame))


def _ordered(groups: Sequence[Group], frame: pd.DataFrame) -> list[Group]:
    """Groups of text in the order of the numbers in them; numbers were put in order already."""
    words = {str(name) for name in frame if not pd.api.types.is_numeric_dtype(frame[name].dtype)}
    place = {column: k for k, column in enumerate(dict.fromkeys(group.column for group in groups))}

    def key(one: tuple[int, Group]) -> tuple[object, ...]:
        return (place[one[1].column], *(natural(one[1].name) if one[1].column in words else (0, [])), one[0])

    return [group for _, group in sorted(enumerate(groups), key=key)]


def _rules(found: dict[str, Subgroups], columns: int) -> str:
    looks = sum(one.looks for one in found.values())
    return (
        f"Columns: {columns}; {looks:,} looks at a gap between a group and the rest (the pair of a column of "
        "two groups counts once). With many looks some gaps come by chance, so p is adjusted, and a flag "
        f"is raised in at most {ALPHA:.0%} of pages where there is no gap. "
        f"Groups of fewer than {MINIMUM} cases are counted and not judged. No flag is no proof of fairness: a small "
        "group hides a large gap, as wide as its interval."
    )


def _flags(found: dict[str, Subgroups]) -> list[Block]:
    several = len(found) > 1
    worst = sorted(flagged(found), key=lambda pair: pair[1].p)
    if not worst:
        return [Text("No gap is flagged.")]
    return [Text(_in_words(name if several else "", gap), "warning") for name, gap in worst[:12]]


def _in_words(finding: str, gap: Gap) -> str:
    way = "lower" if gap.value.value < 0 else "higher"
    ends = f"{abs(gap.value.value):.3f}"
    if not np.isnan(gap.value.low):
        ends += f" (interval of the difference {gap.value.low:.3f} to {gap.value.high:.3f})"
    of = f" of {finding}" if finding else ""
    what = NAMES.get(gap.figure, gap.figure)
    than = f"is {way} than in the rest by {ends}, adjusted p {_p(gap.p_adjusted)}"
    return f"{gap.column} {gap.group}: the {what}{of} {than}."


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _forest(finding: Finding, place: int, found: Subgroups, evidence: Evidence) -> Picture:
    judged = [group for group in found.groups if not group.auroc.reason] or found.groups
    alt = f"AUROC of {finding.name} in {len(judged)} groups, each with its interval; the table holds the numbers."
    caption = f"Groups that could be judged, {finding.name}."
    overall = evidence.aurocs[finding.name]
    figure = forest_figure(judged, found.gaps, overall=overall, title=f"AUROC by group, {finding.name[:40]}")
    return Picture(f"subgroups_{place + 1}_forest", figure, alt, group_table({"": _only(judged)}), caption, wide=True)


def _only(groups: Sequence[Group]) -> Subgroups:
    return Subgroups(list(groups), [], 0, {})


def _skipped(found: dict[str, Subgroups]) -> list[Block]:
    reasons = {column: why for one in found.values() for column, why in one.skipped.items()}
    compared = {gap.column for one in found.values() for gap in one.gaps if not np.isnan(gap.p)}
    too_small = "no group and its rest have cases enough to be compared"
    reasons |= {g.column: too_small for one in found.values() for g in one.groups if g.column not in compared}
    return (
        [Text("Not compared: " + "; ".join(f"{column}: {why}" for column, why in reasons.items()) + ".")]
        if reasons
        else []
    )
