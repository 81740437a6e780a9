"""Outcomes with a planted truth, for the tests of a report."""

import numpy as np
import pandas as pd

from medcnn.report.outcome import Outcome
from medcnn.report.outcome_table import outcome_from_table


def planted(
    n: int = 240, patients: int = 120, seed: int = 0, split: str = "test", classes: int = 2, multilabel: bool = False
) -> Outcome:
    """Cases whose logits follow the truth, of patients with several cases, with two columns of groups.

    Of two classes the second, ``pneumonia``, is the finding; thresholds are 0.5, and calls keep to them.
    """
    chance = np.random.default_rng(seed)
    names = ["normal", "pneumonia"] if classes == 2 and not multilabel else [f"class {k}" for k in range(classes)]
    labels: np.ndarray
    if multilabel:
        labels = (chance.random((n, classes)) < 0.4).astype(np.float64)
        labels[chance.random((n, classes)) < 0.05] = np.nan
        logits = 2 * np.nan_to_num(labels) - 1 + chance.normal(size=(n, classes))
        shares = 1 / (1 + np.exp(-logits / 1.3))
    else:
        labels = chance.integers(0, classes, n)
        logits = chance.normal(size=(n, classes))
        logits[np.arange(n), labels] += 1.5
        shares = np.exp(logits / 1.3)
        shares /= shares.sum(axis=1, keepdims=True)
    limits = dict.fromkeys(names if multilabel or classes > 2 else names[1:], 0.5)
    owners = chance.integers(0, patients, n)
    frame = pd.DataFrame({"case": [f"{split}-{place:05d}" for place in range(n)]})
    frame["patient"] = [f"{split}-p{owner}" for owner in owners]
    for k, name in enumerate(names):
        if multilabel:
            frame[f"label/{name}"] = labels[:, k]
        frame[f"logit/{name}"], frame[f"probability/{name}"] = logits[:, k], shares[:, k]
    if not multilabel:
        frame["label"] = [names[label] for label in labels]
    frame["group/sex"] = chance.choice(["F", "M"], n)
    frame["group/age"] = chance.normal(50, 15, n).round()
    return outcome_from_table(frame, names, limits, split)
