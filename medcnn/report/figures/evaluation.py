"""Figures of an evaluation, drawn from arrays; every one says on how many cases it stands.

They are built without pyplot: no window, no global list of figures that grows with the epochs.
"""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medcnn.report.figures.canvas import (
    FAINT,
    INK,
    SMALL,
    TEXT,
    TITLE,
    colors,
    name_axes,
    note,
    plain_figure,
    square_figure,
)  # fmt: skip
from medcnn.report.outcome import Curve


def roc_figure(curves: Sequence[Curve], title: str = "ROC") -> Figure:
    """Sensitivity over 1 - specificity, the area of each curve, and where the stored threshold lies."""
    figure, axes = square_figure(title)
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle=(0, (4, 3)), linewidth=1)
    _draw_curves(axes, curves, "AUROC", "default")
    name_axes(axes, "1 - specificity", "sensitivity")
    axes.legend(loc="lower right", fontsize=SMALL, frameon=False)
    return _captioned(figure, curves)


def precision_recall_figure(curves: Sequence[Curve], title: str = "Precision and recall") -> Figure:
    """Positive predictive value over sensitivity, with the prevalence that chance would give."""
    figure, axes = square_figure(title)
    for curve, color in zip(curves, colors(len(curves)), strict=True):
        prevalence = curve.positives / max(curve.positives + curve.negatives, 1)
        axes.axhline(prevalence, color=color, linestyle=(0, (4, 3)), linewidth=1, alpha=0.5)
    _draw_curves(axes, curves, "AP", "steps-pre")
    name_axes(axes, "sensitivity (recall)", "positive predictive value (precision)")
    axes.legend(loc="best", fontsize=SMALL, frameon=False)
    return _captioned(figure, curves)


def confusion_figure(
    counts: pd.DataFrame, title: str = "Confusion at the stored threshold", column: str = ""
) -> Figure:
    """Counts of truth (rows) against call (columns), shaded by the share of the row."""
    values = counts.to_numpy()
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    size = 1.6 + 1.0 * max(values.shape)
    figure, axes = plain_figure(size + 1.2, 1.4 + 0.85 * values.shape[0] + 0.6, title)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, place), count in np.ndenumerate(values):
        ink = "white" if shares[row, place] > 0.55 else INK
        text = f"{count:,}\n{shares[row, place]:.1%}"
        axes.text(place, row, text, ha="center", va="center", color=ink, fontsize=TEXT, linespacing=1.4)
    axes.set_xticks(range(values.shape[1]), [_wrapped(name) for name in counts.columns], fontsize=SMALL)
    axes.set_yticks(range(values.shape[0]), [_wrapped(name) for name in counts.index], fontsize=SMALL)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    name_axes(axes, column or "called", "true")
    return note(figure, f"n = {int(values.sum()):,}; percentages of the row")


def reliability_figure(bins: dict[str, pd.DataFrame], title: str = "Calibration") -> Figure:
    """The share that has a finding over the probability given for it; a dot's area grows with its cases.

    Args:
        bins: Class to a table with columns ``probability``, ``share`` and ``cases``.
    """
    figure, axes = square_figure(title)
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle=(0, (4, 3)), linewidth=1)
    for (name, table), color in zip(bins.items(), colors(len(bins)), strict=True):
        axes.plot(table["probability"], table["share"], color=color, linewidth=1.4, label=name)
        area = 12 + 240 * table["cases"] / max(int(table["cases"].sum()), 1)
        axes.scatter(table["probability"], table["share"], s=area, color=color, edgecolor="white", zorder=3)
    name_axes(axes, "calibrated probability", "share that has it")
    axes.legend(loc="upper left", fontsize=SMALL, frameon=False)
    cases = max((int(table["cases"].sum()) for table in bins.values()), default=0)
    return note(figure, f"n = {cases:,}; the dashed line is perfect calibration")


def cam_grid_figure(
    images: NDArray[np.float32], maps: NDArray[np.float32], captions: Sequence[str], title: str = "", note: str = ""
) -> Figure:
    """Each image beside itself with its relevance map over it.

    Args:
        images: ``(n, C, rows, columns)`` or a volume ``(n, C, slices, rows, columns)``, of which the slice with most
            relevance is shown; any range.
        maps: ``(n, *spatial)`` in [0, 1].
        captions: One a case, put above it.
    """
    tiles = [_tile(_plane(image, relevance)) for image, relevance in zip(images, maps, strict=True)]
    across = min(len(tiles), 4)
    down = -(-len(tiles) // across) if across else 1
    # A fixed caption height in inches keeps text readable on small and large images alike.
    shape = tiles[0].shape if tiles else (1, 2, 3)
    width = 3.1
    height = width * shape[0] / shape[1] + 0.42
    figure = Figure(figsize=(max(across, 1) * width, down * height + 0.75), facecolor="white", dpi=110)
    FigureCanvasAgg(figure)
    for place, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        _show_tile(figure, tile, caption, (place // across, place % across), (down, across))
    figure.text(0.012, 0.985, title, fontsize=TITLE, color=INK, va="top", weight="bold")
    figure.text(0.012, 0.008, note, fontsize=SMALL, color="#555555", va="bottom")
    return figure


def _show_tile(
    figure: Figure, tile: NDArray[np.float32], caption: str, at: tuple[int, int], of: tuple[int, int]
) -> None:
    (row, column), (down, across) = at, of
    total = figure.get_size_inches()[1]
    head, foot = 0.42 / total, 0.28 / total
    cell = (1 - head - foot) / down
    room = 0.36 / total
    place = (column / across + 0.006, 1 - head - (row + 1) * cell + 0.004, 1 / across - 0.012, cell - room)
    axes = figure.add_axes(place)
    axes.imshow(tile, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(caption, fontsize=8.2, color=INK, loc="left", pad=3, linespacing=1.25)


def _plane(image: NDArray[np.float32], relevance: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
    """The plane to show of an image ``(C, *spatial)``: itself, or the slice of a volume that mattered most."""
    gray = np.asarray(image, dtype=np.float32).mean(axis=0)
    if gray.ndim == 3:
        most = int(relevance.sum(axis=(1, 2)).argmax()) if relevance.any() else gray.shape[0] // 2
        gray, relevance = gray[most], relevance[most]
    return gray, np.asarray(relevance, dtype=np.float32)


def _tile(plane: tuple[NDArray, NDArray]) -> NDArray[np.float32]:
    """The image, and the image under its map, side by side ``(rows, 2 * columns, 3)``."""
    gray, relevance = plane
    low, high = float(np.nanmin(gray)), float(np.nanmax(gray))
    base = np.repeat(((gray - low) / (high - low if high > low else 1.0))[..., None], 3, axis=2)
    # Relevance decides color and opacity: where there is none, the film stays as it was.
    weight = np.clip(relevance, 0, 1)[..., None]
    over = base * (1 - 0.65 * weight) + _heat(np.clip(relevance, 0, 1)) * 0.65 * weight
    gap = np.ones((gray.shape[0], max(1, gray.shape[1] // 40), 3), dtype=np.float32)
    return np.concatenate([base, gap, over], axis=1)


def _heat(relevance: NDArray[np.float32]) -> NDArray[np.float32]:
    return colormaps["inferno"](0.25 + 0.7 * relevance)[..., :3].astype(np.float32)


def _draw_curves(axes: Axes, curves: Sequence[Curve], measure: str, style: str) -> None:
    for curve, color in zip(curves, colors(len(curves)), strict=True):
        area = "undefined: one side is missing" if np.isnan(curve.area) else f"{curve.area:.3f}"
        label = f"{curve.name}: {measure} {area} ({curve.positives:,} of {curve.positives + curve.negatives:,})"
        axes.plot(curve.x, curve.y, color=color, linewidth=1.8, drawstyle=style, label=label, clip_on=False)
        if curve.point is not None:
            axes.plot(*curve.point, "o", color=color, markersize=8, markeredgecolor="white", zorder=4, clip_on=False)


def _captioned(figure: Figure, curves: Sequence[Curve]) -> Figure:
    cases = max((curve.positives + curve.negatives for curve in curves), default=0)
    point = "; the dot is the stored threshold" if any(curve.point for curve in curves) else ""
    return note(figure, f"n = {cases:,}{point}")


def _wrapped(name: object) -> str:
    return "\n".join(textwrap.wrap(str(name), 14)) or str(name)
