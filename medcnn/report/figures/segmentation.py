"""Figures of a segmentation: Dice by class, and chosen cases with truth and prediction over them."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from medcnn.report.figures.canvas import COLORS, INK, SMALL, TEXT, TITLE
from medcnn.report.segmentation import CaseScores, Plane, Shown, planes_of

#: Orange first: it stands out from gray images, and from the blue that follows.
CLASS_COLORS = (COLORS[4], COLORS[5], COLORS[2], COLORS[3], COLORS[1], COLORS[0])
FILL = 0.35
CELL, CAPTION, HEAD, FOOT = 1.75, 0.42, 0.45, 0.4  # inches


def dice_figure(scores: CaseScores, title: str = "Dice by class") -> Figure:
    """A box for each class, quartiles and the 5th and 95th percentile, with a point for each case over it."""
    figure = Figure(figsize=(2.2 + 1.3 * len(scores.classes), 4.6), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = []
    for place, name in enumerate(scores.classes):
        dice = np.asarray(scores.figures["dice"])[:, place]
        _draw_box(axes, place, dice[~np.isnan(dice)], CLASS_COLORS[place % len(CLASS_COLORS)])
        names.append(_class_label(name, dice))
    axes.set_xticks(range(len(names)), names, fontsize=SMALL)
    axes.set_ylabel("Dice", fontsize=TEXT, color=INK)
    lowest = np.nanmin(scores.figures["dice"], initial=1.0)
    # Where no case is bad, the differences among good ones are what there is to see.
    axes.set_ylim(np.floor(lowest * 10) / 10 - 0.02, 1.02)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", color="#ECECEC", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_title("\n".join(textwrap.wrap(title, 34)), fontsize=TITLE, color=INK, loc="left", pad=10, weight="bold")
    empty = int((np.asarray(scores.figures["truth_mm3"]) == 0).sum())
    note = f"n = {len(scores.cases):,} cases" + (f"; {empty:,} truths are empty" if empty else "")
    figure.supxlabel(note, fontsize=SMALL, color="#555555", x=0.02, ha="left")
    return figure


def overlay_figure(cases: Sequence[Shown], classes: Sequence[str], title: str = "", note: str = "") -> Figure:
    """Each case in three planes through the largest section: what was found as a fill, what is true as an outline.

    Args:
        cases: To be drawn, in order.
        classes: Names, K of them; the first is the background and is not drawn.
        title: Above all.
        note: Below all, before the legend's own words.
    """
    planes = [planes_of(case) for case in cases]
    wide = max((len(row) for row in planes), default=1)
    across = min(2 if wide > 1 else 4, max(len(cases), 1))
    down = -(-len(cases) // across)
    height = HEAD + FOOT + down * (CELL + CAPTION)
    figure = Figure(figsize=(max(across * wide * CELL, 4.5), height), facecolor="white", dpi=110)
    FigureCanvasAgg(figure)
    for place, (case, row) in enumerate(zip(cases, planes, strict=True)):
        top = 1 - (HEAD + CAPTION + (place // across) * (CELL + CAPTION)) / height
        left = (place % across) / across
        figure.text(left + 0.006, top + 0.06 / height, case.caption, fontsize=8.2, color=INK, va="bottom")
        for column, plane in enumerate(row):
            cell = 1 / (across * wide)
            axes = figure.add_axes((left + column * cell + 0.003, top - CELL / height, cell - 0.006, CELL / height))
            _draw_plane(axes, plane)
    figure.text(0.006, 1 - 0.1 / height, title, fontsize=TITLE, color=INK, va="top", weight="bold")
    _legend(figure, classes, note, height)
    return figure


def _draw_box(axes: Axes, place: int, dice: NDArray[np.float64], color: str) -> None:
    if not len(dice):
        return
    box = {"facecolor": (*to_rgb(color), 0.25), "edgecolor": color}
    axes.boxplot(
        [dice], positions=[place], widths=0.5, whis=(5, 95), showfliers=False, patch_artist=True, boxprops=box,
        medianprops={"color": INK}, whiskerprops={"color": color}, capprops={"color": color},
    )  # fmt: skip
    # Spread by rank and not by chance: the same cases, the same picture.
    order = np.argsort(np.argsort(dice, kind="stable"), kind="stable")
    shift = ((order * 0.618034) % 1.0 - 0.5) * 0.36
    axes.scatter(place + shift, dice, s=14, color=color, edgecolor="white", linewidth=0.5, zorder=3)


def _class_label(name: str, dice: NDArray[np.float64]) -> str:
    known = dice[~np.isnan(dice)]
    told = f"mean {known.mean():.3f}\nn = {len(known):,}" if len(known) else "no figure"
    return "\n".join([*textwrap.wrap(str(name), 16), told])


def _draw_plane(axes: Axes, plane: Plane) -> None:
    rows, columns = plane.image.shape
    low, high = np.nanpercentile(plane.image, [0.5, 99.5])
    gray = np.clip((plane.image - low) / (high - low if high > low else 1.0), 0, 1)
    base = np.repeat(np.asarray(gray, dtype=np.float32)[..., None], 3, axis=2)
    for value in _values(plane.prediction):
        where = plane.prediction == value
        base[where] = (1 - FILL) * base[where] + FILL * np.array(to_rgb(_color(value)), dtype=np.float32)
    axes.imshow(base, interpolation="nearest", aspect=plane.pixel_mm[0] / plane.pixel_mm[1])
    if min(rows, columns) > 1:
        for value in _values(plane.truth):
            where = (plane.truth == value).astype(np.float32)
            axes.contour(where, levels=[0.5], colors=[_color(value)], linewidths=1.1)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_axis_off()


def _values(labels: NDArray[np.integer]) -> list[int]:
    return [int(value) for value in np.unique(labels) if value > 0]


def _color(value: int) -> str:
    return CLASS_COLORS[(value - 1) % len(CLASS_COLORS)]


def _legend(figure: Figure, classes: Sequence[str], note: str, height: float) -> None:
    told = "; ".join(part for part in (note, "fill: prediction, outline: truth") if part)
    figure.text(0.006, 0.06 / height, told, fontsize=SMALL, color="#555555", va="bottom")
    patches = [Patch(color=_color(value), label=name) for value, name in enumerate(classes) if value > 0]
    figure.legend(
        handles=patches, loc="lower right", ncols=len(patches), fontsize=SMALL, frameon=False, borderaxespad=0.2,
        bbox_to_anchor=(1.0, 0.0), handlelength=1.0, columnspacing=1.0,
    )  # fmt: skip
