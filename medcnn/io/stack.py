"""Slices to one grid: sorted along their normal, evenly apart, or refused with numbers and names."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from medcnn.errors import ReadError
from medcnn.io.alike import refuse_mixed
from medcnn.io.directions import common_directions
from medcnn.io.precision import rounding_along
from medcnn.io.slices import Slice

#: Positions along the normal that are closer, in mm, are one position.
SAME_POSITION = 0.01
#: Pixel spacings that differ by a larger share are two spacings.
SAME_SPACING = 1e-3

#: Spacings that differ by a larger share are two spacings, with however few digits they are written.
_ROUNDED_SPACING = 0.05
#: In steps: rounding explains no slice that is farther off the fitted line, and no gap that differs by more. One that
#: is missing from three (of four, five ...) puts one of the others 0.222 (0.225, 0.32 ...) steps off that line.
_ROUNDED_STEP, _ROUNDED_GAP = 0.22, 0.4
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
    _refuse_unplaced(slices)
    across, down, rounded = common_directions(slices)
    rows_mm, columns_mm = _spacing(slices)
    refuse_mixed(slices)
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    positions = np.array([one.position for one in slices])
    order = np.argsort(positions @ normal, kind="stable")
    ordered, positions = [slices[at] for at in order], positions[order]
    flags = {"rounded_geometry"} if rounded else set()
    if len(slices) == 1:
        step = normal * _thickness(slices[0])
        flags.add("one_slice")
    else:
        step, uneven = _step(ordered, positions, normal, rounded)
        between = ordered[0].between
        if between is not None and abs(between - float(step @ normal)) > _uneven_mm(between):
            flags.add("spacing_disagrees")
        if uneven:
            flags.add("rounded_geometry")
    affine = np.eye(4)
    affine[:3] = np.stack([step, down * rows_mm, across * columns_mm, positions[0]], axis=1)
    return Stack(ordered, _LPS_TO_RAS @ affine, tuple(sorted(flags)))


def normal_of(orientation: Sequence[float]) -> np.ndarray:
    """The direction in which slices of an orientation are stacked, LPS."""
    normal = np.cross(orientation[:3], orientation[3:])
    return normal / (np.linalg.norm(normal) or 1.0)


def distances_along(slices: Sequence[Slice], normal: np.ndarray) -> np.ndarray:
    """Position of each slice along a normal, in mm."""
    return np.array([one.position for one in slices]) @ normal


def are_even(distances: np.ndarray, rounding: np.ndarray | None = None) -> bool:
    """Whether sorted distances are evenly apart, and no two are one.

    Args:
        distances: Along the normal, in mm.
        rounding: How far rounding may have moved each, in mm; None where they are exact.
    """
    if len(distances) < 3:
        return len(distances) < 2 or bool(np.diff(distances).min() > SAME_POSITION)
    return float(np.diff(distances).min()) > SAME_POSITION and _first_uneven(distances, rounding) is None


def _uneven_mm(step: float) -> float:
    # Positions come rounded to a hundredth; above that a hundredth of the step, and never more than a tenth of a mm.
    return min(max(0.02, 0.01 * step), 0.1)


def _first_uneven(distances: np.ndarray, rounding: np.ndarray | None = None) -> int | None:
    """Where the first gap begins that differs from the usual one, or where a slice drifted off its place."""
    gaps = np.diff(distances)
    usual = float(np.median(gaps))
    moved = np.zeros(len(distances)) if rounding is None else rounding
    mean = float(distances[-1] - distances[0]) / len(gaps)  # rounding leaves it nearly as it was, and not the median
    open_mm = np.where(moved[1:] > 0, np.minimum(1.02 * (moved[1:] + moved[:-1]), _ROUNDED_GAP * mean), 0.0)
    uneven = np.flatnonzero((np.abs(gaps - usual) > _uneven_mm(usual)) & (np.abs(gaps - mean) > open_mm))
    if len(uneven):
        return int(uneven[0])
    lattice = np.linspace(distances[0], distances[-1], len(distances))
    off = np.abs(distances - lattice) > max(0.05, 0.05 * usual)
    if off.any():
        index = np.arange(len(distances))
        fitted = np.polyval(np.polyfit(index, distances, 1), index)
        off &= np.abs(distances - fitted) > np.minimum(1.1 * moved, _ROUNDED_STEP * mean)
    drifted = np.flatnonzero(off)
    return max(0, int(drifted[0]) - 1) if len(drifted) else None


def same_spacing(one: Slice, other: Slice) -> bool:
    """Whether two slices have one pixel spacing, as far as their digits show."""
    first, second = np.array(one.spacing or 0.0), np.array(other.spacing or 0.0)
    apart, least = np.abs(first - second), np.minimum(first, second)
    rounded = min(0.505 * (one.spacing_unit + other.spacing_unit), _ROUNDED_SPACING * float(least.min()))
    return bool((apart <= np.maximum(SAME_SPACING * np.maximum(first, second), rounded)).all())


def _refuse_unplaced(slices: Sequence[Slice]) -> None:
    lost = [one for one in slices if not one.is_placed]
    if lost:
        raise ReadError(
            "no_geometry",
            f"{len(lost)} of {len(slices)} slices lack {', '.join(lost[0].missing)} (first {lost[0].where}); "
            "export the series again",
        )


def _spacing(slices: Sequence[Slice]) -> tuple[float, float]:
    """Distance of rows and of columns, in slices of one size."""
    first = min(slices, key=lambda one: one.spacing_unit)  # the most precise
    rows_mm, columns_mm = first.spacing or (0.0, 0.0)
    for one in slices:
        if (one.rows, one.columns) != (first.rows, first.columns):
            told = f"{first.where} has {first.rows} x {first.columns} voxels, {one.where} {one.rows} x {one.columns}"
            raise ReadError("mixed_size", f"{told}; expected one size in a series")
        if not same_spacing(one, first):
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


def _step(ordered: list[Slice], positions: np.ndarray, normal: np.ndarray, rounded: bool) -> tuple[np.ndarray, bool]:
    """From one slice to the next, where all are evenly apart on a line along the normal, and whether by rounding."""
    distances = positions @ normal
    units = [one.position_units for one in ordered]
    rounding = rounding_along(normal, units)
    _refuse_duplicates(ordered, distances, rounding)
    _refuse_gaps(ordered, distances, rounding)
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    length = float(np.linalg.norm(step))
    aside = np.linalg.norm(positions - positions[0] - np.arange(len(positions))[:, None] * step, axis=1)
    # Half a unit on each axis, for the position itself and for the ends of the line.
    moved = np.array([0.5 * float(np.linalg.norm(one)) for one in units])
    ends = max(moved[0], moved[-1])
    straight = max(_ASIDE_MM, 0.05 * length)
    beyond = aside - np.maximum(straight, moved + ends)
    if beyond.max() > 0:
        worst = ordered[int(beyond.argmax())].where
        raise ReadError(
            "not_aligned",
            f"slices do not lie on one line: {worst} is {aside.max():.2f} mm beside it; two series may be mixed",
        )
    tilt = float(np.degrees(np.arccos(np.clip(step @ normal / length, -1, 1))))
    extent = float(np.linalg.norm(positions[-1] - positions[0]))
    most = _TILT_DEGREES + float(np.degrees(np.arctan2(min(2 * ends, 0.1 * extent), extent))) + _TILT_DEGREES * rounded
    if tilt > most:
        raise ReadError(
            "gantry_tilt",
            f"slices are stacked {tilt:.1f} degrees off their normal ({ordered[0].where} to {ordered[-1].where}), at "
            f"most {_TILT_DEGREES} is read; resample the series onto a straight grid first",
        )
    return step, tilt > _TILT_DEGREES or bool(aside.max() > straight) or not are_even(distances)


def _refuse_duplicates(ordered: list[Slice], distances: np.ndarray, rounding: np.ndarray) -> None:
    again = np.flatnonzero(np.diff(distances) <= SAME_POSITION)
    if len(again):
        at = int(again[0])
        mean = float(np.ptp(distances)) / (len(distances) - 1)
        coarse = float(np.median(rounding)) > _ROUNDED_STEP * mean and len(again) < len(ordered) // 2
        cause = "positions have too few decimals for such thin slices, or " if coarse else ""
        raise ReadError(
            "duplicate_position",
            f"{len(again)} of {len(ordered)} slices lie where another does, first {ordered[at].where} and "
            f"{ordered[at + 1].where} at {distances[at]:.2f} mm; {cause}a second acquisition is "
            "mixed in, or copies",
        )


def _refuse_gaps(ordered: list[Slice], distances: np.ndarray, rounding: np.ndarray) -> None:
    if len(distances) < 3:
        return
    at = _first_uneven(distances, rounding)
    if at is not None:
        gaps = np.diff(distances)
        coarse = float(np.median(rounding)) > 0.5 * _ROUNDED_STEP * float(np.median(gaps))
        cause = "or positions have too few decimals for such thin slices" if coarse else "or two series are mixed"
        raise ReadError(
            "gaps",
            f"distances between slices differ, {gaps.min():.2f} to {gaps.max():.2f} mm, usually {np.median(gaps):.2f} "
            f"(first {gaps[at]:.2f} between {ordered[at].where} and {ordered[at + 1].where}); a slice is missing, "
            f"{cause}",
        )
