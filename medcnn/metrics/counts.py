"""Figures of a call: what was found, what was missed, what was a false alarm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NAN = float("nan")


@dataclass(frozen=True)
class Counts:
    """The four cells of a yes-or-no call.

    Attributes:
        hits: Positives that were called.
        misses: Positives that were not.
        alarms: Negatives that were called.
        passes: Negatives that were not.
    """

    hits: int
    misses: int
    alarms: int
    passes: int

    @classmethod
    def of(cls, called: NDArray[np.bool_], positive: NDArray[np.bool_]) -> "Counts":
        """Count calls ``(n,)`` against the truth ``(n,)``."""
        hits, alarms = int((called & positive).sum()), int((called & ~positive).sum())
        positives = int(positive.sum())
        return cls(hits, positives - hits, alarms, len(positive) - positives - alarms)

    def figures(self) -> dict[str, float]:
        """Accuracy, balanced accuracy, sensitivity, specificity, PPV, NPV and F1; NaN for nothing of nothing."""
        sensitivity = ratio(self.hits, self.hits + self.misses)
        specificity = ratio(self.passes, self.passes + self.alarms)
        return {
            "accuracy": ratio(self.hits + self.passes, self.hits + self.misses + self.alarms + self.passes),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "ppv": ratio(self.hits, self.hits + self.alarms),
            "npv": ratio(self.passes, self.passes + self.misses),
            "f1": ratio(2 * self.hits, 2 * self.hits + self.alarms + self.misses),
        }

    def reasons(self) -> dict[str, str]:
        """Why a figure is NaN, by its name."""
        lacking = {
            "no positive": (self.hits + self.misses == 0, ("sensitivity", "balanced_accuracy")),
            "no negative": (self.passes + self.alarms == 0, ("specificity", "balanced_accuracy")),
            "nothing was called": (self.hits + self.alarms == 0, ("ppv",)),
            "everything was called": (self.passes + self.misses == 0, ("npv",)),
            "no positive, and nothing was called": (self.hits + self.misses + self.alarms == 0, ("f1",)),
            "no case": (self.hits + self.misses + self.alarms + self.passes == 0, ("accuracy",)),
        }
        return {name: reason for reason, (holds, names) in lacking.items() if holds for name in names}


def ratio(part: float, whole: float) -> float:
    """``part / whole``; NaN for nothing of nothing, which is not zero."""
    return part / whole if whole else NAN
