"""Means of a figure over groups of cases, and whether a group lies apart from the rest of its column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from medcnn.metrics.bootstrap import bootstrap_mean
from medcnn.metrics.estimate import NAN, Estimate

Array = NDArray[np.float64]
NOT_GIVEN = "not given"
#: A column of more values than this names cases rather than groups.
MOST_GROUPS = 12


@dataclass(frozen=True)
class GroupMean:
    """One group of one column.

    Attributes:
        column: Name of the column.
        group: Its value; "not given" where it is empty.
        mean: Over the group's cases, with the number of its cases and patients.
        gap: The group's mean minus that of the rest.
        p: Two-sided, that there is no such gap; NaN where it was not looked for.
        p_adjusted: After Holm over all looks.
        flagged: Whether ``p_adjusted`` is below alpha.
    """

    column: str
    group: str
    mean: Estimate
    gap: Estimate
    p: float = NAN
    p_adjusted: float = NAN
    flagged: bool = False


def mean_of(values: Array, patients: Sequence[object] | None = None, level: float = 0.95) -> Estimate:
    """The mean over cases with its interval by bootstrap over patients; NaN is left out.

    Args:
        values: One number a case ``(n,)``.
        patients: Whose each case is ``(n,)``; every case its own where it is not told.
        level: Coverage of the interval.
    """
    known = ~np.isnan(values)
    owners = _owners(patients, len(values))[known]
    n, people = int(known.sum()), len(np.unique(owners))
    if not n:
        return Estimate(NAN, reason="no case in which it is defined", level=level)
    low, high = bootstrap_mean(values[known][:, None], list(owners), level=level)
    reason = "" if people > 1 else "one patient alone gives no interval"
    return Estimate(float(values[known].mean()), low, high, n, people, -1, "bootstrap over patients", reason, level)


def mean_difference(
    differences: Array, patients: Sequence[object] | None = None, level: float = 0.95
) -> tuple[Estimate, float]:
    """The mean of paired differences, its interval and the two-sided p that it is zero, with patients as units.

    Args:
        differences: One a case ``(n,)``; NaN is left out.
        patients: Whose each case is ``(n,)``; every case its own where it is not told.
        level: Coverage of the interval.
    """
    known = ~np.isnan(differences)
    values, owners = differences[known], _owners(patients, len(differences))[known]
    if not len(values):
        return Estimate(NAN, reason="no case in which both are defined", level=level), NAN
    mean = float(values.mean())
    estimate, p = _t_over_patients(mean, (values - mean) / len(values), owners, 1, level)
    return estimate, p


def group_means(
    values: Array,
    columns: Mapping[str, Sequence[object]],
    patients: Sequence[object] | None = None,
    minimum: int = 10,
    alpha: float = 0.05,
) -> list[GroupMean]:
    """Every group of every column; a group or a rest below ``minimum`` cases is told and not tested.

    The gap's variance is that of the sums over patients of what each case adds to it, so a patient may have cases on
    both sides. Numbers of more than a few values are cut at their quartiles.

    Args:
        values: One number a case ``(n,)``; NaN is left out.
        columns: Name to a value a case ``(n,)``.
        patients: Whose each case is ``(n,)``.
        minimum: Cases that a group needs.
        alpha: Chance of a flag anywhere where there are no gaps.
    """
    known = np.flatnonzero(~np.isnan(values))
    owners = _owners(patients, len(values))[known]
    found: list[GroupMean] = []
    for column, given in columns.items():
        names = np.asarray(_names([list(given)[row] for row in known]), dtype=object)
        found += [_group(column, name, values[known], names == name, owners, minimum) for name in sorted(set(names))]
    return _adjusted(found, alpha)


def _group(
    column: str, name: str, values: Array, inside: NDArray[np.bool_], owners: NDArray[np.int64], minimum: int
) -> GroupMean:
    mean = mean_of(values[inside], list(owners[inside]))
    if min(int(inside.sum()), int((~inside).sum())) < minimum:
        reason = f"fewer than {minimum} cases in the group or beside it"
        return GroupMean(column, name, mean, Estimate(NAN, reason=reason))
    gap, p = _gap(values, inside, owners)
    return GroupMean(column, name, mean, gap, p)


def _gap(values: Array, inside: NDArray[np.bool_], owners: NDArray[np.int64]) -> tuple[Estimate, float]:
    """The difference of two means, its interval and its p, by what each patient adds to it."""
    first, rest = values[inside].mean(), values[~inside].mean()
    added = np.where(inside, (values - first) / inside.sum(), -(values - rest) / (~inside).sum())
    return _t_over_patients(float(first - rest), added, owners, 2, 0.95)


def _t_over_patients(
    value: float, added: Array, owners: NDArray[np.int64], fitted: int, level: float
) -> tuple[Estimate, float]:
    """Interval and p of a figure from what each case adds to its error, summed by patient; ``fitted`` means cost as
    many degrees of freedom."""
    of_patients = np.bincount(np.unique(owners, return_inverse=True)[1], weights=added)
    people, free = len(of_patients), len(of_patients) - fitted
    if free < 1:
        return Estimate(value, n=len(added), patients=people, reason="too few patients for an interval"), NAN
    error = float(np.sqrt((of_patients**2).sum() * people / (people - 1)))
    half = float(student.ppf(0.5 + level / 2, free)) * error
    p = float(2 * student.sf(abs(value) / error, free)) if error else (0.0 if value else 1.0)
    return Estimate(value, value - half, value + half, len(added), people, -1, "t over patients", "", level), p


def _adjusted(groups: list[GroupMean], alpha: float) -> list[GroupMean]:
    """Holm's step-down over every look that was made."""
    looked = sorted((one.p, place) for place, one in enumerate(groups) if not np.isnan(one.p))
    worst, done = 0.0, list(groups)
    for rank, (p, place) in enumerate(looked):
        worst = max(worst, min(1.0, (len(looked) - rank) * p))
        one = groups[place]
        done[place] = GroupMean(one.column, one.group, one.mean, one.gap, p, worst, worst < alpha)
    return done


def _names(given: list[Any]) -> list[str]:
    numbers = [value for value in given if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(given) and len({value for value in given if value == value}) > MOST_GROUPS:
        cuts = np.nanquantile(np.array(given, dtype=np.float64), [0, 0.25, 0.5, 0.75, 1])
        return [_quartile(float(value), cuts) for value in given]
    return [NOT_GIVEN if value is None or value != value or str(value) == "" else str(value) for value in given]


def _quartile(value: float, cuts: Array) -> str:
    if np.isnan(value):
        return NOT_GIVEN
    place = min(int(np.searchsorted(cuts[1:-1], value, side="left")), 3)
    return f"{place + 1}: {cuts[place]:g} to {cuts[place + 1]:g}"


def _owners(patients: Sequence[object] | None, n: int) -> NDArray[np.int64]:
    if patients is None:
        return np.arange(n)
    return np.unique(np.asarray([str(one) for one in patients]), return_inverse=True)[1].astype(np.int64)
