"""What the stored threshold gives, what it would mean elsewhere, and what other thresholds would have given."""

import numpy as np
import pandas as pd

from medcnn.metrics.estimate import Estimate
from medcnn.metrics.rates import at_prevalence
from medcnn.report.evidence import RATES, Evidence, estimate_table, methods
from medcnn.report.figures.evaluation import confusion_figure
from medcnn.report.figures.evidence import threshold_figure
from medcnn.report.outcome import Finding
from medcnn.report.page.blocks import Block, Picture, Section, Table, Text
from medcnn.report.sections.alternatives import CONFIDENCE, MISS, alternatives_table
from medcnn.report.sections.drops import rate_drops

NAMES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "accuracy": "accuracy",
    "lr_positive": "likelihood ratio +",
    "lr_negative": "likelihood ratio -",
}


def operating_section(evidence: Evidence) -> Section:
    """Rates and counts at the stored threshold, predictive values elsewhere, and the alternatives."""
    blocks: list[Block] = [Text(_words(evidence)), *rate_drops(evidence)]
    if len(evidence.test.cases):
        blocks += [_rates(evidence), _confusion(evidence), *_elsewhere(evidence), *_alternatives(evidence)]
        blocks += [_thresholds(finding, place) for place, finding in enumerate(evidence.shown)]
    return Section("operating-point", "Operating point", blocks)


def _words(evidence: Evidence) -> str:
    judged = f"Judged on {len(evidence.test.cases):,} {evidence.of}."
    if evidence.at == "as called in the table":
        return f"As called in the table; the threshold is not told. {judged}"
    if evidence.test.called_by == "given":
        return f"Called {evidence.at}, in place of {_stored(evidence)}. {judged}"
    decision = evidence.facts.decision
    limits = [f"{f.name} from {f.threshold:.4g}" for f in evidence.findings if f.threshold == f.threshold]
    more = f" and {len(limits) - 6} more" if len(limits) > 6 else ""
    told = f"Stored thresholds: {', '.join(limits[:6])}{more}" if limits else "No threshold is stored"
    if limits and decision.get("target_sensitivity") is not None:
        on = {"val": "validation cases", "test": "test cases"}.get(
            str(decision.get("chosen_on") or "val"), "other cases"
        )
        told += f", chosen on {on} for a sensitivity of {float(decision['target_sensitivity']):g}"
    if not evidence.test.binary and not evidence.test.multilabel:
        told += ". Of these classes the most probable is called; thresholds only inform"
    return f"{told}. {judged}"


def _stored(evidence: Evidence) -> str:
    """What stands in the run besides a threshold that was given for this page."""
    stored = evidence.facts.decision.get("stored") or {}
    told = [f"{limit:.4g} for {name}" for name, limit in stored.items() if limit is not None]
    return f"the stored one ({', '.join(told[:6])})" if told else "none, for none is stored"


def _rates(evidence: Evidence) -> Table:
    several = len(evidence.findings) > 1
    figures: dict[tuple[str, str], Estimate] = {
        (name, NAMES[rate]): found[rate] for name, found in evidence.rates.items() for rate in RATES if rate in found
    }
    caption = "PPV and NPV hold where the finding is as common as among these cases."
    told = f"{caption} {methods(figures)}" if several else caption
    return Table("operating_point", estimate_table(figures, several), told, shown=60)


def _confusion(evidence: Evidence) -> Block:
    counts = evidence.test.confusion()
    table = counts.rename_axis("finding" if evidence.test.multilabel else "true").reset_index()
    if not any(finding.called is not None for finding in evidence.findings):
        return Text("There are no counts of right and wrong calls: nothing says at which probability to call. Give "
                    "--threshold, or a column call.")  # fmt: skip
    if len(counts) > 12:
        return Table("confusion", table, "Cases by truth (rows) and call (columns).", shown=60)
    figure = confusion_figure(counts, f"Calls, {evidence.of}", "called")
    alt = "Counts of cases by truth in rows and call in columns; the table holds the numbers."
    return Picture("confusion", figure, alt, table)


def _elsewhere(evidence: Evidence) -> list[Block]:
    if evidence.prevalence is None:
        return [Text("Predictive values at another prevalence: not provided. Tell with --prevalence how common the "
                     "finding is where the model would be used, and they are restated for there.")]  # fmt: skip
    rows = [
        _restated(finding, evidence.rates[finding.name], evidence.prevalence, len(evidence.findings) > 1)
        for finding in evidence.findings
    ]
    caption = (
        f"Predictive values where {evidence.prevalence:.2%} of the cases have the finding, if sensitivity and "
        "specificity are there what they are here."
    )
    return [Table("at_prevalence", pd.DataFrame(rows), caption)]


def _restated(finding: Finding, found: dict[str, Estimate], prevalence: float, several: bool) -> dict[str, object]:
    here = float(finding.positive.mean()) if len(finding.positive) else float("nan")
    row: dict[str, object] = {"finding": finding.name} if several else {}
    row |= {"prevalence here": here, "prevalence there": prevalence}
    values = at_prevalence(found["sensitivity"], found["specificity"], prevalence)
    return row | {"PPV there": values["ppv"], "NPV there": values["npv"]}


def _alternatives(evidence: Evidence) -> list[Block]:
    if not evidence.chosen_on:
        return [Text("Other thresholds: they would have to be chosen on validation cases and judged on others, and "
                     "there are no two such sets here.")]  # fmt: skip
    table = alternatives_table(evidence)
    at = "" if evidence.prevalence is None else f" where {evidence.prevalence:.2%} have the finding"
    caption = (
        "Each threshold was chosen on validation cases alone and judged on the test cases. It stands half-way "
        "between the score that it was found at and the next lower one, as the stored one does, so that rounding "
        f"changes no call. Least cost: a miss as bad as {MISS:g} false alarms{at}, an example. Guaranteed: on new "
        f"cases like the validation cases, with {CONFIDENCE:.0%} confidence."
    )
    return [Table("alternatives", table, caption, shown=60)]


def _thresholds(finding: Finding, place: int) -> Picture:
    figure = threshold_figure(finding.scores, finding.positive, finding.threshold)
    alt = f"Sensitivity and specificity for {finding.name} over the threshold."
    return Picture(f"thresholds_{place + 1}", figure, alt, threshold_table(finding), f"Thresholds for {finding.name}.")


def threshold_table(finding: Finding, points: int = 201) -> pd.DataFrame:
    """Sensitivity and specificity at evenly spaced thresholds."""
    limits = np.linspace(0, 1, points)
    sides = {
        "sensitivity": np.sort(finding.scores[finding.positive]),
        "rest": np.sort(finding.scores[~finding.positive]),
    }
    below = {name: np.searchsorted(scores, limits) for name, scores in sides.items()}
    share = {
        name: below[name] / len(scores) if len(scores) else np.full(points, np.nan) for name, scores in sides.items()
    }
    return pd.DataFrame({"threshold": limits, "sensitivity": 1 - share["sensitivity"], "specificity": share["rest"]})
