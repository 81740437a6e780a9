"""Figures that a clinician judges a model by: calibration, thresholds, usefulness, agreement, with their intervals.

Each says on how many cases it stands, and says so in words where there is nothing to draw. Groups and models side by
side are drawn in ``comparison_figures``, corruptions, learning curves and maps of cases in ``examination_figures``.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medcnn.metrics.agreement import BlandAltman
from medcnn.metrics.conformal import Selective
from medcnn.metrics.decision_curve import DecisionCurve
from medcnn.metrics.estimate import Estimate
from medcnn.metrics.reliability import ReliabilityBin
from medcnn.report.figures.canvas import (
    COLORS,
    DASHED,
    FAINT,
    INK,
    SMALL,
    empty_figure,
    head,
    key,
    name_axes,
    note,
    plain_figure,
    say,
    style,
)  # fmt: skip

Array = NDArray[np.float64]
BLUE, ORANGE, GREEN = COLORS[:3]
STEPS, BINS = 1001, 30


def reliability_figure(
    before: list[ReliabilityBin] | None, after: list[ReliabilityBin], title: str = "Calibration"
) -> Figure:
    """The share that has a finding over the probability given for it, with intervals, and how many cases said so.

    Args:
        before: As the net said it; None where nothing was scaled.
        after: As the product says it.
        title: Above the figure.
    """
    figure = empty_figure(5.6, 6.8)
    above, below = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
    style(above)
    style(below)
    head(above, title)
    above.plot([0, 1], [0, 1], color=FAINT, linestyle=DASHED, linewidth=1, label="perfect")
    if before is not None:
        _draw_bins(above, below, before, "before scaling", ORANGE, "s")
    _draw_bins(above, below, after, "after scaling" if before is not None else "calibrated", BLUE, "o")
    above.set_xlim(-0.01, 1.01)
    above.set_ylim(-0.01, 1.02)
    name_axes(above, "", "share that has it")
    name_axes(below, "probability", "cases")
    key(below, -0.62, of=above)
    return note(figure, f"n = {sum(part.cases for part in after):,}; bars are intervals of the share in a bin")


def score_histogram_figure(
    scores: Array, positive: NDArray[np.bool_], threshold: float, title: str = "Scores by truth"
) -> Figure:
    """How the scores of cases with and without the finding spread, each as shares of its own side."""
    figure, axes = plain_figure(5.6, 4.6, title)
    known = np.isfinite(scores)
    edges = np.linspace(*_span(scores[known]), BINS + 1)
    for side, label, color in ((~positive, "without", BLUE), (positive, "with the finding", ORANGE)):
        chosen = scores[known & side]
        if len(chosen):
            heights = np.histogram(chosen, edges)[0] / len(chosen)
            axes.stairs(heights, edges, fill=True, color=color, alpha=0.25)
            axes.stairs(heights, edges, color=color, linewidth=1.5, label=f"{label} ({len(chosen):,})")
    _mark_threshold(axes, threshold)
    name_axes(axes, "probability", "share of that side")
    key(axes)
    return note(figure, _told(scores, positive))


def threshold_figure(
    scores: Array, positive: NDArray[np.bool_], threshold: float, title: str = "Sensitivity and specificity"
) -> Figure:
    """Both over the threshold, and where the stored one lies; NaN where none is stored."""
    figure, axes = plain_figure(5.6, 4.6, title)
    known = np.isfinite(scores)
    grid = np.linspace(*_span(scores[known]), STEPS)
    for side, label, color, dashes in (
        (positive, "sensitivity", ORANGE, "solid"),
        (~positive, "specificity", BLUE, (0, (6, 1.5))),
    ):
        ordered = np.sort(scores[known & side])
        if not len(ordered):
            continue
        called = 1 - np.searchsorted(ordered, np.append(grid, threshold), side="left") / len(ordered)
        shares = called if label == "sensitivity" else 1 - called
        said = f"{label} {shares[-1]:.3f}" if np.isfinite(threshold) else label
        axes.plot(grid, shares[:-1], color=color, linestyle=dashes, linewidth=1.8, label=said)
        if np.isfinite(threshold):
            axes.plot(threshold, shares[-1], "o", color=color, markersize=7, markeredgecolor="white", zorder=4)
    _mark_threshold(axes, threshold)
    axes.set_ylim(-0.01, 1.02)
    name_axes(axes, "threshold", "share")
    key(axes)
    return note(figure, _told(scores, positive))


def decision_curve_figure(curve: DecisionCurve, cases: int = 0, title: str = "Decision curve") -> Figure:
    """Net benefit of acting on the model, on everybody and on nobody, over the risk at which one would act.

    Args:
        curve: What to draw.
        cases: That it stands on; 0 where that is told elsewhere.
        title: Above the figure.
    """
    figure, axes = plain_figure(5.6, 4.6, title)
    said = "a band is the interval" + (f"; n = {cases:,}" if cases else "")
    if not np.isfinite(curve.model).any():
        say(axes, curve.reason or "there is nothing to draw")
        return note(figure, said)
    axes.axhline(0, color=INK, linewidth=1.2, linestyle=(0, (1, 2)), label="treat none")
    axes.plot(curve.threshold, curve.treat_all, color=ORANGE, linewidth=1.5, linestyle=DASHED, label="treat all")
    _band(axes, curve.threshold, (curve.model, curve.low, curve.high), BLUE, "act on the model")
    top = float(np.nanmax([np.nanmax(curve.model), np.nanmax(curve.treat_all), 0.01]))
    lowest = float(np.nanmin([np.nanmin(curve.model), 0]))
    # Treating all falls without end: what lies far below zero is not worth the room.
    axes.set_ylim(max(lowest, -0.5 * top) - 0.08 * top, 1.08 * top)
    name_axes(axes, "risk at which one would act", "net benefit")
    key(axes)
    return note(figure, f"{said}; {curve.reason}" if curve.reason else said)


def selective_figure(curve: Selective, cases: int = 0, title: str = "Accuracy of what is kept") -> Figure:
    """Accuracy over the share of cases that are kept when the least sure go to a person.

    Args:
        curve: What to draw.
        cases: That it stands on; 0 where that is told elsewhere.
        title: Above the figure.
    """
    figure, axes = plain_figure(5.6, 4.6, title)
    if len(curve.kept_share):
        _band(axes, curve.kept_share, (curve.accuracy, curve.low, curve.high), BLUE, "kept cases")
        axes.set_xlim(-0.01, 1.01)
        lowest = float(np.nanmin(np.append(curve.low, curve.accuracy), initial=1.0))
        axes.set_ylim(max(0.0, np.floor(lowest * 20) / 20 - 0.02), 1.01)
    else:
        say(axes, "there is nothing to draw")
    name_axes(axes, "share of cases that are kept", "accuracy among them")
    told = f"; n = {cases:,}" if cases else ""
    return note(figure, f"the surest cases are kept first; the band is the interval{told}")


def bland_altman_figure(agreement: BlandAltman, title: str = "Agreement", unit: str = "") -> Figure:
    """Differences over means, with the bias, the limits of agreement, and the interval of each."""
    figure, axes = plain_figure(6.6, 4.8, title)
    axes.scatter(agreement.means, agreement.differences, s=18, color=BLUE, alpha=0.65, edgecolor="white", linewidth=0.4)
    lines = (("upper limit", agreement.upper), ("bias", agreement.bias), ("lower limit", agreement.lower))
    for word, figure_of in lines:
        _level_line(axes, word, figure_of, INK if word == "bias" else ORANGE)
    axes.axhline(0, color=FAINT, linewidth=1, zorder=0)
    of = f" [{unit}]" if unit else ""
    difference = "difference [% of the mean]" if agreement.percent else f"difference{of}"
    name_axes(axes, f"mean of both{of}", difference)
    told = f"n = {agreement.n:,} cases of {agreement.patients:,} patients; bands are intervals"
    return note(figure, told + (f"; {agreement.bias.reason}" if agreement.bias.reason else ""))


def _draw_bins(above: Axes, below: Axes, bins: list[ReliabilityBin], label: str, color: str, marker: str) -> None:
    drawn = [part for part in bins if part.cases and np.isfinite(part.share.value)]
    x = np.array([part.mean_probability for part in drawn])
    y, low, high = (np.array([getattr(part.share, end) for part in drawn]) for end in ("value", "low", "high"))
    reach = np.nan_to_num(np.clip([y - low, high - y], 0, None)) if drawn else None
    above.errorbar(
        x, y, yerr=reach, color=color, marker=marker, markersize=6, linewidth=1.3, elinewidth=1.1, capsize=2.5,
        markeredgecolor="white", label=label, zorder=3,
    )  # fmt: skip
    for part in bins:
        below.stairs([part.cases], [part.low, part.high], color=color, fill=True, alpha=0.25)
        below.stairs([part.cases], [part.low, part.high], color=color, linewidth=1.1)


def _band(axes: Axes, x: Array, curve: tuple[Array, Array, Array], color: str, label: str) -> None:
    value, low, high = curve
    axes.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
    axes.plot(x, value, color=color, linewidth=1.8, label=label)


def _level_line(axes: Axes, word: str, figure: Estimate, color: str) -> None:
    if not np.isfinite(figure.value):
        return
    axes.axhline(figure.value, color=color, linewidth=1.3, linestyle="solid" if word == "bias" else DASHED)
    if np.isfinite([figure.low, figure.high]).all():
        axes.axhspan(figure.low, figure.high, color=color, alpha=0.1, linewidth=0)
    axes.text(
        1.02, figure.value, f"{word}\n{figure.value:.3g}", transform=axes.get_yaxis_transform(), color=color,
        va="center", fontsize=SMALL,
    )  # fmt: skip


def _mark_threshold(axes: Axes, threshold: float) -> None:
    if np.isfinite(threshold):
        axes.axvline(threshold, color=INK, linewidth=1.1, linestyle=DASHED, label=f"stored threshold {threshold:.3f}")


def _span(scores: Array) -> tuple[float, float]:
    """From 0 to 1 for probabilities, otherwise as far as the scores go."""
    if not len(scores) or (scores.min() >= 0 and scores.max() <= 1):
        return 0.0, 1.0
    return float(scores.min()), float(scores.max())


def _told(scores: Array, positive: NDArray[np.bool_]) -> str:
    known = np.isfinite(scores)
    missing = f"; {int((~known).sum()):,} without a score" if not known.all() else ""
    return f"n = {int(known.sum()):,}, {int((known & positive).sum()):,} with the finding{missing}"
