"""Whether a probability means what it says, before and after the temperature."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from medcnn.metrics.estimate import Estimate
from medcnn.metrics.reliability import ReliabilityBin, reliability
from medcnn.report.evidence import SHOWN, Evidence, calibration_of
from medcnn.report.figures.evidence import reliability_figure
from medcnn.report.outcome import Array, Finding, Outcome
from medcnn.report.page.blocks import Block, Picture, Section, Table, Text
from medcnn.report.sections.calibration_words import fault, worsened

Figures = Mapping[str, Estimate]
BINS = 10
NAMES = {
    "intercept": "intercept (0 is right)",
    "slope": "slope (1 is right)",
    "observed_over_expected": "observed over expected (1 is right)",
    "ece": "expected calibration error",
    "brier": "Brier score",
    "brier_reliability": "Brier: reliability (lower is better)",
    "brier_resolution": "Brier: resolution (higher is better)",
    "brier_uncertainty": "Brier: uncertainty (of the cases, not of the model)",
    "brier_within_bins": "Brier: what differs within bins",
    "ece_debiased": "the same, less what chance adds",
}


def calibration_section(evidence: Evidence) -> Section:
    """Curves and figures of the probabilities as they are given out, beside those that the net alone would give."""
    blocks: list[Block] = [Text(_words(evidence))]
    if len(evidence.test.cases):
        before = raw_probabilities(evidence.test)
        raw = _raw_figures(evidence, before)
        blocks += [*_faults(evidence), *_worsened(evidence, raw), _table(evidence, raw)]
        blocks += [_picture(finding, place, before, evidence) for place, finding in enumerate(evidence.shown)]
    return Section("calibration", "Calibration", blocks)


def raw_probabilities(outcome: Outcome) -> Array | None:
    """Probabilities of the logits at a temperature of 1 ``(n, K)``; None where the logits were not kept."""
    if outcome.logits is None or not np.isfinite(outcome.logits).all():
        return None
    return expit(outcome.logits) if outcome.multilabel else softmax(outcome.logits, axis=1)


def column_of(shares: Array, finding: Finding, outcome: Outcome) -> Array:
    """The part of probabilities ``(n, K)`` that belongs to a finding and its cases."""
    rows = np.arange(len(shares)) if finding.rows is None else finding.rows
    return shares[rows, list(outcome.classes).index(finding.name)]


def _words(evidence: Evidence) -> str:
    decision = evidence.facts.decision
    temperature = decision.get("temperature")
    if temperature is None:
        return "No temperature is stored with the model: the probabilities are judged as they were given."
    on = {"val": "validation cases", "test": "test cases"}.get(str(decision.get("chosen_on") or "val"))
    words = (
        f"The logits are divided by a temperature of {float(temperature):.3f}, which was fitted on "
        f"{on or decision.get('chosen_on')}; the figures here are of {evidence.of}."
    )
    why = dict(decision.get("reasons") or {}).get("temperature")
    flattering = " They are the same cases: calibration on new ones is worse." if evidence.alone else ""
    return words + (f" It could not be fitted well: {why}." if why else "") + flattering


def _raw_figures(evidence: Evidence, before: Array | None) -> dict[str, Figures]:
    return {
        finding.name: calibration_of(column_of(before, finding, evidence.test), finding)
        for finding in evidence.findings
        if before is not None
    }


def _faults(evidence: Evidence) -> list[Text]:
    """What the intervals exclude, by finding."""
    found = {name: fault(figures) for name, figures in evidence.calibration.items()}
    said = [Text(f"Probabilities of {name} {words}.", "warning") for name, words in found.items() if words]
    known = any(figures["slope"].value == figures["slope"].value for figures in evidence.calibration.values())
    none = "No interval of intercept, slope or observed over expected excludes what is right."
    return said[:SHOWN] if said else [Text(none)] if known else []


def _worsened(evidence: Evidence, raw: Mapping[str, Figures]) -> list[Text]:
    """Where the temperature moved the level of the probabilities away from what is right."""
    if evidence.facts.decision.get("temperature") is None:
        return []
    found = {name: worsened(before, evidence.calibration[name]) for name, before in raw.items()}
    told = [f"the {' and the '.join(what)} of {name}" for name, what in found.items() if what]
    if not told:
        return []
    words = (
        f"Further from right with the temperature than without: {', '.join(told[:SHOWN])}. One temperature makes "
        "probabilities more or less sure; it cannot mend such as are all too low or all too high, as a weighted "
        "loss or another share of cases with the finding leaves them."
    )
    return [Text(words, "warning")]


def _table(evidence: Evidence, raw: Mapping[str, Figures]) -> Table:
    told = "Before: the net's own probabilities; after: divided by the temperature." if raw else ""
    after = evidence.calibration
    if len(after) > 1:
        rows = [_row(name, raw.get(name), figures) for name, figures in after.items()]
    else:
        rows = [row for name, figures in after.items() for row in _rows(raw.get(name), figures)]
    return Table("calibration", pd.DataFrame(rows), told, shown=60)


def _rows(before: Figures | None, after: Figures) -> list[dict[str, object]]:
    """All figures of the one finding, a row each."""
    rows: list[dict[str, object]] = []
    for key, figure in after.items():
        values = {"before": before[key], "after": figure} if before else {"value": figure}
        rows.append({"figure": NAMES.get(key, key), **values, "method": figure.method})
    return rows


def _row(name: str, before: Figures | None, after: Figures) -> dict[str, object]:
    """A finding among several: the few figures that there is room for."""
    error = {"calibration error, before": before["ece"]} if before else {}
    kept = {"calibration error": "ece", "intercept": "intercept", "slope": "slope", "Brier": "brier"}
    return {"finding": name, **error, **{title: after[key] for title, key in kept.items()}}


def _picture(finding: Finding, place: int, before: Array | None, evidence: Evidence) -> Picture:
    after = reliability(finding.scores, finding.positive, finding.patients, BINS)
    raw = None
    if before is not None:
        raw = reliability(column_of(before, finding, evidence.test), finding.positive, finding.patients, BINS)
    table = pd.concat([_bins("before", raw or []), _bins("after", after)], ignore_index=True)
    alt = (
        f"The share of cases that have {finding.name} over the probability given for it, in {BINS} bins, with "
        "intervals; on the diagonal a probability means what it says."
    )
    caption = f"Reliability of the probability of {finding.name}, {evidence.of}."
    return Picture(f"reliability_{place + 1}", reliability_figure(raw, after), alt, table, caption)


def _bins(when: str, bins: list[ReliabilityBin]) -> pd.DataFrame:
    return pd.DataFrame([
        {"when": when, "from": b.low, "to": b.high, "mean_probability": b.mean_probability, "share": b.share,
         "cases": b.cases}
        for b in bins
    ])  # fmt: skip
