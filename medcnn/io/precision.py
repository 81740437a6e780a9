"""How precisely a header states a number: by the digits that its writer spent on it."""

import re
from collections.abc import Sequence

import numpy as np

_DECIMAL = re.compile(r"\s*[+-]?\d*\.?(\d*)(?:[eE]([+-]?\d+))?\s*\0*")


def unit_of(text: str) -> float:
    """One unit in the last digit of a decimal string; 0 where it is none.

    >>> unit_of("12.50"), unit_of("-3"), unit_of("1.5e-2")
    (0.01, 1.0, 0.001)
    """
    match = _DECIMAL.fullmatch(text)
    if match is None or not any(char.isdigit() for char in text):
        return 0.0
    return float(10.0 ** (int(match[2] or 0) - len(match[1])))


def units_of(values: Sequence[object]) -> tuple[float, ...]:
    """A unit for each value, by the text that it was read from where that is known."""
    return tuple(unit_of(str(getattr(one, "original_string", one)).replace(",", ".")) for one in values)


def finest(units: Sequence[float]) -> float:
    """The finest of the units of one element, as its writer gives all its values alike; 0 where none is known."""
    return min(units, default=0.0)


def rounding_along(normal: np.ndarray, units: Sequence[Sequence[float]]) -> np.ndarray:
    """How far rounding may have moved each position along a normal, in mm.

    Args:
        normal: Unit vector ``(3,)``.
        units: Of each position, those of its three coordinates; empty where positions are exact.
    """
    return np.array([0.5 * float(np.abs(normal) @ one) if len(one) == 3 else 0.0 for one in units])
