"""Means of a figure over groups of cases, and whether a group lies apart from the rest of its column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from medcnn.metrics.bootstrap import bootstrap_mean
from medcnn.metrics.by_patient import Owners, owners, quantile
from medcnn.metrics.estimate import NAN, Estimate
from medcnn.metrics.gaps import holm
from medcnn.metrics.subgroup_columns import group_names

Array = NDArray[np.float64]


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
    of = owners(patients, len(values)).among(known)
    n = int(known.sum())
    if not n:
        return Estimate(NAN, reason="no case in which it is defined", level=level)
    low, high = bootstrap_mean(values[known][:, None], of.number.tolist(), level=level)
    reason = "" if of.patients > 1 else "one patient alone gives no interval"
    mean = float(values[known].mean())
    return Estimate(mean, low, high, n, of.patients, -1, "bootstrap over patients", reason, level)


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
    values = differences[known]
    if not len(values):
        return Estimate(NAN, reason="no case in which both are defined", level=level), NAN
    mean, of = float(values.mean()), owners(patients, len(differences)).among(known)
    return _t_over_patients(mean, (values - mean) / len(values), of, 1, level)


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
    known = ~np.isnan(values)
    of, judged = owners(patients, len(values)).among(known), values[known]
    found: list[GroupMean] = []
    for column, given in columns.items():
        names, order = group_names(column, [value for value, there in zip(given, known, strict=True) if there])
        found += [_group(column, name, judged, names == name, of, minimum) for name in order]
    return _adjusted(found, alpha)


def _group(column: str, name: str, values: Array, inside: NDArray[np.bool_], of: Owners, minimum: int) -> GroupMean:
    mean = mean_of(values[inside], of.number[inside].tolist())
    if min(int(inside.sum()), int((~inside).sum())) < minimum:
        reason = f"fewer than {minimum} cases in the group or beside it"
        return GroupMean(column, name, mean, Estimate(NAN, reason=reason))
    first, rest = values[inside].mean(), values[~inside].mean()
    added = np.where(inside, (values - first) / inside.sum(), -(values - rest) / (~inside).sum())
    gap, p = _t_over_patients(float(first - rest), added, of, 2, 0.95)
    return GroupMean(column, name, mean, gap, p)


def _t_over_patients(value: float, added: Array, of: Owners, fitted: int, level: float) -> tuple[Estimate, float]:
    """Interval and p of a figure from what each case adds to its error, summed by patient; ``fitted`` means cost as
    many degrees of freedom."""
    free = of.patients - fitted
    if free < 1:
        return Estimate(value, n=len(added), patients=of.patients, reason="too few patients for an interval"), NAN
    error = float(np.sqrt((of.sums(added) ** 2).sum() * of.patients / (of.patients - 1)))
    half = quantile(level, free) * error
    p = float(2 * student.sf(abs(value) / error, free)) if error else (0.0 if value else 1.0)
    return Estimate(value, value - half, value + half, len(added), of.patients, -1, "t over patients", "", level), p


def _adjusted(groups: list[GroupMean], alpha: float) -> list[GroupMean]:
    """Holm over every look; the two groups of one column look at the same gap."""
    sizes = {one.column: sum(other.column == one.column for other in groups) for one in groups}
    looks: dict[tuple[str, str], list[int]] = {}
    for place, one in enumerate(groups):
        if not np.isnan(one.p):
            looks.setdefault((one.column, "" if sizes[one.column] == 2 else one.group), []).append(place)
    adjusted, done = holm(np.array([groups[places[0]].p for places in looks.values()])), list(groups)
    for p, places in zip(adjusted, looks.values(), strict=True):
        for place in places:
            done[place] = replace(groups[place], p_adjusted=float(p), flagged=bool(p < alpha))
    return done
