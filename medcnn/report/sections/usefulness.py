"""What calling cases would be worth, and what the model could leave to people: decision curves and abstention."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcnn.metrics.conformal import Selective, conformal_figures, fit_conformal, selective_accuracy
from medcnn.metrics.decision_curve import DecisionCurve, decision_curve
from medcnn.metrics.estimate import Estimate
from medcnn.metrics.rates import share
from medcnn.report.evidence import Evidence, bounded_draws, estimate_table
from medcnn.report.figures.evidence import decision_curve_figure, selective_figure
from medcnn.report.outcome import Array, Finding, Outcome, called_wrongly
from medcnn.report.page.blocks import Block, Picture, Section, Table, Text

ALPHAS = (0.1, 0.05)
#: Of several findings: the table would be too wide to read.
FEW_FIGURES = ("coverage", "abstained", "accuracy_when_sure", "no_answer", "several")


def decision_curve_section(evidence: Evidence) -> Section:
    """Net benefit over the probability at which somebody would act, beside acting on all and on nobody."""
    words = (
        "Net benefit: right calls less false alarms, each false alarm weighed by the odds of the probability from "
        "which one would act. A model is useful where its curve lies above acting on every case and on none (0). It "
        "takes the prevalence among these cases for that of the clinic."
    )
    blocks: list[Block] = [Text(words)]
    if len(evidence.test.cases):
        for place, finding in enumerate(evidence.shown):
            blocks += _curve(finding, place)
    return Section("decision-curve", "Decision curve", blocks)


def abstention_section(evidence: Evidence) -> Section:
    """Sets of answers with a promised coverage, and how right the calls are that the model is surest of."""
    blocks: list[Block] = []
    if evidence.val is None:
        blocks.append(Text("Conformal sets need validation cases to be calibrated on and others to be judged on; there "
                           "are no two such sets here."))  # fmt: skip
    elif len(evidence.test.cases):
        blocks += _conformal(evidence, evidence.val)
    blocks += _selective(evidence)
    return Section("abstention", "Leaving cases to people", blocks)


def _curve(finding: Finding, place: int) -> list[Block]:
    draws = bounded_draws(len(finding.scores), most=200, least=50)
    curve = decision_curve(finding.scores, finding.positive, finding.patients, draws=draws)
    if curve.reason and not np.isfinite(curve.model).any():
        return [Text(f"Decision curve of {finding.name}: not known ({curve.reason}).")]
    alt = f"Net benefit of calling {finding.name} over the probability from which one would act."
    figure = decision_curve_figure(curve, len(finding.scores))
    return [Picture(f"decision_curve_{place + 1}", figure, alt, _curve_table(curve), f"Net benefit, {finding.name}.")]


def _curve_table(curve: DecisionCurve) -> pd.DataFrame:
    return pd.DataFrame({
        "threshold": curve.threshold, "model": curve.model, "low": curve.low, "high": curve.high,
        "act on all": curve.treat_all, "act on none": 0.0,
    })  # fmt: skip


def _conformal(evidence: Evidence, val: Outcome) -> list[Block]:
    several = evidence.test.multilabel
    figures: dict[tuple[str, str], Estimate] = {}
    broken: list[Block] = []
    for name, (calibrating, judged) in _questions(evidence, val).items():
        for alpha in ALPHAS:
            found = _judged(calibrating, judged, alpha)
            kept = found if not several else {key: found[key] for key in FEW_FIGURES if key in found}
            broken += _broken(found, alpha, name, evidence)
            figures |= {(name, f"{1 - alpha:.0%}: {_named(key, evidence)}"): e for key, e in kept.items()}
    words = (
        "Each case gets the set of answers that cannot be ruled out. The sets are calibrated on validation cases, "
        "class by class, for a coverage of 90 % or 95 %, and judged on the test cases; a case whose set does not hold "
        "exactly one answer is left to people. The promise holds for cases of the same kind as the validation cases."
    )
    if not figures:
        return [Text(words), Text("There are not enough labeled cases for it.")]
    table = Table("conformal", estimate_table(figures, several), "By the coverage that was promised.", 60)
    return [Text(words), *broken, table]


def _broken(found: Mapping[str, Estimate], alpha: float, name: str, evidence: Evidence) -> list[Block]:
    """A sentence where an interval of the coverage lies below what was promised, of all cases or of a class."""
    low = {key: e for key, e in found.items() if key.split("/")[0] == "coverage" and e.high < 1 - alpha}
    if not low:
        return []
    told = "; ".join(f"{_named(key, evidence)} {e}" for key, e in low.items())
    of = f" for {name}" if name else ""
    return [Text(f"The promise of {1 - alpha:.0%}{of} was not kept on the {evidence.of}: {told}. They are of another "
                 "kind than the validation cases, or the validation cases were too few.", "warning")]  # fmt: skip


_Question = tuple[Array, NDArray[np.int64], Sequence[int] | None]


def _questions(evidence: Evidence, val: Outcome) -> Mapping[str, tuple[_Question, _Question]]:
    """Shares ``(m, K)``, classes and patients of the calibrating and of the judged cases, a question each."""
    if not evidence.test.multilabel:
        return {"": (_of_classes(val), _of_classes(evidence.test))}
    return {f.name: (_of_finding(evidence.chosen_on[f.name]), _of_finding(f)) for f in evidence.findings}


def _of_classes(outcome: Outcome) -> _Question:
    rows = np.flatnonzero(np.asarray(outcome.labels) >= 0)
    owners = None if outcome.owners is None else outcome.owners[rows].tolist()
    return outcome.probabilities[rows], np.asarray(outcome.labels, dtype=np.int64)[rows], owners


def _of_finding(finding: Finding) -> _Question:
    shares = np.stack([1 - finding.scores, finding.scores], axis=1)
    return shares, finding.positive.astype(np.int64), finding.patients


def _judged(calibrating: _Question, judged: _Question, alpha: float) -> dict[str, Estimate]:
    if not len(calibrating[1]) or not len(judged[1]):
        return {}
    sets = fit_conformal(calibrating[0], calibrating[1], alpha).sets(judged[0])
    sizes = sets.sum(axis=1)[judged[1] >= 0]
    owners = None if judged[2] is None else np.asarray(judged[2])[judged[1] >= 0].tolist()
    left = {"no_answer": share(sizes == 0, owners), "several": share(sizes > 1, owners)}
    return conformal_figures(sets, judged[1], judged[2]) | left


def _named(key: str, evidence: Evidence) -> str:
    plain = {"coverage": "coverage", "abstained": "left to people", "accuracy_when_sure": "right when sure",
             "size": "answers in a set, on average", "no_answer": "sets without an answer",
             "several": "sets of two answers or more"}  # fmt: skip
    part, _, place = key.partition("/")
    if not place:
        return plain.get(part, part)
    names = tuple(evidence.test.classes)
    return f"coverage, {names[int(place)]}" if place.isdigit() and int(place) < len(names) else key


def _selective(evidence: Evidence) -> list[Block]:
    """The calls, from the surest to the least sure."""
    test = evidence.test
    rows = np.flatnonzero(test.known.any(axis=1))
    if test.multilabel:
        return [Text("How right the surest calls are is told for one answer a case; here a case has several.")]
    if not len(rows) or all(finding.called is None for finding in evidence.findings):
        return [Text("How right the surest calls are is not known: there is no call to judge.")]
    right = ~called_wrongly(test)[rows]
    owners = None if test.owners is None else test.owners[rows].tolist()
    curve = selective_accuracy(confidence(test)[rows], right, owners)
    alt = "The share of right calls over the share of cases that the model keeps, the surest first."
    caption = "If only the surest calls were kept and the others left to people."
    return [Picture("selective", selective_figure(curve), alt, _selective_table(curve), caption)]


def confidence(outcome: Outcome) -> Array:
    """How far a case lies from being called otherwise ``(n,)``, in [0, 1].

    Of two classes the distance to the threshold as a share of what there is on that side; of more the highest
    probability.
    """
    if not outcome.binary:
        return outcome.probabilities.max(axis=1) if len(outcome.cases) else np.zeros(0)
    given = outcome.probabilities[:, 1]
    limit = outcome.thresholds.get(outcome.classes[1], 0.5)
    if not np.isfinite(limit):  # called by somebody else: how sure he was nobody told
        return np.where(outcome.called[:, 1], given, 1 - given)
    above = (given - limit) / max(1 - limit, 1e-12)
    return np.where(outcome.called[:, 1], above, (limit - given) / max(limit, 1e-12))


def _selective_table(curve: Selective) -> pd.DataFrame:
    table = pd.DataFrame({
        "kept": curve.kept_share, "right": curve.accuracy, "low": curve.low, "high": curve.high,
        "least confidence": curve.threshold,
    })  # fmt: skip
    step = max(1, len(table) // 400)
    return table.iloc[::step]
