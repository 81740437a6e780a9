"""Slices to the volumes that they belong to: what does not fit is split off, never averaged in."""

from collections.abc import Callable, Hashable, Iterable
from itertools import combinations

import numpy as np

from medcnn.io.slices import MARKS, Slice
from medcnn.io.stack import SAME_DIRECTION, SAME_POSITION, SAME_SPACING, are_even, distances_along, normal_of

# Echo times in ms that are closer are one echo: some scanners round them differently from slice to slice.
_SAME_ECHO_MS = 0.05
# Marks that may tell two acquisitions apart though none of their positions is the same.
_ACQUISITIONS = tuple(MARKS.index(one) for one in ("StackID", "TemporalPositionIdentifier", "AcquisitionNumber"))
Group = list[Slice]


def grouped(slices: Iterable[Slice]) -> list[Group]:
    """Slices by series, frame of reference, size, kind of value, echo, orientation and spacing, then by acquisition.

    Where positions repeat inside such a group, the first mark (or two) that gives every part each position once splits
    it; where none does, the group stays whole and its reading is refused.
    """
    groups = []
    for group in _by(slices, _identity):
        for echo in _by_echo(group):
            for part in _by_place(echo):
                groups.extend(_by_acquisition(part))
    return groups


def _by(slices: Iterable[Slice], key: Callable[[Slice], Hashable]) -> list[Group]:
    groups: dict[Hashable, Group] = {}
    for one in slices:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def _identity(one: Slice) -> Hashable:
    # Files without a series UID are of one series where they lie in one folder.
    series = one.series or str(one.path.parent)
    return one.study, series, one.frame_of_reference, one.modality, one.rows, one.columns, one.kind


def _by_echo(group: Group) -> list[Group]:
    times = sorted({_milliseconds(one) for one in group})
    starts = [time for before, time in zip([-np.inf, *times], times, strict=False) if time - before > _SAME_ECHO_MS]
    return _by(group, lambda one: (one.echo[0], int(np.searchsorted(starts, _milliseconds(one), side="right"))))


def _milliseconds(one: Slice) -> float:
    try:
        return float(one.echo[1] or -1)
    except ValueError:
        return -1.0


def _by_place(group: Group) -> list[Group]:
    """By orientation and spacing. A slice without a place joins the most numerous, which then is refused by name."""
    parts: list[Group] = []
    for one in (one for one in group if one.is_placed):
        for part in parts:
            if _is_alike(one, part[0]):
                part.append(one)
                break
        else:
            parts.append([one])
    lost = [one for one in group if not one.is_placed]
    if lost:
        if parts:
            max(parts, key=len).extend(lost)
        else:
            parts.append(lost)
    return parts


def _is_alike(one: Slice, other: Slice) -> bool:
    turned = np.abs(np.subtract(one.orientation or 0.0, other.orientation or 0.0)).max()
    return bool(turned <= SAME_DIRECTION and np.allclose(one.spacing or 0, other.spacing or 0, SAME_SPACING, 0))


def _by_acquisition(group: Group) -> list[Group]:
    if len(group) < 2 or not all(one.is_placed for one in group):
        return [group]
    normal = normal_of(group[0].orientation or ())
    if _most_at_one_place(group, normal) > 1:
        return _split_repeats(group, normal)
    return _split_shifted(group, normal)


def _most_at_one_place(group: Group, normal: np.ndarray) -> int:
    distances = np.sort(distances_along(group, normal))
    places = np.cumsum(np.diff(distances, prepend=distances[0]) > SAME_POSITION)
    return int(np.bincount(places).max())


def _split_repeats(group: Group, normal: np.ndarray) -> list[Group]:
    """By the first mark, or pair of marks, that makes as many parts as slices lie at one place, each place once."""
    copies = _most_at_one_place(group, normal)
    told = [at for at in range(len(MARKS)) if len({one.marks[at] for one in group}) > 1]
    for marks in [*((at,) for at in told), *combinations(told, 2)]:
        parts = _by(group, lambda one, marks=marks: tuple(one.marks[at] for at in marks))  # type: ignore[misc]
        if len(parts) == copies and all(_most_at_one_place(part, normal) == 1 for part in parts):
            return parts
    return [group]


def _split_shifted(group: Group, normal: np.ndarray) -> list[Group]:
    """Two acquisitions between each other's slices: apart each is even, together they are not or lie too densely."""
    distances = np.sort(distances_along(group, normal))
    together = are_even(distances)
    for at in _ACQUISITIONS:
        parts = _by(group, lambda one, at=at: one.marks[at])  # type: ignore[misc]
        if not 1 < len(parts) < len(group) or not all(_is_even(part, normal) for part in parts):
            continue
        if not together or _lie_too_densely(group, parts, normal):
            return parts
    return [group]


def _is_even(group: Group, normal: np.ndarray) -> bool:
    return are_even(np.sort(distances_along(group, normal)))


def _lie_too_densely(group: Group, parts: list[Group], normal: np.ndarray) -> bool:
    """Whether the parts have the spacing that the header tells, and all together a smaller one."""
    told = group[0].between or group[0].thickness
    if told is None:
        return False
    steps = [_usual_step(part, normal) for part in parts if len(part) > 1]
    return bool(steps) and _usual_step(group, normal) < 0.9 * told <= 1.01 * min(steps)


def _usual_step(group: Group, normal: np.ndarray) -> float:
    return float(np.median(np.diff(np.sort(distances_along(group, normal)))))
