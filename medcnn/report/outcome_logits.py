"""Logits of a table of predictions: probabilities where it tells none, and whether they fit those that it tells."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from scipy.stats import rankdata

from medcnn.report.outcome import Array
from medcnn.report.outcome_cells import numbers, of_each

#: Least rank correlation of logits and the probabilities that are said to follow from them.
LEAST_AGREEMENT = 0.99
_ROUNDING = 1e-6
CONTRADICTION = (
    "The logits of the table do not rise with its probabilities, so they are not what the probabilities were made of: "
    "they are ignored."
)


def with_probabilities(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with a column of probabilities for each of its logits, where it has logits alone.

    One logit is taken through the sigmoid, as are those of several findings; those of classes that exclude each other
    through the softmax.

    Raises:
        ReportError: A logit is no number.
    """
    columns = [str(name) for name in frame]
    names = [name.removeprefix("logit/") for name in columns if name.startswith("logit/")]
    if any(name == "probability" or name.startswith("probability/") for name in columns):
        return frame
    if not names:
        return frame.assign(probability=expit(numbers(frame, "logit"))) if "logit" in columns else frame
    logits = of_each(frame, "logit/", names)
    alone = len(names) == 1 or any(name.startswith("label/") for name in columns)
    shares = expit(logits) if alone else softmax(logits, axis=1)
    return frame.assign(**{f"probability/{name}": shares[:, k] for k, name in enumerate(names)})


def logits_of(frame: pd.DataFrame, classes: Sequence[str]) -> Array | None:
    """Logits ``(n, K)``; of two classes that of the second is enough. None where the table has none."""
    if all(f"logit/{name}" in frame for name in classes):
        return of_each(frame, "logit/", classes)
    if "logit" in frame and len(classes) == 2:
        logit = numbers(frame, "logit")
        return np.stack([np.zeros_like(logit), logit], axis=1)
    return None


def contradict(logits: Array, probabilities: Array, multilabel: bool) -> bool:
    """Whether probabilities ``(n, K)`` cannot have been made of logits ``(n, K)`` by any temperature.

    Of one question the order of the cases must be the same; of classes that exclude each other the first class of a
    case must be, for a temperature may change the order of the cases.
    """
    if multilabel:
        return any(not _rises(logits[:, k], probabilities[:, k]) for k in range(logits.shape[1]))
    if logits.shape[1] == 2:
        return not _rises(logits[:, 1] - logits[:, 0], probabilities[:, 1])
    whole = np.isfinite(logits).all(axis=1) & np.isfinite(probabilities).all(axis=1)
    if not whole.any():
        return False
    shares = probabilities[whole]
    chosen = shares[np.arange(len(shares)), logits[whole].argmax(axis=1)]
    return float((chosen >= shares.max(axis=1) - _ROUNDING).mean()) < LEAST_AGREEMENT


def _rises(logit: Array, share: Array) -> bool:
    whole = np.isfinite(logit) & np.isfinite(share)
    one, other = logit[whole], share[whole]
    # Many probabilities that were rounded to 0 or 1 tie, and ties alone would lower a rank correlation.
    if len(one) < 2 or (np.diff(other[np.lexsort((other, one))]) >= -_ROUNDING).all():
        return True
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return True
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1]) >= LEAST_AGREEMENT
