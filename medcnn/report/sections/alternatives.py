"""Thresholds that could have been stored instead: chosen on validation cases, judged on others."""

from collections.abc import Callable
from functools import partial

import pandas as pd

from medcnn.metrics.estimate import NAN, Estimate
from medcnn.metrics.operating_point import (
    OperatingPoint,
    threshold_for_cost,
    threshold_for_sensitivity,
    threshold_for_specificity,
    threshold_with_guarantee,
    widened,
)
from medcnn.metrics.rates import rates
from medcnn.report.evidence import Evidence
from medcnn.report.outcome import Array, Finding

SENSITIVITIES, SPECIFICITIES = (0.90, 0.95, 0.99), (0.90, 0.95)
GUARANTEED, CONFIDENCE = 0.90, 0.95
#: Of several findings these rules alone: the table would be too long to read.
FEW_RULES = (f"sensitivity {0.95:.0%}", f"specificity {0.90:.0%}", f"sensitivity {GUARANTEED:.0%}, guaranteed")
#: What a miss costs in false alarms: an example, for the price is not ours to name.
MISS, ALARM = 10.0, 1.0


def alternatives_table(evidence: Evidence) -> pd.DataFrame:
    """One row a finding and rule: the threshold the validation cases gave, and what it does to the judged ones."""
    several = len(evidence.findings) > 1
    rows: list[dict[str, object]] = []
    for finding in evidence.findings:
        chooser = evidence.chosen_on.get(finding.name)
        if chooser is not None:
            rows += [
                ({"finding": finding.name} if several else {}) | _judged(rule, point, finding, evidence.level)
                for rule, point in _chosen(chooser, evidence.prevalence)
                if not several or rule in FEW_RULES
            ]
    return pd.DataFrame(rows)


def _chosen(finding: Finding, prevalence: float | None) -> list[tuple[str, OperatingPoint]]:
    scores, positive = finding.scores, finding.positive
    rules: dict[str, Callable[[], OperatingPoint]] = {
        f"sensitivity {target:.0%}": partial(threshold_for_sensitivity, scores, positive, target)
        for target in SENSITIVITIES
    }
    rules |= {
        f"specificity {target:.0%}": partial(threshold_for_specificity, scores, positive, target)
        for target in SPECIFICITIES
    }
    rules["least cost"] = lambda: threshold_for_cost(scores, positive, MISS, ALARM, prevalence)
    rules[f"sensitivity {GUARANTEED:.0%}, guaranteed"] = lambda: threshold_with_guarantee(
        scores, positive, GUARANTEED, CONFIDENCE, finding.patients
    )
    return [(rule, _kept_from_rounding(choose(), scores)) for rule, choose in rules.items()]


def _kept_from_rounding(point: OperatingPoint, scores: Array) -> OperatingPoint:
    """As the stored threshold is chosen: every call of the validation cases stays."""
    return point._replace(threshold=widened(point.threshold, scores))


def _judged(rule: str, point: OperatingPoint, finding: Finding, level: float) -> dict[str, object]:
    row: dict[str, object] = {
        "chosen for": rule,
        "threshold": point.threshold,
        "validation sensitivity": point.sensitivity,
        "validation specificity": point.specificity,
    }
    if point.threshold == point.threshold:
        found = rates(finding.scores >= point.threshold, finding.positive, finding.patients, level)
    else:
        found = dict.fromkeys(("sensitivity", "specificity"), Estimate(NAN, reason=point.reason))
    return row | {"sensitivity": found["sensitivity"], "specificity": found["specificity"]}
