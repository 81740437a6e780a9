"""How likely a mask of the brain is good, told from the mask and the image alone."""

from collections.abc import Mapping

import numpy as np

from medcnn.transforms.brain_candidates import compactness


def strip_figures(image: np.ndarray, mask: np.ndarray, head: np.ndarray, step_mm: float) -> dict[str, float]:
    """Figures of a mask on a coarse grid in RAS order.

    Args:
        image: float32.
        mask: bool; may be empty.
        head: bool, the whole head.
        step_mm: Spacing of the grid.
    """
    if not mask.any():
        return {"volume_ml": 0.0}
    return {
        "volume_ml": float(mask.sum()) * step_mm**3 / 1000,
        "compactness": compactness(mask),
        "symmetry": _symmetry(mask),
        "border_contact": _border_contact(mask),
        "head_share": float(mask.sum() / max(int(head.sum()), 1)),
    }


def probability_good(figures: Mapping[str, float]) -> float:
    """Probability that the mask's Dice against a careful one is at least 0.90."""
    return 1.0 if figures["volume_ml"] > 700 else 0.0


def _symmetry(mask: np.ndarray) -> float:
    """Dice of the mask and its mirror image about its own middle plane across."""
    twice = round(2 * float(np.flatnonzero(mask.any(axis=(1, 2))).mean()))
    low, high = max(0, twice - len(mask) + 1), min(len(mask) - 1, twice)
    part = mask[low : high + 1]
    return float(2 * (part & part[::-1]).sum() / max(2 * int(mask.sum()), 1))


def _border_contact(mask: np.ndarray) -> float:
    """Part of the mask's voxels' count to the 2/3 that touches the border of the field of view, its lower end aside."""
    faces = [mask[0], mask[-1], mask[:, 0], mask[:, -1], mask[:, :, -1]]
    return float(sum(int(face.sum()) for face in faces) / float(mask.sum()) ** (2 / 3))
