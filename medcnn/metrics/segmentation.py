"""How well label maps agree: overlap, surfaces in millimeters, volumes; a case and a class, and over cases.

What an empty truth counts for, by class:

============================  ====  ===  =======  ============  =======================
truth, prediction             dice  nsd  hd95_mm  volume_error  counted as
============================  ====  ===  =======  ============  =======================
both empty                    NaN   NaN  NaN      NaN           empty_truths
empty, not empty              0     0    NaN      NaN           empty_truths, false_alarms
not empty, empty              0     0    NaN      -1            missed
============================  ====  ===  =======  ============  =======================

NaN is left out of every mean, so ``hd95_mm`` speaks only of what was there and was found: read it beside the counts.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcnn.metrics.bootstrap import bootstrap_mean
from medcnn.metrics.classification import Summary
from medcnn.metrics.counts import NAN, ratio
from medcnn.metrics.surface import SurfaceDistances, box_around

Labels = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]
MEASURED = ("dice", "nsd", "hd95_mm")


def dice(prediction: Mask, truth: Mask) -> float:
    """``2 |both| / (|prediction| + |truth|)`` in [0, 1]; NaN where both are empty."""
    return ratio(2 * _size(prediction & truth), _size(prediction) + _size(truth))


def surface_figures(
    prediction: Mask, truth: Mask, spacing_mm: Sequence[float], tolerance_mm: float
) -> dict[str, float]:
    """``nsd`` at a tolerance and ``hd95_mm``, by ``medcnn.metrics.surface``; see the module for empty regions."""
    found, true = bool(prediction.any()), bool(truth.any())
    if not (found and true):
        return {"nsd": 0.0 if found or true else NAN, "hd95_mm": NAN}
    distances = SurfaceDistances.between(prediction, truth, tuple(spacing_mm))
    return {"nsd": distances.within(tolerance_mm), "hd95_mm": distances.hausdorff(95.0)}


def volume_figures(prediction: Mask, truth: Mask, spacing_mm: Sequence[float]) -> dict[str, float]:
    """``volume_mm3``, ``truth_mm3``, their difference ``volume_error_mm3``, and ``volume_error``, it over the truth.

    In two dimensions these are areas in mm2. Errors are signed: above zero too much was found.
    """
    voxel = math.prod(spacing_mm)
    found, true = voxel * _size(prediction), voxel * _size(truth)
    return {
        "volume_mm3": found,
        "truth_mm3": true,
        "volume_error_mm3": found - true,
        "volume_error": ratio(found - true, true),
    }


def case_figures(
    prediction: Any, truth: Any, classes: Sequence[str], spacing_mm: Any, tolerance_mm: float
) -> dict[str, dict[str, float]]:
    """Every figure of one case, for each class but the background.

    Args:
        prediction: Labels ``(*spatial)``, an array or a tensor: 0 background, up to K - 1.
        truth: Labels of the same shape; what is -1 is unknown and takes no part, whatever was predicted there.
        classes: Names, K of them; the first is the background.
        spacing_mm: Size of a voxel along each axis.
        tolerance_mm: Within what distance surfaces count as equal.

    Returns:
        Name of a class to ``dice``, ``nsd``, ``hd95_mm``, ``volume_mm3``, ``truth_mm3``, ``volume_error_mm3`` and
        ``volume_error``.

    Raises:
        ValueError: Shapes or spacing do not fit, or a label is outside the classes.
    """
    found, true, spacing = _array(prediction), _array(truth), tuple(float(s) for s in spacing_mm)
    if found.shape != true.shape or len(spacing) != true.ndim or not all(s > 0 for s in spacing):
        raise ValueError(f"prediction {found.shape}, truth {true.shape} and spacing {spacing} mm do not fit")
    for name, labels, least in (("prediction", found, 0), ("truth", true, -1)):
        if labels.size and not (least <= labels.min() and labels.max() < len(classes)):
            raise ValueError(
                f"{name} has labels {labels.min()} to {labels.max()}; expected {least} to {len(classes) - 1}"
            )
    found = np.where(true >= 0, found, 0)
    true = np.maximum(true, 0)
    either = (found > 0) | (true > 0)
    if either.any():
        box = box_around(either)
        found, true = found[box], true[box]
    return {name: _figures(found == k, true == k, spacing, tolerance_mm) for k, name in enumerate(classes) if k}


def summarize_cases(
    table: Mapping[str, Any], classes: Sequence[str], patients: Sequence[object] | None = None
) -> Summary:
    """Means over cases, NaN left out, of each class and over the classes; with counts, and an interval of Dice.

    Args:
        table: Name of a figure of ``case_figures`` to its values ``(n, K - 1)``, by case and class; more is ignored. A
            distance that was measured nowhere has no place in the summary.
        classes: Names, K of them; the first is the background.
        patients: Whose each case is ``(n,)``, for the interval; every case its own where it is not told.

    Returns:
        ``dice``, ``nsd``, ``hd95_mm``, ``volume_error`` (the mean of its size) and ``volume_bias`` (with its sign),
        each also as ``name/<class>``; of every Dice ``_low`` and ``_high``, 95 % by bootstrap over patients; and over
        all classes ``empty_truths``, ``false_alarms`` and ``missed``, each a number of regions, not of voxels.
    """
    columns = {name: _array(table[name]).astype(np.float64) for name in (*MEASURED, "volume_error") if name in table}
    if "nsd" in columns and np.isnan(columns["nsd"]).all() and not np.isnan(columns["dice"]).all():
        columns = {name: figures for name, figures in columns.items() if name not in ("nsd", "hd95_mm")}
    relative = columns.pop("volume_error")
    relative[~np.isfinite(relative)] = NAN
    columns |= {"volume_error": np.abs(relative), "volume_bias": relative}
    summary = Summary()
    for name, figures in columns.items():
        _add_means(summary, name, figures, classes[1:])
    each = zip(classes[1:], columns["dice"].T, strict=True)
    for name, figures in [("dice", columns["dice"]), *((f"dice/{cls}", column[:, None]) for cls, column in each)]:
        low, high = bootstrap_mean(figures, patients)
        summary.values |= {f"{name}_low": low, f"{name}_high": high}
    summary.values |= _counts(table)
    return summary


def _figures(prediction: Mask, truth: Mask, spacing: tuple[float, ...], tolerance_mm: float) -> dict[str, float]:
    return {
        "dice": dice(prediction, truth),
        **surface_figures(prediction, truth, spacing, tolerance_mm),
        **volume_figures(prediction, truth, spacing),
    }


def _size(region: Mask) -> int:
    return int(np.count_nonzero(region))


def _add_means(summary: Summary, name: str, figures: NDArray[np.float64], classes: Sequence[str]) -> None:
    means = []
    for column, cls in zip(figures.T, classes, strict=True):
        known = column[~np.isnan(column)]
        means.append(float(known.mean()) if len(known) else NAN)
        summary.values[f"{name}/{cls}"] = means[-1]
        if not len(known):
            summary.reasons[f"{name}/{cls}"] = "no case in which it is defined"
    defined = [mean for mean in means if not math.isnan(mean)]
    summary.values[name] = sum(defined) / len(defined) if defined else NAN
    if len(defined) < len(means):
        summary.reasons[name] = f"the mean of {len(defined)} of {len(means)} classes: the others are nowhere defined"


def _counts(table: Mapping[str, Any]) -> dict[str, float]:
    found, true = _array(table["volume_mm3"]) > 0, _array(table["truth_mm3"]) > 0
    return {
        "empty_truths": float((~true).sum()),
        "false_alarms": float((found & ~true).sum()),
        "missed": float((~found & true).sum()),
    }


def _array(values: Any) -> NDArray[Any]:
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)
