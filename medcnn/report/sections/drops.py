"""Whether a model does worse on the test cases than on those that chose it: said where chance does not explain it."""

from medcnn.metrics.delong import auroc_interval
from medcnn.metrics.estimate import Estimate
from medcnn.report.evidence import Evidence
from medcnn.report.page.blocks import Text

_WHY = "Validation cases chose the model and flatter it, or the test cases are of another kind."


def auroc_drops(evidence: Evidence) -> list[Text]:
    """A warning for every finding whose AUROC is lower than on the validation cases, by intervals that lie apart."""
    found = {
        name: auroc_interval(f.scores, f.positive, f.patients, evidence.level) for name, f in evidence.chosen_on.items()
    }
    return [
        _said(f"AUC of {name}", now, found[name])
        for name, now in evidence.aurocs.items()
        if _apart(now, found.get(name))
    ]


def rate_drops(evidence: Evidence) -> list[Text]:
    """The same of sensitivity and specificity, at the threshold that both are called by."""
    before = evidence.rates_where_chosen
    return [
        _said(f"{rate} for {name}", now[rate], before[name][rate])
        for name, now in evidence.rates.items()
        for rate in ("sensitivity", "specificity")
        if _apart(now[rate], before.get(name, {}).get(rate))
    ]


def _apart(now: Estimate, before: Estimate | None) -> bool:
    """Whether the one interval lies below the other; never where an end is not known."""
    return before is not None and now.high < before.low


def _said(what: str, now: Estimate, before: Estimate) -> Text:
    return Text(
        f"The {what} is lower on the test cases than on the validation cases, {now} against {before}, and the "
        f"intervals do not overlap. {_WHY}",
        "warning",
    )
