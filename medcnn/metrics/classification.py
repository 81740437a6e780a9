"""From probabilities and labels to the figures by which a classifier is judged, each NaN with its reason."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcnn.metrics.counts import NAN, Counts
from medcnn.metrics.ranking import auroc, average_precision

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass
class Summary:
    """Figures by name, and why some are NaN or stand for a part of the classes only.

    Attributes:
        values: ``auroc``, ``average_precision``, ``brier`` and, where there is a call to judge, ``accuracy``,
            ``balanced_accuracy``, ``sensitivity``, ``specificity``, ``ppv``, ``npv``, ``f1``; the same of one class
            as ``name/<class>`` where there are more than two classes or several findings.
        reasons: Name of a figure to one sentence.
    """

    values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def summarize(
    probabilities: Any,
    labels: Any,
    classes: Sequence[str],
    multilabel: bool = False,
    thresholds: Mapping[str, float] | None = None,
) -> Summary:
    """Every figure of one set of cases.

    Two classes: the second is the finding. Without a threshold there is no call to judge, and only ``auroc``,
    ``average_precision`` and ``brier`` come back: 0.5 means nothing after weighted training. More than two classes
    that exclude each other: the call is the most probable class; figures of a class are one against the rest, and the
    plain name is their mean. Findings that may stand together: each at its threshold, the plain name is their mean.

    Args:
        probabilities: ``(n, K)``, array or tensor.
        labels: int ``(n,)``, -1 unknown; or with ``multilabel`` float ``(n, K)``, NaN unknown.
        classes: Names, K of them.
        multilabel: Whether several findings may stand together.
        thresholds: The least probability that calls a class, by its name.

    Raises:
        ValueError: Shapes that do not fit the classes.
    """
    given, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    wanted = (len(given), len(classes))
    if given.shape != wanted or truth.shape != (wanted if multilabel else wanted[:1]):
        raise ValueError(
            f"expected probabilities (n, {len(classes)}) and labels {'of the same shape' if multilabel else '(n,)'}, "
            f"found {given.shape} and {truth.shape}"
        )
    if multilabel:
        return _of_findings(given, truth, classes, thresholds or {})
    known = truth >= 0
    if len(classes) == 2:
        return _of_one(given[known, 1], truth[known] == 1, classes[1], (thresholds or {}).get(classes[1]))
    return _of_classes(given[known], truth[known], classes)


def _of_one(scores: Array, positive: Mask, name: str, threshold: float | None) -> Summary:
    """A yes-or-no question: without a threshold only what needs none."""
    values = {
        "auroc": auroc(scores, positive),
        "average_precision": average_precision(scores, positive),
        "brier": float(np.mean((scores - positive) ** 2)) if len(scores) else NAN,
    }
    absent = f"no case with {name}" if not positive.any() else f"no case without {name}"
    reasons = {key: absent if len(scores) else "no known case" for key, value in values.items() if math.isnan(value)}
    if threshold is None:
        return Summary(values, reasons)
    counts = Counts.of(scores >= threshold, positive)
    figures, why = counts.figures(), counts.reasons()
    if math.isnan(threshold):
        figures = dict.fromkeys(figures, NAN)
        why = dict.fromkeys(figures, f"no threshold for {name}: there was no case to choose it on")
    return Summary(values | figures, reasons | why)


def _of_findings(given: Array, truth: Array, classes: Sequence[str], thresholds: Mapping[str, float]) -> Summary:
    known = ~np.isnan(truth)
    parts = {
        name: _of_one(given[known[:, k], k], truth[known[:, k], k] > 0.5, name, thresholds.get(name))
        for k, name in enumerate(classes)
    }
    return _joined(parts)


def _of_classes(given: Array, truth: NDArray[np.int64], classes: Sequence[str]) -> Summary:
    calls = given.argmax(axis=1)
    parts = {}
    for k, name in enumerate(classes):
        part = _of_one(given[:, k], truth == k, name, None)
        counts = Counts.of(calls == k, truth == k)
        parts[name] = Summary(part.values | counts.figures(), part.reasons | counts.reasons())
    joined = _joined(parts)
    one_hot = truth[:, None] == np.arange(len(classes))
    # One call a case: its accuracy is not the mean over one-against-the-rest questions, nor is the balanced one.
    joined.values["accuracy"] = float(np.mean(calls == truth)) if len(truth) else NAN
    joined.values["balanced_accuracy"] = joined.values["sensitivity"]
    joined.values["brier"] = float(np.mean(((given - one_hot) ** 2).sum(axis=1))) if len(truth) else NAN
    if "sensitivity" in joined.reasons:
        joined.reasons["balanced_accuracy"] = joined.reasons["sensitivity"]
    else:
        joined.reasons.pop("balanced_accuracy", None)
    return joined


def _joined(parts: Mapping[str, Summary]) -> Summary:
    """Each class's figures under its name, and their mean over the classes that have one."""
    whole = Summary()
    for key in dict.fromkeys(key for part in parts.values() for key in part.values):
        column = {name: part.values.get(key, NAN) for name, part in parts.items()}
        defined = [value for value in column.values() if not math.isnan(value)]
        whole.values[key] = sum(defined) / len(defined) if defined else NAN
        if len(defined) < len(column):
            lacking = [name for name, value in column.items() if math.isnan(value)]
            whole.reasons[key] = f"mean over {len(defined)} of {len(column)}: none for {', '.join(lacking)}"
    for name, part in parts.items():
        whole.values |= {f"{key}/{name}": value for key, value in part.values.items()}
        whole.reasons |= {f"{key}/{name}": reason for key, reason in part.reasons.items()}
    return whole
