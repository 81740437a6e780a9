"""Which cases of an outcome can be judged, and what a reader must know of the others before anything else."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcnn.errors import ReportError
from medcnn.report.outcome import Finding, Outcome

#: Below so many cases of a side an interval says more about the number of cases than about the model.
FEW = 20
#: How far probabilities of classes that exclude each other may be from 1 together: as far as rounding takes them.
_ROUNDING = 0.01
_NAMED = 5
_NO_PATIENTS = (
    "Patients are not told: each case is taken for a patient of its own, and where a patient has several cases the "
    "intervals are too narrow."
)
_ONE_PATIENT = "nothing can be said about other patients, and no interval between patients can be given."


@dataclass(frozen=True)
class Admitted:
    """An outcome without the cases that cannot be judged.

    Attributes:
        outcome: Every case once, every probability a number.
        warnings: What was left out and what cannot be told, a sentence each.
        counts: What happened to how many cases, for the table of the data flow.
    """

    outcome: Outcome
    warnings: list[str]
    counts: dict[str, int]


def admit(outcome: Outcome) -> Admitted:
    """Count a case once, leave out what is no probability, and say what the rest cannot answer.

    Raises:
        ReportError: A case stands twice with different rows: nobody here knows which one is right.
    """
    given = len(outcome.cases)
    once, repeated = _once(outcome)
    judged, undefined = _defined(once)
    unknown = int((~judged.known.any(axis=1)).sum())
    warnings = [*outcome.notes, *_repeated_words(repeated), *_undefined_words(undefined)]
    warnings += [*_sum_words(judged), *_unknown_words(judged, unknown), *_poverty(judged)]
    counts = {
        "in the table": given,
        "repeated rows": given - len(once.cases),
        "without a probability": len(undefined),
        "with an unknown label": unknown,
        "judged": len(judged.cases) - unknown,
    }
    return Admitted(judged, warnings, counts)


def _once(outcome: Outcome) -> tuple[Outcome, list[str]]:
    """Each case once, and the pseudonyms of those that stood there again."""
    again = pd.Index(outcome.cases).duplicated(keep="first")
    if not again.any():
        return outcome, []
    names = set(np.asarray(outcome.cases, dtype=object)[again])
    rows = outcome.table()
    rows = rows[rows["case"].isin(names)].drop_duplicates()
    different = rows["case"][rows["case"].duplicated()]
    if len(different):
        raise ReportError(
            f"case {different.iloc[0]} stands twice with different rows ({different.nunique():,} such cases): "
            "keep one row a case, or give the two films two names"
        )
    return outcome.take(np.flatnonzero(~again)), sorted(map(str, names))


def _defined(outcome: Outcome) -> tuple[Outcome, list[str]]:
    """The cases whose probabilities are all numbers, and the pseudonyms of the others."""
    fine = np.isfinite(outcome.probabilities).all(axis=1)
    if fine.all():
        return outcome, []
    names = np.asarray(outcome.cases, dtype=object)
    return outcome.take(np.flatnonzero(fine)), names[~fine].tolist()


def _repeated_words(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [f"{_cases(len(names))} stood more than once with equal rows and counted once: {_listed(names)}."]


def _undefined_words(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    said = f"The model gave no probability (not a number) for {_cases(len(names))}, left out of every figure: "
    return [f"{said}{_listed(names)}. A model that fails on cases like these is worse than the figures say."]


def _sum_words(outcome: Outcome) -> list[str]:
    if outcome.multilabel or not len(outcome.cases):
        return []
    sums = outcome.probabilities.sum(axis=1)
    off = np.abs(sums - 1)
    wrong = int((off > _ROUNDING + 1e-9).sum())
    if not wrong:
        return []
    far = f"{sums[off.argmax()]:.3g}"
    said = f"The probabilities of {_cases(wrong)} do not add up to 1 (the farthest to {far}): they are judged as they "
    return [f"{said}stand, and calibration says little."]


def _unknown_words(outcome: Outcome, unknown: int) -> list[str]:
    if not unknown or unknown == len(outcome.cases):
        return []
    return [f"The truth of {_cases(unknown)} of {len(outcome.cases):,} is unknown: no figure counts them."]


def _poverty(outcome: Outcome) -> list[str]:
    """What too little data cannot answer."""
    findings = outcome.findings()
    if not len(outcome.cases):
        return ["There is no case to judge: every figure is not known."]
    if not outcome.known.any():
        return ["The truth of no case is known: nothing can be said about how good the model is."]
    return [
        *_few_words(outcome),
        *_patient_words(outcome),
        *_side_words(findings),
        *_score_words(findings),
        *_threshold_words(findings),
    ]


def _few_words(outcome: Outcome) -> list[str]:
    cases = len(outcome.cases)
    if cases >= FEW:
        return []
    return [f"There {'is' if cases == 1 else 'are'} only {_cases(cases)}: no figure here can carry a decision."]


def _patient_words(outcome: Outcome) -> list[str]:
    cases, owners = len(outcome.cases), outcome.owners
    if owners is None:
        return [_NO_PATIENTS]
    if cases > 1 and len(np.unique(owners)) == 1:
        return [f"All {_cases(cases)} come from one patient: {_ONE_PATIENT}"]
    return []


def _side_words(findings: Sequence[Finding]) -> list[str]:
    absent = [f.name for f in findings if not f.positive.any()]
    full = [f.name for f in findings if len(f.positive) and f.positive.all()]
    few = [f.name for f in findings if 0 < min(f.positive.sum(), (~f.positive).sum()) < FEW]
    words = []
    if absent:
        words.append(f"No case has {_listed(absent)}: sensitivity and AUC are not known.")
    if full:
        words.append(f"Every case has {_listed(full)}: specificity and AUC are not known.")
    if few:
        words.append(f"Fewer than {FEW} cases with, or without, {_listed(few)}: the figures are very uncertain.")
    return words


def _score_words(findings: Sequence[Finding]) -> list[str]:
    flat = [f.name for f in findings if len(f.scores) > 1 and np.ptp(f.scores) == 0]
    return (
        [f"Every case has the same probability of {_listed(flat)}: the model tells no two cases apart."] if flat else []
    )


def _threshold_words(findings: Sequence[Finding]) -> list[str]:
    without = [f.name for f in findings if f.called is None]
    if not without:
        return []
    words = (
        f"No threshold is stored for {_listed(without)}: sensitivity, specificity and predictive values are not known. "
        "--threshold 0.5, or another, would judge one."
    )
    return [words]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(map(str, names[:_NAMED])) + more


def _cases(n: int) -> str:
    return "1 case" if n == 1 else f"{n:,} cases"


def patients_of(owners: NDArray[np.int64] | None, cases: int) -> int:
    """Patients behind the cases; each its own where nobody told."""
    return cases if owners is None else len(np.unique(owners))
