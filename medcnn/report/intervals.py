"""The intervals that belong to the figures of an evaluation, by the names of those figures."""

import math
from collections.abc import Mapping

from medcnn.metrics.delong import auroc_interval
from medcnn.metrics.estimate import Estimate
from medcnn.report.outcome import Outcome


def auroc_intervals(outcome: Outcome, level: float = 0.95) -> dict[str, Estimate]:
    """AUROC of every finding, with an interval that knows which cases belong to one patient.

    Returns:
        ``auroc`` of the one finding, where there is one; ``auroc/<class>`` of each, where there are several. Their mean
        has no interval: it is no answer to one question.
    """
    findings = outcome.findings()
    return {
        "auroc" if len(findings) == 1 else f"auroc/{finding.name}": auroc_interval(
            finding.scores, finding.positive, finding.patients, level
        )
        for finding in findings
    }


def mean_auroc(outcome: Outcome, level: float = 0.95) -> Estimate:
    """The AUROC of the one finding; of several the mean of those that have one, without an interval."""
    found = list(auroc_intervals(outcome, level).values())
    if len(found) == 1:
        return found[0]
    known = [one.value for one in found if not math.isnan(one.value)]
    if not known:
        return found[0]._replace(reason="no finding has both sides") if found else Estimate(math.nan)
    return Estimate(sum(known) / len(known), n=len(outcome.cases))


def interval_ends(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    """``<name>_low`` and ``<name>_high`` of every figure that has an interval."""
    return {
        f"{name}_{end}": value
        for name, estimate in estimates.items()
        for end, value in (("low", estimate.low), ("high", estimate.high))
        if not math.isnan(estimate.low + estimate.high)
    }
