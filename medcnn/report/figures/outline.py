"""A segmented volume at a glance: three planes through the largest section, what was found as an outline."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from medcnn.files import write_atomic
from medcnn.report.figures.evaluation import INK, SMALL
from medcnn.report.figures.segmentation import CLASS_COLORS
from medcnn.report.segmentation import Plane, Shown, planes_of

#: Planes that show both sides of the patient.
SIDED = ("axial", "coronal")
#: Letters of a caption that fit beside the names of the classes.
_CAPTION = 110


def outline_figure(
    image: NDArray[np.number],
    labels: NDArray[np.integer],
    affine: NDArray[np.float64],
    classes: Sequence[str],
    caption: str,
) -> Figure:
    """The image in gray with an outline around each class, as radiologists look at it: the right (R) on the left.

    Args:
        image: Intensities of a volume.
        labels: Of the same shape; 0 is not drawn.
        affine: ``(4, 4)`` from index to mm, RAS+.
        classes: Names, K of them; the first is the background.
        caption: Written below.
    """
    planes = planes_of(Shown(np.asarray(image, dtype=np.float32), labels, labels, affine, caption))
    figure = Figure(figsize=(9.0, 3.5), facecolor="white", dpi=110)
    FigureCanvasAgg(figure)
    for place, plane in enumerate(planes):
        axes = figure.add_axes((place / 3 + 0.004, 0.14, 1 / 3 - 0.008, 0.84))
        _draw(axes, plane)
    found = [value for value in range(1, len(classes)) if (labels == value).any()]
    handles = [Line2D([], [], color=_color(value), label=classes[value]) for value in found]
    if handles:
        figure.legend(handles=handles, loc="lower right", ncols=len(handles), fontsize=SMALL, frameon=False)
    text = textwrap.shorten(caption if found else f"{caption}; nothing was found".lstrip("; "), _CAPTION)
    figure.text(0.006, 0.03, text, fontsize=SMALL, color=INK)
    return figure


def save_outline(path: Path, figure: Figure) -> None:
    """Write a figure as PNG so that it appears whole."""
    write_atomic(path, lambda draft: figure.savefig(draft, format="png"))


def _draw(axes: Axes, plane: Plane) -> None:
    rows, columns = plane.image.shape
    values = np.asarray(plane.image, dtype=np.float32)
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [0.5, 99.5]) if known.size else (0.0, 1.0)
    aspect = plane.pixel_mm[0] / plane.pixel_mm[1]
    axes.imshow(values, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), interpolation="nearest", aspect=aspect)
    if min(rows, columns) > 1:
        for value in np.unique(plane.prediction[plane.prediction > 0]):
            # A margin of nothing closes the line where a class touches the border.
            inside = np.pad((plane.prediction == value).astype(np.float32), 1)
            place = np.arange(-1, columns + 1), np.arange(-1, rows + 1)
            axes.contour(*place, inside, levels=[0.5], colors=[_color(int(value))], linewidths=1.1)
    if plane.name in SIDED:
        for letter, at, side in (("R", 0.02, "left"), ("L", 0.98, "right")):
            text = axes.text(at, 0.5, letter, transform=axes.transAxes, ha=side, va="center", color="white")
            text.set_path_effects([withStroke(linewidth=2, foreground="black")])  # to be read on white, too
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_axis_off()


def _color(value: int) -> str:
    return CLASS_COLORS[(value - 1) % len(CLASS_COLORS)]
