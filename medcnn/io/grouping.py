"""Slices to the volumes that they belong to: what does not fit is refused as a whole, never passed off as a volume."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from medcnn.io.directions import are_parallel, degrees_between, orientation_units
from medcnn.io.slices import MARKS, Slice
from medcnn.io.stack import SAME_POSITION, are_even, distances_along, normal_of, same_spacing

# Echo times in ms that are closer are one echo: some scanners round them differently from slice to slice.
_SAME_ECHO_MS = 0.05
# Marks that may separate two acquisitions though none of their positions is the same.
_ACQUISITIONS = tuple(MARKS.index(one) for one in ("StackID", "TemporalPositionIdentifier", "AcquisitionNumber"))
#: Fewer slices of an orientation or an acquisition are no evidence of a volume.
_FEWEST = 3
#: More parts than any scanner makes of one series show damage; they are refused together.
_MOST_PARTS = 64
#: Stacks that are turned less against each other are one, rounded or damaged, unless each is a volume by itself.
_TURNED_DEGREES = 10.0
_PERPENDICULAR_DEGREES = 60.0
#: A piece repeats another where at least this share of its slices are at the other's positions.
_REPEATED = 0.5


class Group(NamedTuple):
    """Slices of one volume, or of none: then a code of ``medcnn.io.find.REASONS`` and a sentence give the reason."""

    slices: list[Slice]
    code: str = ""
    sentence: str = ""
    flags: tuple[str, ...] = ()


def grouped(slices: Iterable[Slice]) -> list[Group]:
    """Volumes of each series.

    A series is split where its parts repeat the same positions (echoes, phases, times, reconstructions) or are stacked
    in other directions. Parts that continue or interleave each other are one volume whatever their attributes, and
    its reading reports what is wrong with it.
    """
    groups: list[Group] = []
    for series in _by(slices, lambda one: (one.series or str(one.path.parent), one.modality)):
        groups.extend(_groups_of(series))
    return groups


def _groups_of(series: list[Slice]) -> list[Group]:
    patients = {one.patient for one in series if one.patient}
    if len(patients) > 1:
        sentence = f"{len(patients)} patients share one SeriesInstanceUID; give the files of each UIDs of their own"
        return [Group(series, "several_patients", sentence)]
    scouts = [one for one in series if one.is_localizer]
    rest = [one for one in series if not one.is_localizer]
    groups = [_localizer(scouts)] if scouts else []
    placed, lost = [one for one in rest if one.is_placed], [one for one in rest if not one.is_placed]
    if lost or not placed:  # without a place for each, nothing shows which volume is whole
        return [*groups, Group(rest)] if rest else groups
    stacks = _by_orientation(placed)
    if _are_scouts(stacks):
        return [*groups, _localizer(placed)]
    for stack in _without_splinters(stacks):
        if isinstance(stack, Group):
            groups.append(stack)
        else:
            groups.extend(_volumes(stack))
    return groups


def _localizer(slices: list[Slice]) -> Group:
    return Group(slices, "localizer", f"a localizer (scout), which is no volume; slices: {len(slices)}")


def _by(slices: Iterable[Slice], key: Callable[[Slice], Hashable]) -> list[list[Slice]]:
    groups: dict[Hashable, list[Slice]] = {}
    for one in slices:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def _by_orientation(slices: list[Slice]) -> list[list[Slice]]:
    """Slices by orientation, the most precisely written first, so that coarser ones join what they are rounded from."""
    units = orientation_units(slices)
    order = sorted(range(len(slices)), key=lambda at: units[at])
    stacks: list[tuple[Slice, float, list[Slice]]] = []
    for at in order:
        for first, unit, stack in stacks:
            if are_parallel(first.orientation or (), slices[at].orientation or (), unit, units[at]):
                stack.append(slices[at])
                break
        else:
            stacks.append((slices[at], units[at], [slices[at]]))
            if len(stacks) > _MOST_PARTS:
                return [slices]
    return [stack for _, _, stack in stacks]


def _are_scouts(stacks: Sequence[list[Slice]]) -> bool:
    """Whether a few slices in each of three perpendicular planes, or one or two in each of two, plan a scan."""
    if not 2 <= len(stacks) <= 3:
        return False
    firsts = [stack[0].orientation or () for stack in stacks]
    across = all(_PERPENDICULAR_DEGREES < degrees_between(one, two) < 120.0 for one, two in combinations(firsts, 2))
    return across and max(map(len, stacks)) <= (20 if len(stacks) == 3 else 2)


def _without_splinters(stacks: list[list[Slice]]) -> list[list[Slice] | Group]:
    """Stacks of a few slices joined to the one that they are turned off a little, else refused as remainders."""
    whole = [stack for stack in stacks if len(stack) >= _FEWEST]
    splinters = [stack for stack in stacks if len(stack) < _FEWEST]
    if len(stacks) == 1:
        return list(stacks)
    if not whole:  # every slice turned: none of it is a stack
        return [[one for stack in stacks for one in stack]]
    groups: list[list[Slice] | Group] = []
    for splinter in splinters:
        turned = [degrees_between(stack[0].orientation or (), splinter[0].orientation or ()) for stack in whole]
        nearest = int(np.argmin(turned))
        if turned[nearest] < _TURNED_DEGREES:
            whole[nearest] = [*whole[nearest], *splinter]
        else:
            groups.append(
                Group(splinter, "remainder", _remainder(splinter, f"are turned by {turned[nearest]:.0f} degrees out"))
            )
    return [*whole, *groups]


def _remainder(slices: Sequence[Slice], why: str) -> str:
    return f"slices: {len(slices)} (first {slices[0].where}) {why} of another volume of their series"


def _volumes(stack: list[Slice]) -> list[Group]:
    """The volumes among slices of one orientation."""
    normal = normal_of(stack[0].orientation or ())
    volumes: list[list[Slice]] = []
    pieces = _pieces(stack)
    for piece in sorted(pieces, key=len, reverse=True) if len(pieces) <= _MOST_PARTS else [stack]:
        for at, volume in enumerate(volumes):
            if not _repeats(piece, volume, normal):
                volumes[at] = [*volume, *piece]
                break
        else:
            volumes.append(piece)
    parts = [part for volume in volumes for part in _by_acquisition(volume, normal)]
    return _as_groups(parts)


def _as_groups(parts: list[list[Slice]]) -> list[Group]:
    """Parts that repeat each other's positions; one of less than half the slices of the largest is a remainder."""
    most = max(map(len, parts))
    groups = []
    for part in parts:
        if 2 * len(part) < most:
            groups.append(Group(part, "remainder", _remainder(part, "repeat a part")))
        else:
            groups.append(Group(part, flags=("fewer_slices",) if len(part) < most else ()))
    return groups


def _pieces(stack: list[Slice]) -> list[list[Slice]]:
    """Slices that agree in every attribute by which a scanner separates volumes."""
    pieces = []
    for alike in _by(stack, lambda one: (one.study, one.frame_of_reference, one.rows, one.columns, one.kind)):
        for echo in _by_echo(alike):
            pieces.extend(_by_spacing(echo))
    return pieces


def _by_echo(group: list[Slice]) -> list[list[Slice]]:
    times = sorted({_milliseconds(one) for one in group})
    starts = [time for before, time in zip([-np.inf, *times], times, strict=False) if time - before > _SAME_ECHO_MS]
    return _by(group, lambda one: (one.echo[0], int(np.searchsorted(starts, _milliseconds(one), side="right"))))


def _milliseconds(one: Slice) -> float:
    try:
        return float(one.echo[1] or -1)
    except ValueError:
        return -1.0


def _by_spacing(group: list[Slice]) -> list[list[Slice]]:
    parts: list[list[Slice]] = []
    for one in group:
        for part in parts:
            if same_spacing(one, part[0]):
                part.append(one)
                break
        else:
            parts.append([one])
            if len(parts) > _MOST_PARTS:
                return [group]
    return parts


def _repeats(piece: list[Slice], volume: list[Slice], normal: np.ndarray) -> bool:
    """Whether a piece is another image of the same positions, and not a continuation or what is between."""
    other = np.sort(distances_along(volume, normal))
    gaps = np.diff(other)
    gaps = gaps[gaps > SAME_POSITION]
    near = max(SAME_POSITION, 0.1 * float(np.median(gaps)) if len(gaps) else SAME_POSITION)
    own = distances_along(piece, normal)
    at = np.clip(np.searchsorted(other, own), 1, max(1, len(other) - 1))
    apart = np.minimum(np.abs(own - other[at - 1]), np.abs(own - other[np.minimum(at, len(other) - 1)]))
    share = float((apart <= near).mean())
    # A few slices that continue the volume belong to it, though others of them repeat it.
    return share == 1.0 or (share >= _REPEATED and 2 * len(piece) >= len(volume))


def _by_acquisition(group: list[Slice], normal: np.ndarray) -> list[list[Slice]]:
    if len(group) < 2:
        return [group]
    if _most_at_one_place(group, normal) > 1:
        return _split_repeats(group, normal)
    return _split_shifted(group, normal)


def _most_at_one_place(group: list[Slice], normal: np.ndarray) -> int:
    distances = np.sort(distances_along(group, normal))
    places = np.cumsum(np.diff(distances, prepend=distances[0]) > SAME_POSITION)
    return int(np.bincount(places).max())


def _split_repeats(group: list[Slice], normal: np.ndarray) -> list[list[Slice]]:
    """By the first mark, or pair of marks, that makes as many parts as slices are at one place, each place once."""
    copies = _most_at_one_place(group, normal)
    differing = [at for at in range(len(MARKS)) if len({one.marks[at] for one in group}) > 1]
    for marks in [*((at,) for at in differing), *combinations(differing, 2)]:
        parts = _by(group, lambda one, marks=marks: tuple(one.marks[at] for at in marks))  # type: ignore[misc]
        if len(parts) != copies or any(_most_at_one_place(part, normal) > 1 for part in parts):
            continue
        largest = max(parts, key=len)
        if all(part is largest or _repeats(part, largest, normal) for part in parts):
            return parts
    return [group]


def _split_shifted(group: list[Slice], normal: np.ndarray) -> list[list[Slice]]:
    """Two acquisitions between each other's slices: apart each is even, together they are not or lie too densely."""
    distances = np.sort(distances_along(group, normal))
    together = are_even(distances)
    for at in _ACQUISITIONS:
        parts = _by(group, lambda one, at=at: one.marks[at])  # type: ignore[misc]
        if len(parts) < 2 or not _cover_one_range(parts, normal):
            continue
        if not all(are_even(np.sort(distances_along(part, normal))) for part in parts):
            continue
        if not together or _lie_too_densely(group, parts, normal):
            return parts
    return [group]


def _cover_one_range(parts: list[list[Slice]], normal: np.ndarray) -> bool:
    """Whether every part is a stack over the same stretch: parts that follow each other are pieces of one volume."""
    if min(map(len, parts)) < _FEWEST:
        return False
    distances = [distances_along(part, normal) for part in parts]
    lows, highs = [one.min() for one in distances], [one.max() for one in distances]
    common = min(highs) - max(lows)
    return bool(common >= 0.5 * (max(highs) - min(lows)))


def _lie_too_densely(group: list[Slice], parts: list[list[Slice]], normal: np.ndarray) -> bool:
    """Whether the parts have the spacing that the header gives, and all together a smaller one."""
    given = group[0].between or group[0].thickness
    if given is None:
        return False
    steps = [_usual_step(part, normal) for part in parts if len(part) > 1]
    return bool(steps) and _usual_step(group, normal) < 0.9 * given <= 1.01 * min(steps)


def _usual_step(group: list[Slice], normal: np.ndarray) -> float:
    return float(np.median(np.diff(np.sort(distances_along(group, normal)))))
