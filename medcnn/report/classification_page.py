"""The page of a classification: what was judged, how well it does, where it fails, and what cannot be said."""

import pandas as pd

from medcnn.metrics.estimate import NAN, Estimate
from medcnn.report.evidence import NO_THRESHOLD, Evidence, gather, told
from medcnn.report.facts import RunFacts
from medcnn.report.outcome import Outcome
from medcnn.report.page.blocks import Block, Facts, Headline, Page, Section, Table, Text
from medcnn.report.sections.calibration import calibration_section
from medcnn.report.sections.calibration_words import fault
from medcnn.report.sections.data_flow import data_section
from medcnn.report.sections.discrimination import discrimination_section
from medcnn.report.sections.examination import examination_section
from medcnn.report.sections.failures import failures_section
from medcnn.report.sections.identity import (
    identity_section,
    made_of,
    preprocessing_section,
    purpose_section,
    run_below,
    title_of,
)
from medcnn.report.sections.limits import limits_section
from medcnn.report.sections.operating_point import operating_section
from medcnn.report.sections.raised import for_the_top, raised
from medcnn.report.sections.subgroups import subgroup_section
from medcnn.report.sections.usefulness import abstention_section, decision_curve_section

_RATIO = (
    "Observed over expected: how many cases have the finding for each that the probabilities promise. 1 is right; "
    "above 1 the probabilities are too low, below 1 too high."
)


def classification_page(
    test: Outcome, val: Outcome | None, facts: RunFacts, prevalence: float | None = None, level: float = 0.95
) -> Page:
    """Everything that the predictions and the run can show, in the order in which it should be asked for.

    Too little or odd data never raises: figures that cannot be told say why, and warnings stand on top.

    Args:
        test: The cases to judge; with ``split="val"`` the page warns that they also chose the model.
        val: The cases that chose threshold and temperature; None where there are none apart from the judged ones.
        facts: Of the run; an empty ``RunFacts`` for a table that belongs to no run.
        prevalence: Where the model is to be used, in (0, 1): predictive values are restated for it.
        level: Coverage of the intervals.

    Raises:
        ReportError: A case stands twice with different rows.
        ValueError: A prevalence that is no share above 0 and below 1.
    """
    evidence = gather(test, val, facts, prevalence, level)
    cases, patients = len(evidence.test.cases), evidence.patients
    told_patients = f"{patients:,} patients" if evidence.test.patients is not None else "patients not told"
    body = sections(evidence)
    return Page(
        title=title_of(facts, f"{facts.name or 'Predictions'}: {_asked(evidence)}"),
        subtitle=f"{run_below(facts)}{cases:,} {evidence.of}, {told_patients}",
        sections=body,
        made=made_of(facts),
        warnings=[*evidence.warnings, *for_the_top(body)],
        split="table" if evidence.loose else evidence.test.split,
        patients=patients if evidence.test.patients is not None else None,
    )


def sections(evidence: Evidence) -> list[Section]:
    """Every section but those that look at the finished page (guidelines), which come after."""
    facts, test = evidence.facts, evidence.test
    found = [
        headline_section(evidence),
        identity_section(facts),
        purpose_section(facts),
        data_section(facts, evidence.counts),
        preprocessing_section(facts),
        discrimination_section(evidence),
        calibration_section(evidence),
        operating_section(evidence),
        decision_curve_section(evidence),
        abstention_section(evidence),
        subgroup_section(evidence),
        failures_section(evidence),
        examination_section(facts, test.split, len(test.cases), evidence.of),
    ]
    return [*found, limits_section(evidence, raised(found))]


def headline_section(evidence: Evidence) -> Section:
    """The figures that a reader takes away, and one sentence that claims no more than they do."""
    cases = len(evidence.test.cases)
    counts = {
        "Cases": f"{cases:,}",
        "Patients": f"{evidence.patients:,}" if evidence.test.patients is not None else "not told",
        "With the finding": "; ".join(f"{f.name} {int(f.positive.sum()):,}" for f in evidence.findings[:14]),
    }
    blocks: list[Block] = [Text(verdict(evidence)), Headline(headline(evidence)), Facts(counts)]
    if len(evidence.findings) == 1:
        blocks.insert(2, Text(_RATIO))
    if len(evidence.findings) > 1:
        blocks.append(Table("headline_by_finding", _by_finding(evidence), "Each finding by itself.", shown=40))
    return Section("headline", "In short", blocks)


def headline(evidence: Evidence) -> dict[str, Estimate]:
    """AUROC, sensitivity, specificity and calibration; of several findings their plain means.

    Of one finding calibration is told as observed over expected, whose interval says which way it is wrong; the
    expected calibration error can be small by chance. Means of ratios would let one finding hide another.
    """
    found = {"AUROC": list(evidence.aurocs.values())}
    found |= {name: [rates[name] for rates in evidence.rates.values()] for name in ("sensitivity", "specificity")}
    if len(evidence.findings) == 1:
        ratio = evidence.calibration[evidence.findings[0].name]["observed_over_expected"]
        return {name: estimates[0] for name, estimates in found.items()} | {"observed over expected": ratio}
    found["calibration error"] = [figures["ece"] for figures in evidence.calibration.values()]
    return {f"mean {name}": _mean(estimates) for name, estimates in found.items()}


def verdict(evidence: Evidence) -> str:
    """In a few words: what was seen, on whom, and that it says nothing beyond."""
    if not evidence.test.known.any():
        return "Nothing was judged: there is no case whose truth is known."
    where = f"On {int(evidence.test.known.any(axis=1).sum()):,} {evidence.of}"
    if len(evidence.findings) == 1:
        said = f"{where} {_of_one(evidence)}"
    else:
        known = {name: e.value for name, e in evidence.aurocs.items() if e.value == e.value}
        low, high = (min(known, key=lambda n: known[n]), max(known, key=lambda n: known[n])) if known else ("", "")
        said = f"{where} no AUC is known" if not known else (
            f"{where} the AUC lies between {known[low]:.3f} ({low}) and {known[high]:.3f} ({high})"
        )  # fmt: skip
    beyond = "These cases also chose the model, so it is no test" if evidence.alone else (
        "This says nothing about cases of another source"
    )  # fmt: skip
    return f"{said}. {beyond}."


def _of_one(evidence: Evidence) -> str:
    name = evidence.findings[0].name
    auroc, rates = evidence.aurocs[name], evidence.rates[name]
    said = f"the AUC for {name} is {told(auroc)}"
    if auroc.low <= 0.5 <= auroc.high:
        said += ", which chance alone could give"
    wrong = fault(evidence.calibration[name])
    calibrated = f". The probabilities {wrong}" if wrong else ""
    if rates["sensitivity"].reason == NO_THRESHOLD:
        return f"{said}, and no threshold is stored{calibrated}"
    at = f"sensitivity is {told(rates['sensitivity'])} and specificity {told(rates['specificity'])}"
    return f"{said}, and {evidence.at} {at}{calibrated}"


def _asked(evidence: Evidence) -> str:
    names = [finding.name for finding in evidence.findings]
    return ", ".join(names) if len(names) <= 4 else f"{len(names)} findings"


def _mean(estimates: list[Estimate]) -> Estimate:
    known = [estimate for estimate in estimates if estimate.value == estimate.value]
    if not known:
        return Estimate(NAN, reason="it is known of no finding")
    missing = (
        f"; {len(estimates) - len(known)} of {len(estimates)} are not known" if len(known) < len(estimates) else ""
    )
    value = sum(estimate.value for estimate in known) / len(known)
    why = f"a mean over {len(known)} findings is no figure of one question: intervals stand by finding{missing}"
    most = max(known, key=lambda estimate: estimate.n)
    return Estimate(value, n=most.n, patients=most.patients, method="mean over findings", reason=why)


def _by_finding(evidence: Evidence) -> pd.DataFrame:
    rows = [
        {"finding": f.name, "cases": len(f.scores), "with it": int(f.positive.sum()), "AUROC": evidence.aurocs[f.name],
         "sensitivity": evidence.rates[f.name]["sensitivity"], "specificity": evidence.rates[f.name]["specificity"]}
        for f in evidence.findings
    ]  # fmt: skip
    return pd.DataFrame(rows)
