"""Directions of rows and columns that scanners write with few digits: which are one, and how well they are known."""

from collections.abc import Sequence

import numpy as np

from medcnn.errors import ReadError
from medcnn.io.slices import Slice

#: Direction cosines that differ by more belong to another orientation: 0.06 degrees.
SAME_DIRECTION = 1e-3
#: Directions that are known less precisely, in degrees, place no voxel.
_COARSE_DEGREES = 0.5


def orientation_units(slices: Sequence[Slice]) -> np.ndarray:
    """One unit in the last digit of each slice's cosines; 0 where they are exact.

    Cosines of 0 and 1 are exact, however few digits they have, unless other slices show that their writer rounds.
    """
    units = np.array([one.orientation_unit for one in slices])
    aligned = np.array([all(abs(value) in (0.0, 1.0) for value in one.orientation or ()) for one in slices])
    oblique = units[~aligned]
    exact = float(oblique.min()) if len(oblique) else 0.0
    return np.where(aligned, np.minimum(units, exact), units)


def are_parallel(one: Sequence[float], other: Sequence[float], unit: float, other_unit: float) -> bool:
    """Whether two orientations are one, as far as their digits show."""
    apart = float(np.abs(np.subtract(one, other)).max())
    return apart <= max(SAME_DIRECTION, 0.505 * (unit + other_unit))


def degrees_between(one: Sequence[float], other: Sequence[float]) -> float:
    """The larger angle between two directions of rows or of slices; 180 where they are mirrored."""
    first, second = np.reshape(one, (2, 3)), np.reshape(other, (2, 3))
    normals = np.cross(*first) @ np.cross(*second)
    cosines = np.clip([first[0] @ second[0], first[1] @ second[1], normals], -1.0, 1.0)
    return float(np.degrees(np.arccos(cosines[2] if abs(cosines[2]) < 0.98 else cosines.min())))


def common_directions(slices: Sequence[Slice]) -> tuple[np.ndarray, np.ndarray, bool]:
    """Unit vectors of growing column and growing row index that all slices agree on, and whether they are rounded.

    Raises:
        ReadError: ``mixed_orientation``; ``no_geometry`` where they are no right angle, or have too few digits.
    """
    units = orientation_units(slices)
    best = int(units.argmin())
    given = np.array([one.orientation for one in slices])
    apart = np.abs(given - given[best]).max(axis=1)
    allowed = np.maximum(SAME_DIRECTION, 0.505 * (units + units[best]))
    if (apart > allowed).any():
        other = int(np.argmax(apart - allowed))
        degrees = degrees_between(given[best], given[other])
        raise ReadError(
            "mixed_orientation",
            f"{slices[best].where} and {slices[other].where} are {degrees:.2f} degrees apart or mirrored; expected one "
            "orientation in a series",
        )
    if units[best]:
        _refuse_coarse(slices[best], float(units[best]))
    across, down = given[best, :3], given[best, 3:]
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    loose = max(0.01, 1.5 * float(units[best]))
    if min(lengths) < 1 - loose or max(lengths) > 1 + loose or abs(float(across @ down)) > loose:
        raise ReadError("no_geometry", f"{slices[best].where}: directions of rows and columns are no right angle")
    rounded = bool((apart > SAME_DIRECTION).any() or units[best] > 2 * SAME_DIRECTION)
    across = across / lengths[0]
    down = down / lengths[1]
    return across, down, rounded


def _refuse_coarse(one: Slice, unit: float) -> None:
    degrees = float(np.degrees(np.sqrt(3) * unit / 2))
    if degrees > _COARSE_DEGREES:
        decimals = max(0, round(-np.log10(unit)))
        raise ReadError(
            "no_geometry",
            f"{one.where}: ImageOrientationPatient is written with {decimals} decimals, which leaves {degrees:.1f} "
            f"degrees open; at most {_COARSE_DEGREES} are read; export the series with more decimals",
        )
