"""Cohorts whose gaps are known: several films a patient, columns by patient and by film."""

from typing import Any

import numpy as np
from scipy.special import expit
from scipy.stats import norm

PREVALENCE = 0.3


def drawn(seed: int, cases: int, auroc: float = 0.90, weaker: float | None = None, films: int = 4) -> dict[str, Any]:
    """Arguments of ``subgroups``: one to ``films`` films a patient, half of a score's variance between patients.

    Args:
        seed: Of everything.
        cases: Films in all.
        auroc: Of everybody.
        weaker: AUROC of the women, who are a half; None for no gap.
        films: Most films of a patient.
    """
    chance = np.random.default_rng(seed)
    owner = np.repeat(np.arange(cases), chance.integers(1, films + 1, cases))[:cases]
    people = int(owner.max()) + 1
    positive = (chance.random(people) < PREVALENCE)[owner]
    female = (chance.random(people) < 0.5)[owner]
    apart = np.sqrt(2) * norm.ppf(np.where(female, weaker or auroc, auroc))
    noise = (chance.normal(size=people)[owner] + chance.normal(size=cases)) * np.sqrt(0.5)
    score = noise + np.where(positive, apart / 2, -apart / 2)
    slope = np.sqrt(2) * norm.ppf(auroc)
    probability = expit(slope * score + np.log(PREVALENCE / (1 - PREVALENCE)))
    columns = {
        "sex": np.where(female, "F", "M").tolist(),
        "age": chance.normal(55, 18, people).clip(1, 95).round()[owner].tolist(),
        "view": chance.choice(["AP", "PA", "lateral"], cases, p=[0.5, 0.4, 0.1]).tolist(),
        "scanner": chance.choice(["A", "B", "C", "D", None], people, p=[0.5, 0.3, 0.1, 0.05, 0.05])[owner].tolist(),
    }
    return {
        "scores": probability,
        "positive": positive,
        "called": probability >= 0.2,
        "columns": columns,
        "patients": owner.tolist(),
    }
