"""How likely a mask of the brain is good, told from the mask and the image alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medcnn.transforms.ball import dilated, eroded
from medcnn.transforms.brain_candidates import compactness

FIGURES = (
    "volume_ml",
    "compactness",
    "symmetry",
    "border_contact",
    "head_share",
    "agreement",
    "edge",
    "contrast",
    "length_to_width",
    "height_to_length",
    "lost",
    "merit",
)


@dataclass(frozen=True, eq=False)
class Found:
    """What a search on a coarse grid in RAS order ended with.

    Attributes:
        image: float32, evened.
        head: bool, the whole head.
        level: float32, mm inside of the brain's border: the mask is where it is above 0.
        agreement: Dice of the two best candidates that it could start from.
        lost: Part of the surface's points that saw no edge.
        settings: Threshold and radius that were chosen; empty where nothing was found.
    """

    image: np.ndarray
    head: np.ndarray
    level: np.ndarray
    agreement: float
    lost: float
    settings: dict[str, float]


def strip_figures(found: Found, step_mm: float) -> dict[str, float]:
    """Figures of a mask; those of an empty one are all 0.

    Returns:
        ``volume_ml``; ``compactness``, 1 for a ball; ``symmetry``, Dice with its mirror image; ``border_contact``,
        surface on the border of the field of view (below excepted) for each mask's volume to the 2/3;
        ``head_share``, its part of the head; ``agreement``, Dice of the masks by the two best settings; ``edge``,
        how much darker it is just outside than just inside; ``contrast``, spread of the tissue inside, less where an
        even gel fills the head; ``length_to_width`` and ``height_to_length``; ``lost``, part of the surface that saw
        no edge; ``merit`` of the first candidate.
    """
    mask = found.level > 0
    if not mask.any():
        return dict.fromkeys(FIGURES, 0.0) | {"lost": 1.0}
    inside, outside = _rims(found.image, mask, step_mm)
    length_to_width, height_to_length = _proportions(mask)
    low, middle, high = np.percentile(found.image[mask], (10, 50, 90))
    return {
        "volume_ml": float(mask.sum()) * step_mm**3 / 1000,
        "compactness": compactness(mask),
        "symmetry": _symmetry(mask),
        "border_contact": _border_contact(mask),
        "head_share": float(mask.sum() / max(int((found.head | mask).sum()), 1)),
        "agreement": found.agreement,
        "edge": float(1 - outside / max(inside, 1e-6)),
        "contrast": float((high - low) / max(middle, 1e-6)),
        "length_to_width": length_to_width,
        "height_to_length": height_to_length,
        "lost": found.lost,
        "merit": found.settings.get("merit", 0.0),
    }


def _rims(image: np.ndarray, mask: np.ndarray, step_mm: float) -> tuple[float, float]:
    """Mean brightness of the 4 mm inside of the border but 2, and of the 4 mm outside of it."""
    spacing = (step_mm,) * 3
    core = eroded(mask, 2.0, spacing)
    inner, outer = core & ~eroded(core, 4.0, spacing), dilated(mask, 4.0, spacing) & ~mask
    means = [float(image[rim].mean()) if rim.any() else 0.0 for rim in (inner, outer)]
    return means[0], means[1]


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Overlap of two masks, 0 to 1; 0 where both are empty."""
    return float(2 * (one & other).sum() / max(int(one.sum()) + int(other.sum()), 1))


def _symmetry(mask: np.ndarray) -> float:
    """Dice of the mask and its mirror image about its own middle plane across; what falls outside is no match."""
    twice = round(2 * float(np.argwhere(mask)[:, 0].mean()))
    low, high = max(0, twice - len(mask) + 1), min(len(mask) - 1, twice)
    part = mask[low : high + 1]
    return float((part & part[::-1]).sum() / max(int(mask.sum()), 1))


def _border_contact(mask: np.ndarray) -> float:
    faces = [mask[0], mask[-1], mask[:, 0], mask[:, -1], mask[:, :, -1]]
    return float(sum(int(face.sum()) for face in faces) / float(mask.sum()) ** (2 / 3))


def _proportions(mask: np.ndarray) -> tuple[float, float]:
    """Length by width and height by length, each as the standard deviation of places along an axis."""
    counts = [mask.sum(axis=others, dtype=np.float64) for others in ((1, 2), (0, 2), (0, 1))]
    width, length, height = (_deviation(part) for part in counts)
    return length / max(width, 1e-6), height / max(length, 1e-6)


def _deviation(counts: np.ndarray) -> float:
    places = np.arange(len(counts))
    mean = np.average(places, weights=counts)
    return float(np.sqrt(np.average((places - mean) ** 2, weights=counts)))


# What brains of adults and of children of school age leave no doubt about, and the excess that costs one unit.
# Chosen on six heads, their variants and planted failures; benchmarks/skullstrip.py confirms them with other seeds.
PLAUSIBLE: dict[str, tuple[float, float, float]] = {
    "volume_ml": (950.0, 2150.0, 40.0),
    "compactness": (0.64, 0.88, 0.03),
    "symmetry": (0.86, 1.0, 0.02),
    "border_contact": (0.0, 0.15, 0.1),
    "head_share": (0.25, 0.68, 0.04),
    "edge": (0.42, 1.0, 0.05),
    "contrast": (0.3, 2.0, 0.02),  # an even gel or fluid has none
    "length_to_width": (0.98, 1.5, 0.05),
    "height_to_length": (0.58, 0.95, 0.04),
}
DOUBT = 3.0  # the sum of excesses at which a mask is as likely bad as good
STRIPPED_SHARE = 0.9  # a brain is half of its head: what fills more of it has no head around it


def probability_good(figures: Mapping[str, float]) -> float:
    """Probability that the mask's Dice with a careful one is at least 0.90: logistic in the sum of excesses."""
    excess = 0.0
    for name, (low, high, unit) in PLAUSIBLE.items():
        # A brain that came without its head fills all there is, and that is no fault.
        if name != "head_share" or figures[name] < STRIPPED_SHARE:
            excess += max(low - figures[name], figures[name] - high, 0.0) / unit
    return float(1 / (1 + np.exp(min(excess - DOUBT, 50.0))))
