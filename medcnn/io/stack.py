"""Slices to one grid: sorted along their normal, evenly apart, or refused with numbers and names."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from medcnn.errors import ReadError
from medcnn.io.slices import Slice

#: Direction cosines that differ by more belong to another orientation: 0.06 degrees.
SAME_DIRECTION = 1e-3
#: Positions along the normal that are closer, in mm, are one position.
SAME_POSITION = 0.01
#: Pixel spacings that differ by a larger share are two spacings.
SAME_SPACING = 1e-3

_TILT_DEGREES = 0.5
_ASIDE_MM = 0.1
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Stack(NamedTuple):
    """Slices in order and the affine ``(4, 4)`` from (slice, row, column) to mm, RAS+."""

    slices: list[Slice]
    affine: np.ndarray
    flags: tuple[str, ...]


def stacked(slices: Sequence[Slice]) -> Stack:
    """Slices sorted along their normal, the cross product of the directions of rows and columns.

    Raises:
        ReadError: ``no_geometry``, ``mixed_orientation``, ``mixed_size``, ``duplicate_position``, ``gaps``,
            ``not_aligned`` or ``gantry_tilt``. Its message names files by their names only.
    """
    across, down = _directions(slices)
    rows_mm, columns_mm = _spacing(slices)
    normal = np.cross(across, down)
    positions = np.array([one.position for one in slices])
    order = np.argsort(positions @ normal, kind="stable")
    ordered, positions = [slices[at] for at in order], positions[order]
    flags: tuple[str, ...] = ()
    if len(slices) == 1:
        step, flags = normal * _thickness(slices[0]), ("one_slice",)
    else:
        step = _step(ordered, positions, normal)
        between = ordered[0].between
        if between is not None and abs(between - float(step @ normal)) > _uneven_mm(between):
            flags = ("spacing_disagrees",)
    affine = np.eye(4)
    affine[:3] = np.stack([step, down * rows_mm, across * columns_mm, positions[0]], axis=1)
    return Stack(ordered, _LPS_TO_RAS @ affine, flags)


def normal_of(orientation: Sequence[float]) -> np.ndarray:
    """The direction in which slices of an orientation are stacked, LPS."""
    normal = np.cross(orientation[:3], orientation[3:])
    return normal / (np.linalg.norm(normal) or 1.0)


def distances_along(slices: Sequence[Slice], normal: np.ndarray) -> np.ndarray:
    """Position of each slice along a normal, in mm."""
    return np.array([one.position for one in slices]) @ normal


def are_even(distances: np.ndarray) -> bool:
    """Whether sorted distances are evenly apart, and no two are one."""
    if len(distances) < 3:
        return len(distances) < 2 or bool(np.diff(distances).min() > SAME_POSITION)
    return float(np.diff(distances).min()) > SAME_POSITION and _first_uneven(distances) is None


def _uneven_mm(step: float) -> float:
    # Positions come rounded to a hundredth; above that a hundredth of the step, and never more than a tenth of a mm.
    return min(max(0.02, 0.01 * step), 0.1)


def _first_uneven(distances: np.ndarray) -> int | None:
    """Where the first gap begins that differs from the usual one, or where a slice drifted off its place."""
    gaps = np.diff(distances)
    usual = float(np.median(gaps))
    uneven = np.flatnonzero(np.abs(gaps - usual) > _uneven_mm(usual))
    if len(uneven):
        return int(uneven[0])
    lattice = np.linspace(distances[0], distances[-1], len(distances))
    drifted = np.flatnonzero(np.abs(distances - lattice) > max(0.05, 0.05 * usual))
    return int(drifted[0]) - 1 if len(drifted) else None


def _directions(slices: Sequence[Slice]) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of growing column and growing row index that all slices agree on."""
    lost = [one for one in slices if not one.is_placed]
    if lost:
        raise ReadError(
            "no_geometry",
            f"{len(lost)} of {len(slices)} slices lack {', '.join(lost[0].missing)} (first {lost[0].where}); "
            "export the series again",
        )
    found = np.array([one.orientation for one in slices])
    apart = np.abs(found - found[0]).max(axis=1)
    if apart.max() > SAME_DIRECTION:
        other = slices[int(np.argmax(apart > SAME_DIRECTION))]
        cosine = float(normal_of(found[0]) @ normal_of(found[slices.index(other)]))
        told = (
            f"{slices[0].where} and {other.where} are {np.degrees(np.arccos(np.clip(cosine, -1, 1))):.2f} degrees apart"
        )
        raise ReadError("mixed_orientation", f"{told} or mirrored; expected one orientation in a series")
    across, down = found[0, :3], found[0, 3:]
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    if min(lengths) < 0.99 or max(lengths) > 1.01 or abs(float(across @ down)) > 0.01:
        raise ReadError("no_geometry", f"{slices[0].where}: directions of rows and columns are no right angle")
    across = across / lengths[0]
    down = down / lengths[1]
    return across, down


def _spacing(slices: Sequence[Slice]) -> tuple[float, float]:
    """Distance of rows and of columns, in slices of one size."""
    first = slices[0]
    rows_mm, columns_mm = first.spacing or (0.0, 0.0)
    for one in slices:
        if (one.rows, one.columns) != (first.rows, first.columns):
            told = f"{first.where} has {first.rows} x {first.columns} voxels, {one.where} {one.rows} x {one.columns}"
            raise ReadError("mixed_size", f"{told}; expected one size in a series")
        if not np.allclose(one.spacing or 0.0, (rows_mm, columns_mm), rtol=SAME_SPACING, atol=0):
            told = f"{first.where} has a spacing of {_mm(first.spacing)}, {one.where} of {_mm(one.spacing)}"
            raise ReadError("mixed_size", f"{told}; expected one spacing in a series")
    return rows_mm, columns_mm


def _mm(spacing: tuple[float, ...] | None) -> str:
    return " x ".join(f"{one:g}" for one in spacing or ()) + " mm"


def _thickness(one: Slice) -> float:
    thickness = one.between or one.thickness
    if thickness is None:
        raise ReadError(
            "no_geometry", f"{one.where}: a single slice without SliceThickness or SpacingBetweenSlices; give it one"
        )
    return thickness


def _step(ordered: list[Slice], positions: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """From one slice to the next, where all are evenly apart on a line along the normal."""
    distances = positions @ normal
    _refuse_duplicates(ordered, distances)
    _refuse_gaps(ordered, distances)
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    aside = np.linalg.norm(positions - positions[0] - np.arange(len(positions))[:, None] * step, axis=1)
    if aside.max() > max(_ASIDE_MM, 0.05 * float(np.linalg.norm(step))):
        worst = ordered[int(aside.argmax())].where
        raise ReadError(
            "not_aligned",
            f"slices do not lie on one line: {worst} is {aside.max():.2f} mm beside it; two series may be mixed",
        )
    tilt = float(np.degrees(np.arccos(np.clip(step @ normal / np.linalg.norm(step), -1, 1))))
    if tilt > _TILT_DEGREES:
        raise ReadError(
            "gantry_tilt",
            f"slices are stacked {tilt:.1f} degrees off their normal ({ordered[0].where} to {ordered[-1].where}), at "
            f"most {_TILT_DEGREES} is read; resample the series onto a straight grid first",
        )
    return step


def _refuse_duplicates(ordered: list[Slice], distances: np.ndarray) -> None:
    again = np.flatnonzero(np.diff(distances) <= SAME_POSITION)
    if len(again):
        at = int(again[0])
        raise ReadError(
            "duplicate_position",
            f"{len(again)} of {len(ordered)} slices lie where another does, first {ordered[at].where} and "
            f"{ordered[at + 1].where} at {distances[at]:.2f} mm; a second acquisition is mixed in, or copies",
        )


def _refuse_gaps(ordered: list[Slice], distances: np.ndarray) -> None:
    if len(distances) < 3:
        return
    at = _first_uneven(distances)
    if at is not None:
        gaps = np.diff(distances)
        raise ReadError(
            "gaps",
            f"distances between slices differ, {gaps.min():.2f} to {gaps.max():.2f} mm, usually {np.median(gaps):.2f} "
            f"(first {gaps[at]:.2f} between {ordered[at].where} and {ordered[at + 1].where}); a slice is missing, or "
            "two series are mixed",
        )
