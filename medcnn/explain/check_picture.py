"""The check by random weights as one picture: the curve, and under each step the map that it left."""

import textwrap
from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medcnn.explain.randomization import ALIKE, Step

Picture = NDArray[np.uint8]
INK, FAINT, BLUE, ORANGE = "#222222", "#B8B8B8", "#0072B2", "#D55E00"
SMALL, TITLE = 9, 12.5
#: Inches of a line of small text, and how many of its letters stand in an inch.
LINE, LETTERS = 0.16, 14
NOTHING = "no positive\nevidence\nin this draw"


def check_figure(
    steps: Sequence[Step], tiles: Sequence[Picture], title: str, sentence: str, empty: Collection[int] = ()
) -> Figure:
    """The similarity over the steps with its spread over draws, and the maps of the first draw.

    Args:
        steps: As ``randomized_similarity`` gives.
        tiles: The image under the map of each step, uint8 ``(rows, columns, 3)``.
        title: What was explained; names no patient.
        sentence: The verdict.
        empty: Numbers of the tiles whose map is zero everywhere; it is written on them.
    """
    count = len(steps)
    wide = max(6.5, 1.35 * count)
    tile = (wide - 0.8) / count * tiles[0].shape[0] / tiles[0].shape[1]
    note = [sentence, "Maps of the first draw, each scaled by itself. Blocks are made random from the logits down."]
    # Broken here: matplotlib would run a long line out of the figure.
    lines = [line for part in note for line in textwrap.wrap(part, int(LETTERS * (wide - 0.3)))]
    foot = 0.2 + LINE * len(lines)
    high = tile + 3.7 + foot
    figure = Figure(figsize=(wide, high), facecolor="white", dpi=110)
    FigureCanvasAgg(figure)
    left, across = 0.65 / wide, 1 - 0.8 / wide
    _curve(figure.add_axes((left, (tile + foot + 0.8) / high, across, 2.4 / high)), steps)
    for number, one in enumerate(tiles):
        axes = figure.add_axes(
            (left + (number + 0.03) * across / count, foot / high, across / count * 0.94, tile / high)
        )
        axes.imshow(one, interpolation="nearest")
        axes.set_axis_off()
        if number in empty:
            axes.text(0.5, 0.04, NOTHING, transform=axes.transAxes, fontsize=SMALL - 2, color="white", ha="center",
                      bbox={"facecolor": INK, "alpha": 0.6, "linewidth": 0, "pad": 1.5})  # fmt: skip
    figure.text(0.012, 1 - 0.1 / high, title, fontsize=TITLE, color=INK, va="top", weight="bold")
    figure.text(0.012, 0.08 / high, "\n".join(lines), fontsize=SMALL, color="#555555", va="bottom")
    return figure


def pixels_of(figure: Figure) -> Picture:
    """A figure as bytes ``(rows, columns, 3)``."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _curve(axes: Axes, steps: Sequence[Step]) -> None:
    places = np.arange(len(steps))
    for name, color, marker, told in (("spearmans", BLUE, "o", "rank correlation"), ("ssims", ORANGE, "s", "SSIM")):
        by_draw = [getattr(step, name).mean(axis=1) for step in steps]
        means = [one.mean() for one in by_draw]
        spread = [one.std(ddof=1) if len(one) > 1 else 0 for one in by_draw]
        axes.errorbar(places, means, spread, color=color, marker=marker, capsize=3, linewidth=1.5, label=told)
    for height in (0, ALIKE):
        axes.axhline(height, color=FAINT, linestyle=(0, (4, 3)), linewidth=1)
    axes.set_xlim(-0.5, len(steps) - 0.5)
    shown = [step.layer if len(step.layer) <= 15 else f"…{step.layer[-14:]}" for step in steps]
    axes.set_xticks(places, shown, rotation=25, ha="right", rotation_mode="anchor", fontsize=SMALL - 1)
    axes.set_ylabel("likeness to the first map", fontsize=SMALL, color=INK)
    axes.tick_params(labelsize=SMALL - 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        loc="upper right", fontsize=SMALL, frameon=False, title="mean and spread over draws", title_fontsize=SMALL
    )
