"""The paper that every figure of a report is drawn on: one palette, one grid, a title at the left, a note below.

Figures are built without pyplot: no window, no global list of figures that grows with the epochs.
"""

import textwrap

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette, which readers with any color vision tell apart; its yellow is too light for a line.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, FAINT, QUIET = "#222222", "#B8B8B8", "#555555"
SMALL, TEXT, TITLE = 9, 10.5, 12.5
DASHED = (0, (4, 3))


def plain_figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """A figure with one set of axes; inches."""
    figure = empty_figure(width, height)
    axes = figure.add_subplot()
    style(axes)
    head(axes, title)
    return figure, axes


def square_figure(title: str) -> tuple[Figure, Axes]:
    """Both axes from 0 to 1, as for shares."""
    figure, axes = plain_figure(5.6, 5.6, title)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.02)
    return figure, axes


def empty_figure(width: float, height: float) -> Figure:
    """A figure without axes; inches."""
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def style(axes: Axes) -> None:
    """Two quiet spines and a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(visible=True, color="#ECECEC", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=SMALL, color=FAINT)


def head(axes: Axes, title: str) -> None:
    """What is seen, at the left above the axes."""
    axes.set_title(title, fontsize=TITLE, color=INK, loc="left", pad=10, weight="bold")


def name_axes(axes: Axes, x: str, y: str) -> None:
    """What is drawn over what."""
    axes.set_xlabel(x, fontsize=TEXT, color=INK)
    axes.set_ylabel(y, fontsize=TEXT, color=INK)


def note(figure: Figure, text: str) -> Figure:
    """A line below all: on how many cases it stands, and what a sign means."""
    lines = textwrap.wrap(text, int(figure.get_size_inches()[0] * 15))
    figure.supxlabel("\n".join(lines), fontsize=SMALL, color=QUIET, x=0.02, ha="left")
    return figure


def say(axes: Axes, text: str) -> None:
    """Words in the middle of axes on which nothing can be drawn."""
    axes.text(
        0.5, 0.5, textwrap.fill(text, 40), transform=axes.transAxes, ha="center", va="center", color=QUIET,
        fontsize=TEXT,
    )  # fmt: skip


def key(axes: Axes, below: float = -0.2, of: Axes | None = None, columns: int = 3, larger: float = 1.0) -> None:
    """A legend under the axes, where it lies on no curve; of what is drawn there, or on other axes."""
    handles, labels = (of or axes).get_legend_handles_labels()
    axes.legend(
        handles, labels, loc="upper center", bbox_to_anchor=(0.5, below), ncols=columns, fontsize=SMALL, frameon=False,
        handlelength=1.6, columnspacing=1.4, borderaxespad=0, markerscale=larger,
    )  # fmt: skip


def colors(n: int) -> list[str]:
    """So many colors, from the first again where they run out."""
    return [COLORS[k % len(COLORS)] for k in range(n)]
