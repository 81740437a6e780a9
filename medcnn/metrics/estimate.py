"""A figure with its interval, what it stands on, and why it is missing if it is."""

import math
from typing import NamedTuple

NAN = math.nan


class Estimate(NamedTuple):
    """A figure and what is known of it.

    Attributes:
        value: NaN where it cannot be told.
        low: Lower end of the interval; NaN where none can be given.
        high: Upper end of the interval.
        n: Cases that it stands on.
        patients: Patients that these cases belong to.
        events: Cases with the finding among them, where the figure has to do with one; -1 otherwise.
        method: How the interval was made, in a few words: ``DeLong``, ``Wilson``, ``bootstrap over patients``.
        reason: Why the value or its interval is missing or not to be trusted; "" where nothing is wrong.
        level: Coverage that the interval aims at.
    """

    value: float
    low: float = NAN
    high: float = NAN
    n: int = 0
    patients: int = 0
    events: int = -1
    method: str = ""
    reason: str = ""
    level: float = 0.95

    def __str__(self) -> str:
        """``0.912 (0.874 to 0.941)``, ``0.912`` without an interval, ``not known`` without a value."""
        if math.isnan(self.value):
            return "not known"
        if math.isnan(self.low) or math.isnan(self.high):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"
