"""Figures of what was done to a model and its images: corruptions, smaller training sets, random weights, maps."""

import math
from collections.abc import Hashable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medcnn.report.figures.canvas import (
    COLORS,
    DASHED,
    FAINT,
    INK,
    SMALL,
    TEXT,
    TITLE,
    colors,
    empty_figure,
    key,
    name_axes,
    note,
    plain_figure,
    say,
    style,
)

BLUE, ORANGE = COLORS[:2]
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
ACROSS = 4
MOST_COLORS = len(COLORS) - 1


def robustness_figure(table: pd.DataFrame, figure: str = "", title: str = "Under corruption") -> Figure:
    """A small panel for each corruption: the figure over the strength, all on one scale, with its interval.

    Args:
        table: Columns ``corruption``, ``strength``, ``value``, and where there are any ``low``, ``high``, ``n``,
            ``figure``. The value at strength 0 is drawn as a line through all panels.
        figure: Which of ``figure`` to draw where the table has several; its name stands at the axis.
        title: Above the panels.
    """
    chosen = _of_figure(table, figure)
    names = list(dict.fromkeys(chosen.loc[chosen["strength"] != 0, "corruption"]))
    down = max(1, math.ceil(len(names) / ACROSS))
    across = max(1, math.ceil(len(names) / down))
    drawn = empty_figure(2.3 * across + 0.6, 2.2 * down + 0.9)
    panels = drawn.subplots(down, across, sharey=True, squeeze=False)
    start = chosen.loc[chosen["strength"] == 0, "value"].dropna()
    for place, axes in enumerate(panels.flat):
        if place >= len(names):
            axes.set_visible(False)
            continue
        _draw_corruption(axes, chosen[chosen["corruption"] == names[place]], str(names[place]))
        if len(start):
            axes.axhline(float(start.iloc[0]), color=FAINT, linestyle=DASHED, linewidth=1, zorder=1)
    if not names:
        panels[0, 0].set_visible(True)
        panels[0, 0].set_axis_off()
        say(panels[0, 0], "there is nothing to draw")
    drawn.suptitle(title, fontsize=TITLE, color=INK, x=0.02, ha="left", weight="bold")
    for first in panels[:, 0]:
        first.set_ylabel(figure or "value", fontsize=TEXT, color=INK)
    return note(drawn, f"{_cases(chosen)}over the strength of each corruption; dashed: untouched")


def learning_curve_figure(table: pd.DataFrame, figure: str = "", title: str = "Learning curve") -> Figure:
    """A figure over the number of training cases, with its interval.

    Args:
        table: Columns ``cases`` (for training), ``value``, and where there are any ``low``, ``high``, ``n``,
            ``figure``.
        figure: Which of ``figure`` to draw where the table has several; its name stands at the axis.
        title: Above the figure.
    """
    drawn, axes = plain_figure(5.6, 4.4, title)
    rows = _of_figure(table, figure).dropna(subset=["value"]).sort_values("cases")
    if len(rows):
        _draw_interval(axes, rows, "cases")
        axes.set_xscale("log")
        ticks = rows["cases"].astype(int).tolist()
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], rotation=40 if len(ticks) > 6 else 0)
        axes.minorticks_off()
    else:
        say(axes, "there is nothing to draw")
    name_axes(axes, "cases trained on", figure or "value")
    return note(drawn, f"{_cases(rows)}each set lies within the next; the band is the interval")


def randomization_figure(table: pd.DataFrame, title: str = "Maps under random weights") -> Figure:
    """How like the first map is to the one after each layer, from the last on, has lost what it learned.

    Args:
        table: Columns ``step``, ``layer``, ``spearman``, ``ssim``; a mean is drawn where a step has several rows.
        title: Above the figure.
    """
    drawn, axes = plain_figure(6.6, 4.8, title)
    steps = table.groupby("step", sort=True).agg({"layer": "first", "spearman": "mean", "ssim": "mean"})
    for name, color, marker, told in (
        ("spearman", BLUE, "o", "rank correlation"),
        ("ssim", ORANGE, "s", "structural similarity"),
    ):
        axes.plot(range(len(steps)), steps[name], color=color, marker=marker, markeredgecolor="white", label=told)
    axes.axhline(0, color=FAINT, linestyle=DASHED, linewidth=1)
    shown = [str(layer) if len(str(layer)) <= 18 else "…" + str(layer)[-17:] for layer in steps["layer"]]
    axes.set_xticks(range(len(steps)), shown, rotation=40, ha="right", rotation_mode="anchor", fontsize=SMALL)
    name_axes(axes, "", "likeness to the first map")
    # Between title and curves: the names of layers below may be long.
    axes.set_title(title, fontsize=TITLE, color=INK, loc="left", pad=26, weight="bold")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, fontsize=SMALL, frameon=False)
    return note(drawn, "a map that explains the model falls towards 0 from left to right; layers are set anew in turn")


def embedding_figure(
    table: pd.DataFrame, color: str = "label", axes: tuple[str, str] = ("x", "y"), title: str = ""
) -> Figure:
    """Every case as a point of a map, colored and shaped by what one column says of it.

    Args:
        table: Columns ``x``, ``y`` and ``color``.
        color: A column: few values are colored one by one, rare ones as "others", numbers by a scale.
        axes: Columns that are drawn.
        title: Above the figure.
    """
    drawn, place = plain_figure(6.4, 5.6, title or f"Cases by {color}")
    rows = table.dropna(subset=list(axes))
    values = rows[color]
    if pd.api.types.is_numeric_dtype(values.dtype) and values.nunique() > MOST_COLORS:
        points = place.scatter(rows[axes[0]], rows[axes[1]], c=values, cmap="viridis", s=_size(len(rows)), linewidth=0)
        drawn.colorbar(points, ax=place, label=color, shrink=0.8)
    else:
        _draw_values(place, rows, values, axes)
        key(place, -0.05, larger=2.0)
    # Distances between far points and the axes themselves mean nothing on such a map.
    place.set_xticks([])
    place.set_yticks([])
    place.set_aspect("equal", adjustable="datalim")
    return note(drawn, f"n = {len(rows):,}; near points have like features, far distances mean little")


def _of_figure(table: pd.DataFrame, figure: str) -> pd.DataFrame:
    return table[table["figure"] == figure] if figure and "figure" in table else table


def _draw_corruption(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    style(axes)
    _draw_interval(axes, rows.dropna(subset=["value"]).sort_values("strength"), "strength")
    axes.set_title(name.replace("_", " "), fontsize=TEXT, color=INK, loc="left")


def _draw_interval(axes: Axes, rows: pd.DataFrame, over: str) -> None:
    axes.plot(rows[over], rows["value"], color=BLUE, marker="o", markersize=5, linewidth=1.6, markeredgecolor="white")
    if {"low", "high"} <= set(rows.columns):
        low, high = (rows[end].to_numpy(dtype=float) for end in ("low", "high"))
        axes.fill_between(rows[over], low, high, color=BLUE, alpha=0.18, linewidth=0)


def _draw_values(axes: Axes, rows: pd.DataFrame, values: pd.Series, columns: tuple[str, str]) -> None:
    told = values.astype(object).where(values.notna(), "not known")
    order: list[Hashable] = list(told.value_counts().index)
    kept = order if len(order) <= MOST_COLORS else order[: MOST_COLORS - 1]
    others = told[~told.isin(kept)]
    kept.sort(key=str)  # the same color for the same name, however often it stands
    for name, color, marker in zip(kept, colors(len(kept)), MARKERS, strict=False):
        chosen = rows[told == name]
        axes.scatter(
            chosen[columns[0]], chosen[columns[1]], s=_size(len(rows)), color=color, marker=marker, alpha=0.7,
            linewidth=0, label=f"{str(name)[:28]} ({len(chosen):,})",
        )  # fmt: skip
    if len(others):
        chosen = rows.loc[others.index]
        label = f"others ({len(chosen):,})"
        axes.scatter(chosen[columns[0]], chosen[columns[1]], s=_size(len(rows)), color=FAINT, zorder=0, label=label)


def _size(n: int) -> float:
    return float(np.clip(4000 / max(n, 1), 4, 26))


def _cases(table: pd.DataFrame) -> str:
    known = table["n"].dropna() if "n" in table else pd.Series(dtype=float)
    return f"n = {int(known.max()):,}; " if len(known) else ""
