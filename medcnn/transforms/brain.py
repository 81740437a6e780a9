"""The brain in an image of a head: classical, deterministic, and with a probability that it went well."""

from dataclasses import dataclass

import numpy as np

from medcnn.transforms.brain_candidates import candidates, chosen, flattened, head_mask, search_box
from medcnn.transforms.brain_surface import largest_solid, refined
from medcnn.transforms.coarse import coarse_grid
from medcnn.transforms.scaling import all_finite
from medcnn.transforms.strip_quality import STRIPPED_SHARE, Found, dice, probability_good, strip_figures

THRESHOLD = 0.5
PASSES, SETTLED = 5, 0.995  # the surface is moved so often, or until two masks agree so well
MARGIN_MM = 1.75  # from the edge of tissue to the border that people and networks draw, which takes in some fluid
FAILED = "skullstrip_failed"
STRIPPED = "already_stripped"


@dataclass(frozen=True, eq=False)
class Strip:
    """A mask of the brain and what is known about it.

    Attributes:
        mask: bool, the shape of the image.
        figures: What was measured on the mask; see ``strip_quality.strip_figures``.
        probability: That the mask is good.
        flags: What a reader should know: ``skullstrip_failed``, ``already_stripped``, ``non_finite``.
        settings: Threshold and radius that were chosen.
    """

    mask: np.ndarray
    figures: dict[str, float]
    probability: float
    flags: tuple[str, ...]
    settings: dict[str, float]

    @property
    def ok(self) -> bool:
        """Whether the mask can be used without a look at it."""
        return self.probability >= THRESHOLD


def strip_skull(voxels: np.ndarray, affine: np.ndarray) -> Strip:
    """Find the brain in a T1 (with luck T2 or FLAIR) image of a head.

    Args:
        voxels: ``(i, j, k)``, whole or floating numbers, any gain; not written to.
        affine: ``(4, 4)``, from indices to RAS millimeters: says orientation and spacing.

    Raises:
        ValueError: If the volume is not 3-D or the affine does not span space.
    """
    grid = coarse_grid(voxels.shape, affine)
    image = grid.averaged(voxels)
    flags = []
    if not all_finite(voxels):
        flags.append("non_finite")
    found = _search(image, grid.step_mm)
    figures = strip_figures(found, grid.step_mm)
    probability = probability_good(figures)
    if probability < THRESHOLD:
        flags.append(FAILED)
    elif figures["head_share"] >= STRIPPED_SHARE:
        flags.append(STRIPPED)
    mask = grid.above(found.level, 0.0)
    return Strip(mask, figures, probability, tuple(flags), found.settings)


def _search(image: np.ndarray, step_mm: float) -> Found:
    head, air = head_mask(image, step_mm)
    even = flattened(image, head, air, step_mm)
    level = np.full(image.shape, np.float32(-50))
    box = search_box(head, step_mm)
    ranked = sorted(candidates(even[box], head[box], step_mm), key=lambda c: -c.merit) if head.any() else []
    best = chosen(ranked)
    if best is None:
        return Found(even, head, level, 0.0, 1.0, {})
    level[box], lost = _settled(even[box], best.mask, step_mm)
    agreement = dice(best.mask, ranked[1].mask) if len(ranked) > 1 else 0.0
    settings = {"level": best.level, "radius_mm": best.radius_mm, "merit": best.merit}
    return Found(even, head, level + MARGIN_MM, agreement, lost, settings)


def _settled(image: np.ndarray, mask: np.ndarray, step_mm: float) -> tuple[np.ndarray, float]:
    """The surface of ``mask`` after it has come to rest at the edge of the tissue."""
    for _ in range(PASSES):
        level, lost = refined(image, mask, step_mm)
        inner = largest_solid(level, 0.0)
        if not inner.any() or dice(inner, mask) > SETTLED:
            break
        mask = inner
    return level, lost
