"""What turns logits into a call: a temperature and one threshold a class, chosen on validation data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medcnn.errors import CheckpointError
from medcnn.metrics.calibration import temperature_of
from medcnn.metrics.operating_point import threshold_for_sensitivity, widened
from medcnn.printable import printable
from medcnn.tasks.schema import check_by_class, check_number, shown


@dataclass(frozen=True)
class Decision:
    """How probabilities are calibrated and called; plain data in the checkpoint.

    Attributes:
        temperature: What logits are divided by.
        thresholds: Class to the least calibrated probability that calls it; NaN where there was no positive.
        target_sensitivity: What the thresholds were chosen for.
        chosen_on: Name of the split.
        cases: Known cases that they were chosen on.
        positives: Class to the number of its cases.
        sensitivity: Class to what the threshold gave on that split.
        specificity: Class to what the threshold gave on that split.
        reasons: What could not be chosen (``temperature`` or a class), and why.
    """

    temperature: float = 1.0
    thresholds: dict[str, float] = field(default_factory=dict)
    target_sensitivity: float = 0.95
    chosen_on: str = ""
    cases: int = 0
    positives: dict[str, int] = field(default_factory=dict)
    sensitivity: dict[str, float] = field(default_factory=dict)
    specificity: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def mean_specificity(self) -> float:
        """Mean over the classes of what their thresholds gave on the split they were chosen on; NaN where none did."""
        given = [value for value in self.specificity.values() if not math.isnan(value)]
        return sum(given) / len(given) if given else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain data; a threshold that could not be chosen is None, for JSON knows no NaN."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, given: Any, classes: Sequence[str] | None = None, multilabel: bool = False) -> "Decision":
        """Return the decision that a checkpoint holds.

        Args:
            given: What ``to_dict`` made.
            classes: The model's, for which there must be a threshold each, or one for the second of two; None where
                they are not known.
            multilabel: Whether several of the classes may be present together.

        Raises:
            CheckpointError: A part is missing, unknown, of a wrong type or out of range.
        """
        try:
            parts = _checked_parts(given, classes)
            if classes is not None:
                _check_thresholds(parts["thresholds"], classes, multilabel)
        except ValueError as error:
            raise CheckpointError(f"the model's {error}; take the checkpoint that `medcnn fit` wrote") from error
        return cls(**parts)

    def call(self, probabilities: Tensor, classes: Sequence[str], multilabel: bool = False) -> list[str]:
        """What each case is called: one class, or the findings joined by ``;`` ("" for none).

        Args:
            probabilities: Calibrated, ``(n, K)``.
            classes: Names, K of them. Of two the second is the finding, called at its threshold; of more the most
                probable is called, and thresholds only inform.
            multilabel: Whether several findings may stand together.
        """
        names = np.asarray(classes, dtype=object)
        rows = np.asarray(probabilities, dtype=np.float64)
        # No threshold could be chosen: a comparison with NaN would call nothing and look like a healthy result.
        limits = np.array([self.thresholds.get(name, math.nan) for name in classes])
        limits = np.where(np.isnan(limits), 0.5, limits)
        if multilabel:
            return [";".join(names[row]) for row in rows >= limits]
        if len(classes) == 2:
            return names[(rows[:, 1] >= limits[1]).astype(int)].tolist()
        return names[rows.argmax(axis=1)].tolist()


def _checked_parts(given: Any, classes: Sequence[str] | None) -> dict[str, Any]:
    known = {part.name for part in fields(Decision)}
    if not isinstance(given, Mapping) or given.keys() != known:
        keys = set(map(str, given)) if isinstance(given, Mapping) else set()
        wrong = ", ".join(sorted(keys ^ known))
        raise ValueError(
            f"decision lacks or does not know {printable(wrong, 120)}; expected {', '.join(sorted(known))}"
        )
    if type(given["cases"]) is not int or given["cases"] < 0:
        raise ValueError(f"decision.cases is {shown(given['cases'])}; expected a number of cases")
    if not isinstance(given["chosen_on"], str) or printable(given["chosen_on"], 40) != given["chosen_on"]:
        raise ValueError(f"decision.chosen_on is {shown(given['chosen_on'])}; expected the name of a split")
    reasons = check_by_class(given["reasons"], "decision.reasons", classes and [*classes, "temperature"])
    if not all(isinstance(reason, str) for reason in reasons.values()):
        raise ValueError("decision.reasons holds more than texts")
    shares = {
        part: {
            name: _share(value, f"decision.{part} of {name}", part != "thresholds" or name in reasons)
            for name, value in check_by_class(given[part], f"decision.{part}", classes).items()
        }
        for part in ("thresholds", "sensitivity", "specificity")
    }
    positives = check_by_class(given["positives"], "decision.positives", classes)
    for name, value in positives.items():
        if type(value) is not int or value < 0:
            raise ValueError(f"decision.positives of {name} is {shown(value)}; expected a number of cases")
    return {
        **given,
        **shares,
        "temperature": check_number(given["temperature"], "temperature", 1e-6, 1e6),
        "target_sensitivity": check_number(given["target_sensitivity"], "decision.target_sensitivity", 1e-6, 1),
        "positives": dict(positives),
        "reasons": dict(reasons),
    }


def _share(value: Any, place: str, may_lack: bool) -> float:
    """Return a share, or NaN for None where one may be lacking: a threshold only with the reason why."""
    if value is None and may_lack:
        return math.nan
    return check_number(value, place, 0, 1)


def _check_thresholds(thresholds: Mapping[str, float], classes: Sequence[str], multilabel: bool) -> None:
    called = set(classes[1:] if len(classes) == 2 and not multilabel else classes)
    if thresholds.keys() != called:
        raise ValueError(
            f"thresholds are for {', '.join(sorted(thresholds)) or 'no class'}; expected one for each of "
            f"{', '.join(sorted(called)):.200}"
        )


def calibrated(logits: Tensor, temperature: float, multilabel: bool) -> Tensor:
    """Probabilities of logits ``(n, K)``: a softmax over classes, or a sigmoid for each finding; at least float32."""
    scaled = (logits if logits.dtype == torch.float64 else logits.float()) / temperature
    return scaled.sigmoid() if multilabel else scaled.softmax(dim=1)


def choose_decision(
    logits: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    multilabel: bool = False,
    target_sensitivity: float = 0.95,
    chosen_on: str = "val",
) -> Decision:
    """Fit the temperature, then set each class's threshold for a sensitivity, all on the same cases.

    Args:
        logits: ``(n, K)``.
        labels: int64 ``(n,)``, -1 unknown; or float ``(n, K)``, NaN unknown.
        classes: Names, K of them. Of two only the second gets a threshold.
        multilabel: Whether several findings may stand together.
        target_sensitivity: Share of the positives to call, in (0, 1].
        chosen_on: Name of the split the cases come from.
    """
    temperature, why = temperature_of(logits.numpy(), labels.numpy(), multilabel)
    scores = calibrated(logits.double(), temperature, multilabel).numpy()
    truth = labels.numpy()
    known = ~np.isnan(truth) if multilabel else np.broadcast_to((truth >= 0)[:, None], scores.shape)
    reasons = {"temperature": why} if why else {}
    points, thresholds = {}, {}
    for k, name in enumerate(classes):
        if len(classes) == 2 and not multilabel and k == 0:
            continue
        column = scores[known[:, k], k]
        positive = truth[known[:, k], k] > 0.5 if multilabel else truth[known[:, k]] == k
        points[name] = threshold_for_sensitivity(column, positive, target_sensitivity)
        thresholds[name] = widened(points[name].threshold, column)
        if points[name].reason:
            reasons[name] = points[name].reason
    return Decision(
        temperature=temperature,
        thresholds=thresholds,
        target_sensitivity=target_sensitivity,
        chosen_on=chosen_on,
        cases=int(known.any(axis=1).sum()),
        positives={name: point.positives for name, point in points.items()},
        sensitivity={name: point.sensitivity for name, point in points.items()},
        specificity={name: point.specificity for name, point in points.items()},
        reasons=reasons,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
