"""Figures that set things side by side: subgroups in a forest plot, two models on the same cases."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medcnn.metrics.delong import Comparison
from medcnn.metrics.estimate import Estimate
from medcnn.metrics.subgroups import Gap, Group
from medcnn.report.figures.canvas import (
    COLORS,
    DASHED,
    FAINT,
    INK,
    QUIET,
    SMALL,
    empty_figure,
    head,
    key,
    name_axes,
    note,
    say,
    square_figure,
    style,
)
from medcnn.report.outcome import Curve
from medcnn.report.page import wording

BLUE, ORANGE = COLORS[:2]
NAMES = {"auroc": "AUROC", "sensitivity": "sensitivity", "specificity": "specificity", "ppv": "PPV", "npv": "NPV"}


def forest_figure(
    groups: Sequence[Group],
    gaps: Sequence[Gap] = (),
    figure: str = "auroc",
    overall: Estimate | None = None,
    title: str = "",
) -> Figure:
    """One figure of every group with its interval, and beside it on how many cases and findings it stands.

    A flagged group has a diamond and the word; a group that is not judged says so.

    Args:
        groups: In the order of the page; a column's name stands above its groups.
        gaps: Those that are flagged for ``figure`` mark their group.
        figure: ``auroc``, ``sensitivity``, ``specificity``, ``ppv`` or ``npv``.
        overall: Of all cases; a line through all groups.
        title: Above the figure.
    """
    flagged = {(gap.column, gap.group) for gap in gaps if gap.flagged and gap.figure == figure}
    columns = list(dict.fromkeys(group.column for group in groups))
    lines: list[Group | str] = []
    for column in columns:
        lines += [column, *(group for group in groups if group.column == column)]
    drawn = empty_figure(9.2, 1.7 + 0.32 * max(len(lines), 2))
    axes, beside = drawn.subplots(1, 2, width_ratios=[1.0, 0.92], sharey=True)
    style(axes)
    beside.set_axis_off()
    head(axes, title or f"{NAMES[figure]} by group")
    for place, line in enumerate(lines):
        if isinstance(line, Group):
            mark = (line.column, line.name) in flagged
            _draw_group(axes, place, getattr(line, figure), mark)
            _tell_group(beside, place, line, getattr(line, figure), mark)
    if not lines:
        say(axes, "no groups were named")
    _list_groups(axes, lines)
    if overall is not None and np.isfinite(overall.value):
        axes.axvline(overall.value, color=FAINT, linestyle=DASHED, linewidth=1.2, zorder=1)
    axes.set_xlabel(NAMES[figure], color=INK)
    return note(drawn, _forest_note(overall, bool(flagged)))


def compared_roc_figure(
    first: Curve, second: Curve, comparison: Comparison | None = None, title: str = "Two models on the same cases"
) -> Figure:
    """Both ROC curves, the area of each with its interval, and what the paired test says of the difference."""
    figure, axes = square_figure(title)
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle=DASHED, linewidth=1)
    areas = (comparison.first, comparison.second) if comparison else (Estimate(first.area), Estimate(second.area))
    for curve, area, color, dashes in (
        (first, areas[0], BLUE, "solid"),
        (second, areas[1], ORANGE, (0, (6, 1.5))),
    ):
        label = f"{curve.name}: AUROC {area}"
        axes.plot(curve.x, curve.y, color=color, linestyle=dashes, linewidth=1.8, label=label, clip_on=False)
        if curve.point is not None:
            axes.plot(*curve.point, "o", color=color, markersize=8, markeredgecolor="white", zorder=4, clip_on=False)
    name_axes(axes, "1 - specificity", "sensitivity")
    key(axes, -0.14, columns=1)
    told = f"n = {first.positives + first.negatives:,}, {first.positives:,} with the finding; dots: stored thresholds"
    return note(figure, f"{told}; {_difference(comparison)}" if comparison else told)


def _draw_group(axes: Axes, place: int, value: Estimate, flagged: bool) -> None:
    if not np.isfinite(value.value):
        return
    reach = np.nan_to_num([[value.value - value.low], [value.high - value.value]])
    axes.errorbar(
        value.value, place, xerr=np.clip(reach, 0, None), color=ORANGE if flagged else BLUE,
        marker="D" if flagged else "o", markersize=7 if flagged else 6, markeredgecolor="white", elinewidth=1.6,
        capsize=3, zorder=3,
    )  # fmt: skip


def _tell_group(axes: Axes, place: int, group: Group, value: Estimate, flagged: bool) -> None:
    told = wording.share(value.value) if np.isfinite(value.value) else "not judged"
    if wording.interval(value):
        told = f"{told} ({wording.interval(value)})"
    counts = f"{group.cases:,} cases, {group.events:,} with"
    axes.text(0.0, place, counts, va="center", fontsize=SMALL, color=QUIET)
    ink = INK if np.isfinite(value.value) else QUIET
    weight = "bold" if flagged else "normal"
    axes.text(
        0.42, place, told + ("  flagged" if flagged else ""), va="center", fontsize=SMALL, color=ink, weight=weight
    )


def _list_groups(axes: Axes, lines: Sequence[Group | str]) -> None:
    names = [line if isinstance(line, str) else "  " + textwrap.shorten(line.name, 28) for line in lines]
    axes.set_yticks(range(len(names)), names, fontsize=SMALL)
    for label, line in zip(axes.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if isinstance(line, str) else "normal")
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(max(len(lines), 1) - 0.4, -0.6)


def _forest_note(overall: Estimate | None, flagged: bool) -> str:
    told = "bars are intervals"
    if overall is not None and np.isfinite(overall.value):
        told += f"; dashed: all {overall.n:,} cases, {overall.value:.3f}"
    return told + ("; a diamond is flagged after correction for all looks" if flagged else "")


def _difference(comparison: Comparison) -> str:
    if not np.isfinite(comparison.difference.value):
        return f"difference not known: {comparison.reason or comparison.difference.reason}"
    p = wording.p_value(comparison.p)
    return f"difference {comparison.difference}, p {p if p[0] in '<>' else '= ' + p}"
