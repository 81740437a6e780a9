"""A column of a manifest as groups of cases, under names that a clinician reads."""

import re
from collections import Counter
from collections.abc import Sequence
from numbers import Real

import numpy as np
from numpy.typing import NDArray

NOT_GIVEN = "not given"
#: Of more values than this the rarest are told together.
MOST_VALUES = 12
#: Numbers of at most so many values are groups by value: a grade, a count of lesions.
_FEW_NUMBERS = 6
# Years of age below which a band ends.
_BANDS = (18, 40, 60, 80)
_BAND_NAMES = ("under 18", "18 to 39", "40 to 59", "60 to 79", "80 or over")
# Where one band holds more than this, bands say little: all children are under 18.
_ONE_BAND = 0.8
_AGE = re.compile(r"(?<![A-Za-z])age(?![a-z])|(?<=[a-z])Age(?![a-z])|^Age|^AGE$")
_OTHER_UNIT = re.compile(r"month|week|day|hour", re.IGNORECASE)


def group_names(column: str, values: Sequence[object]) -> tuple[NDArray[np.object_], list[str]]:
    """The group of each case, and the groups in the order to show them.

    Text is grouped by value; of many values the rarest are one group, "others". Numbers of few values are grouped by
    value, ages by bands of years, other numbers by quartiles with their least and largest value as the name. What is
    missing is a group of its own, "not given", always the last.

    Args:
        column: Its name; it says what is an age.
        values: One a case; None, NaN and "" are missing.
    """
    given = np.array([not _missing(value) for value in values], dtype=bool)
    names = np.full(len(given), NOT_GIVEN, dtype=object)
    known = [value for value, there in zip(values, given, strict=True) if there]
    if known and all(isinstance(value, Real) and not isinstance(value, bool | np.bool_) for value in known):
        names[given], order = _of_numbers(column, np.array(known, dtype=np.float64))
    else:
        names[given], order = _of_text([str(value) for value in known])
    return names, order + ([NOT_GIVEN] if not given.all() else [])


def _missing(value: object) -> bool:
    return value is None or str(value).strip() in ("", "nan", "NaN", "<NA>", "NaT")


def _of_text(values: list[str]) -> tuple[list[str], list[str]]:
    counts = Counter(values)
    if len(counts) <= MOST_VALUES:
        return values, sorted(counts)
    kept = {value for value, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[: MOST_VALUES - 1]}
    others = f"others ({len(counts) - len(kept)} values)"
    return [value if value in kept else others for value in values], [*sorted(kept), others]


def _of_numbers(column: str, values: NDArray[np.float64]) -> tuple[list[str], list[str]]:
    values = values + 0.0  # there is a zero below zero, which is equal and reads otherwise
    distinct = np.unique(values)
    if len(distinct) <= _FEW_NUMBERS:
        # Numbers that differ far behind the point read alike, and are one group.
        return [f"{value:g}" for value in values], list(dict.fromkeys(f"{value:g}" for value in distinct))
    if _AGE.search(column) and not _OTHER_UNIT.search(column):
        bands = np.searchsorted(_BANDS, values, side="right")
        if np.bincount(bands).max() <= _ONE_BAND * len(values):
            return _named(bands, list(_BAND_NAMES))
    # Unique: where a fourth of the cases has one value, two cuts are the same.
    cuts = np.unique(np.quantile(values, [0.25, 0.5, 0.75]))
    bins = np.unique(np.searchsorted(cuts, values, side="left"), return_inverse=True)[1]
    ends = [(values[bins == one].min(), values[bins == one].max()) for one in range(int(bins.max()) + 1)]
    return _named(bins, [f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in ends])


def _named(bins: NDArray[np.int64], names: list[str]) -> tuple[list[str], list[str]]:
    return [names[one] for one in bins], [names[one] for one in np.unique(bins)]
