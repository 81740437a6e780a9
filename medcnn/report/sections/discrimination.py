"""How well a model tells cases with a finding from cases without: areas, curves and the spread of probabilities."""

import numpy as np
import pandas as pd

from medcnn.metrics.bootstrap import bootstrap_average_precision
from medcnn.metrics.estimate import Estimate
from medcnn.report.evidence import Evidence, estimate_table, methods
from medcnn.report.figures.canvas import COLORS
from medcnn.report.figures.evaluation import precision_recall_figure, roc_figure
from medcnn.report.figures.evidence import BINS, score_histogram_figure
from medcnn.report.outcome import Curve, Finding, precision_recall_of, roc_of
from medcnn.report.page.blocks import Block, Picture, Section, Table, Text
from medcnn.report.sections.drops import auroc_drops

#: Points of a drawn curve: more cannot be told apart, and would make the table behind the picture long.
POINTS = 400


def discrimination_section(evidence: Evidence) -> Section:
    """Areas with their intervals, the two curves, and how the probabilities lie."""
    blocks: list[Block] = [Text(_words(evidence)), *auroc_drops(evidence), _areas(evidence)]
    if len(evidence.test.cases):
        blocks += [_roc(evidence), _precision_recall(evidence), *_histograms(evidence)]
    return Section("discrimination", "Discrimination", blocks)


def thinned(curve: Curve, points: int = POINTS) -> Curve:
    """The curve on points that lie about equally far apart along it; its first and last stay."""
    if len(curve.x) <= points:
        return curve
    along = np.arange(len(curve.x), dtype=np.float64)
    if np.isfinite(curve.x).all() and np.isfinite(curve.y).all():
        along = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(curve.x)) + np.abs(np.diff(curve.y)))))
    kept = np.searchsorted(along, np.linspace(0, along[-1], points))
    kept = np.unique(np.concatenate(([0, len(along) - 1], np.minimum(kept, len(along) - 1))))
    return curve._replace(x=curve.x[kept], y=curve.y[kept], threshold=curve.threshold[kept])


def curve_table(curves: list[Curve], x: str, y: str) -> pd.DataFrame:
    """The points of drawn curves."""
    parts = [pd.DataFrame({"finding": c.name, x: c.x, y: c.y, "threshold": c.threshold}) for c in curves]
    return pd.concat(parts, ignore_index=True)


def _words(evidence: Evidence) -> str:
    if len(evidence.findings) == 1:
        asked = f"Whether the model gives {evidence.findings[0].name} a higher probability where it is there."
    elif evidence.test.multilabel:
        asked = "Each finding by itself, on the cases of which it is known."
    else:
        asked = "Each class against all others."
    return f"{asked} 0.5 is chance, 1 is never wrong. No threshold has a part in these areas."


def _areas(evidence: Evidence) -> Table:
    figures: dict[tuple[str, str], Estimate] = {}
    for finding in evidence.findings:
        figures[finding.name, "AUROC"] = evidence.aurocs[finding.name]
        figures[finding.name, "average precision"] = bootstrap_average_precision(
            finding.scores, finding.positive, finding.patients, draws=evidence.draws, level=evidence.level
        )
    caption = "The average precision of a model that knows nothing is the prevalence among these cases."
    several = len(evidence.findings) > 1
    told = f"{caption} {methods(figures)}" if several else caption
    return Table("discrimination", estimate_table(figures, several), told, shown=60)


def _roc(evidence: Evidence) -> Picture:
    curves = [thinned(roc_of(finding)) for finding in evidence.findings]
    alt = "Sensitivity over one minus specificity: " + _areas_in_words(curves, "AUROC")
    table = curve_table(curves, "false_positive_rate", "sensitivity")
    figure = roc_figure(_drawn(curves), f"ROC, {evidence.of}")
    return Picture("roc", figure, alt, table, _left_out(curves))


def _precision_recall(evidence: Evidence) -> Picture:
    curves = [thinned(precision_recall_of(finding)) for finding in evidence.findings]
    alt = "Positive predictive value over sensitivity: " + _areas_in_words(curves, "average precision")
    table = curve_table(curves, "sensitivity", "positive_predictive_value")
    figure = precision_recall_figure(_drawn(curves), f"Precision and recall, {evidence.of}")
    return Picture("precision_recall", figure, alt, table, _left_out(curves))


def _histograms(evidence: Evidence) -> list[Picture]:
    return [_histogram(finding, place, evidence) for place, finding in enumerate(evidence.shown)]


def _histogram(finding: Finding, place: int, evidence: Evidence) -> Picture:
    edges = np.linspace(0, 1, BINS + 1)
    counts = [np.histogram(finding.scores[side], edges)[0] for side in (finding.positive, ~finding.positive)]
    table = pd.DataFrame({"from": edges[:-1], "to": edges[1:], f"with {finding.name}": counts[0], "without": counts[1]})
    alt = f"Probabilities of {finding.name} among {len(finding.scores):,} cases, with it and without it."
    figure = score_histogram_figure(finding.scores, finding.positive, finding.threshold)
    return Picture(f"probabilities_{place + 1}", figure, alt, table, f"Probabilities of {finding.name}.")


def _drawn(curves: list[Curve]) -> list[Curve]:
    """As many as can be told apart by color, those with most cases; a long name would push the picture out of frame."""
    most = sorted((curve.positives for curve in curves), reverse=True)[: len(COLORS)]
    curves = [curve for curve in curves if curve.positives >= most[-1]][: len(COLORS)]
    return [curve._replace(name=curve.name if len(curve.name) <= 24 else curve.name[:23] + "…") for curve in curves]


def _left_out(curves: list[Curve]) -> str:
    if len(curves) <= len(COLORS):
        return ""
    return f"The {len(COLORS)} of {len(curves)} with most cases that have it; the table holds all."


def _areas_in_words(curves: list[Curve], measure: str) -> str:
    told = (f"{c.name} {measure} {'not known' if np.isnan(c.area) else f'{c.area:.3f}'}" for c in curves[:6])
    return ", ".join(told) + (f" and {len(curves) - 6} more." if len(curves) > 6 else ".")
