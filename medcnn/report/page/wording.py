"""How a figure reads on a page: shares with three decimals, counts with separators, what is not known in words."""

import math
import re
from collections.abc import Callable, Sequence
from numbers import Integral, Real

import pandas as pd

from medcnn.metrics.estimate import Estimate

NOT_KNOWN, NOT_PROVIDED = "not known", "not provided"
LONGEST = 400
_P_VALUE = re.compile(r"(^|[\s/])p([ _-]?(value|adjusted))?$")
# What makes text run the other way, or hides it: a name from a table must not turn the words around it.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def share(value: float) -> str:
    """``0.912``; more digits where three would read as zero, fewer where they would say nothing."""
    if not math.isfinite(value):
        return _unusual(value)
    if abs(value) >= 10:
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
    return f"{value:.2g}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"


def count(value: float) -> str:
    """``12,345``."""
    return f"{value:,.0f}" if math.isfinite(value) else _unusual(value)


def p_value(value: float) -> str:
    """``0.034``, ``< 0.001``, ``> 0.999``: a test never says that something is certain."""
    if not math.isfinite(value):
        return _unusual(value)
    if value < 0.001:
        return "< 0.001"
    return "> 0.999" if value > 0.999 else f"{value:.3f}"


def interval(figure: Estimate) -> str:
    """``0.874 to 0.941``; "" where there is none."""
    if math.isnan(figure.value) or math.isnan(figure.low) or math.isnan(figure.high):
        return ""
    return f"{share(figure.low)} to {share(figure.high)}"


def visible(value: str) -> str:
    """Text without characters that cannot be seen, each of which becomes a replacement sign that can."""
    return _INVISIBLE.sub("\ufffd", value)


def text(value: object) -> str:
    """Text as one cell holds it: nothing invisible, and no longer than a page can bear."""
    plain = visible(str(value))
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"


def is_known(value: object) -> bool:
    """Whether a cell holds something: no None, NaN, NaT."""
    if isinstance(value, Estimate):
        return not math.isnan(value.value)
    return value is not None and value is not pd.NA and value is not pd.NaT and value == value


def column_style(name: str, values: Sequence[object]) -> Callable[[float], str]:
    """How the numbers of a column are written: as p values by its name, as counts if all are whole, or as shares.

    Whole floats that never leave [0, 1] are shares: a sensitivity of 1 reads 1.000.
    """
    if _P_VALUE.search(name):
        return p_value
    numbers = [value for value in values if isinstance(value, Real)]
    if all(isinstance(value, Integral) for value in numbers):
        return count
    finite = [float(value) for value in numbers if math.isfinite(value)]
    whole = all(value == math.floor(value) for value in finite)
    return count if whole and any(abs(value) > 1 for value in finite) else share


def cell(value: object, style: Callable[[float], str]) -> str:
    """What stands in one cell of a table."""
    if not is_known(value):
        return NOT_KNOWN
    if isinstance(value, bool) or type(value).__name__ == "bool":  # numpy's own is no bool
        return "yes" if value else "no"
    return style(float(value)) if isinstance(value, Real) else text(value)


def _unusual(value: float) -> str:
    if math.isnan(value):
        return NOT_KNOWN
    return "infinity" if value > 0 else "minus infinity"
