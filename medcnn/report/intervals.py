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


def interval_ends(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    """``<name>_low`` and ``<name>_high`` of every figure that has an interval."""
    return {
        f"{name}_{end}": value
        for name, estimate in estimates.items()
        for end, value in (("low", estimate.low), ("high", estimate.high))
        if not math.isnan(estimate.low + estimate.high)
    }
