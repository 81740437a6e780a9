"""A segmentation's evaluation as a table of cases, and the planes by which a case is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CaseScores:
    """How well each case of a split was segmented.

    Attributes:
        cases: Pseudonyms, n of them.
        classes: Names of the classes but the background.
        figures: Name to ``(n, classes)``, NaN where it cannot be told; ``dice`` and ``truth_mm3`` are among them.
    """

    cases: Sequence[str]
    classes: Sequence[str]
    figures: Mapping[str, Array]

    def table(self) -> pd.DataFrame:
        """One row a case and class: pseudonym, class, every figure."""
        columns: dict[str, object] = {
            "case": np.repeat(np.asarray(self.cases, dtype=object), len(self.classes)),
            "class": np.tile(np.asarray(self.classes, dtype=object), len(self.cases)),
        }
        columns |= {name: np.asarray(values).reshape(-1).round(6) for name, values in self.figures.items()}
        return pd.DataFrame(columns)

    def of_case(self) -> Array:
        """Mean Dice of each case over the classes that have one ``(n,)``; NaN where none has."""
        dice = np.asarray(self.figures["dice"], dtype=np.float64)
        counts = (~np.isnan(dice)).sum(axis=1)
        return np.where(counts > 0, np.nansum(dice, axis=1) / np.maximum(counts, 1), np.nan)

    def ranked(self, n: int, best: bool) -> list[int]:
        """Rows of the n cases of highest (or lowest) mean Dice, the most telling first."""
        mean = self.of_case()
        rows = np.flatnonzero(~np.isnan(mean))
        order = np.argsort(-mean[rows] if best else mean[rows], kind="stable")
        return [int(row) for row in rows[order][:n]]


class Shown(NamedTuple):
    """A case to be drawn.

    ``image`` is one channel ``(*spatial)``; ``truth`` and ``prediction`` are class indices of the same shape;
    ``affine`` ``(4, 4)`` leads from index to millimeters in RAS+; ``caption`` is written above.
    """

    image: NDArray[np.number]
    truth: NDArray[np.integer]
    prediction: NDArray[np.integer]
    affine: Array
    caption: str


class Plane(NamedTuple):
    """One plane of a case as it is drawn: rows from top to bottom, and the size of a pixel in mm."""

    name: str
    image: NDArray[np.number]
    truth: NDArray[np.integer]
    prediction: NDArray[np.integer]
    pixel_mm: tuple[float, float]


#: Axis of RAS+ that a plane cuts, its name, and the axes that lie across and up in it.
PLANES = ((2, "axial", 0, 1), (1, "coronal", 0, 2), (0, "sagittal", 1, 2))


def planes_of(case: Shown) -> list[Plane]:
    """The three planes through the largest section of what is true, or else of what was found; the image if it is flat.

    They stand as radiologists look at them: the patient's right on the left, front and top upward.
    """
    if case.image.ndim == 2:
        size = np.linalg.norm(case.affine[:3, :2], axis=0)
        return [Plane("", case.image, case.truth, case.prediction, (float(size[0]), float(size[1])))]
    place = _axes_of(case.affine)
    spacing = np.linalg.norm(case.affine[:3, :3], axis=0)
    labels = case.truth if (case.truth > 0).any() else case.prediction
    found = []
    for cut, name, across, up in PLANES:
        at = largest_section(labels, place[cut][0])
        image, truth, prediction = (
            _upright(values, place, (cut, across, up), at) for values in (case.image, case.truth, case.prediction)
        )
        pixel = (float(spacing[place[up][0]]), float(spacing[place[across][0]]))
        found.append(Plane(name, image, truth, prediction, pixel))
    return found


def largest_section(labels: NDArray[np.integer], axis: int) -> int:
    """Index along ``axis`` where most voxels are of a class, of several the middle one; the middle where none is."""
    others = tuple(a for a in range(labels.ndim) if a != axis)
    counts = (labels > 0).sum(axis=others)
    most = np.flatnonzero(counts == counts.max())
    return int(most[len(most) // 2])


def _axes_of(affine: Array) -> dict[int, tuple[int, bool]]:
    """For each axis of RAS+ the array axis that runs along it most, and whether it runs against it."""
    slopes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    free, found = set(range(3)), {}
    for world, axis in _by_strength(slopes):
        if world not in found and axis in free:
            found[world] = (axis, bool(slopes[world, axis] < 0))
            free.discard(axis)
    return found


def _by_strength(slopes: Array) -> list[tuple[int, int]]:
    order = np.argsort(-np.abs(slopes), axis=None, kind="stable")
    return [(int(flat // 3), int(flat % 3)) for flat in order]


def _upright(values: NDArray, place: dict[int, tuple[int, bool]], axes: tuple[int, int, int], at: int) -> NDArray:
    """A plane with ``up`` as its rows from the top down and ``across`` as its columns."""
    cut, across, up = axes
    plane = values.transpose([place[axis][0] for axis in (cut, up, across)])[at]
    if not place[up][1]:  # rows run down, the patient's axes up
        plane = plane[::-1]
    # Of the axis from left to right the right is drawn on the left; of the axis from back to front the front is.
    if not place[across][1]:
        plane = plane[:, ::-1]
    return plane
