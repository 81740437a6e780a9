"""The brain in an image of a head: classical, deterministic, and with a probability that it went well."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform

from medcnn.errors import MedcnnError
from medcnn.transforms.brain_candidates import candidates, chosen, flattened, head_mask, search_box
from medcnn.transforms.brain_surface import largest_solid, refined
from medcnn.transforms.carrier import flagged, like, pixels_of
from medcnn.transforms.coarse import coarse_grid
from medcnn.transforms.scaling import all_finite
from medcnn.transforms.strip_quality import STRIPPED_SHARE, Found, dice, probability_good, strip_figures

THRESHOLD = 0.5
MARGIN_MM = 1.5  # from the edge of tissue to the border that people and networks draw, which takes in some fluid
FAILED = "skullstrip_failed"
STRIPPED = "already_stripped"


class StripError(MedcnnError):
    """An image in which no brain was found that can be trusted."""


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
    first, _ = refined(even[box], best.mask, step_mm)
    inner = largest_solid(first, 0.0)
    level[box], lost = refined(even[box], inner if inner.any() else best.mask, step_mm)
    agreement = dice(best.mask, ranked[1].mask) if len(ranked) > 1 else 0.0
    settings = {"level": best.level, "radius_mm": best.radius_mm, "merit": best.merit}
    return Found(even, head, level + MARGIN_MM, agreement, lost, settings)


class SkullStripped(MapTransform):
    """Adds the mask of the brain and, unless told otherwise, darkens everything else.

    The mask is found in the first of ``keys`` and holds for all, which must share its grid.

    Args:
        keys: Images ``(C, *spatial)`` with an affine; the first channel of the first is searched.
        mask_key: Where the mask goes, bool ``(1, *spatial)``.
        on_failure: ``flag`` adds ``skullstrip_failed`` to the case's flags, ``refuse`` raises.
        apply: Give voxels outside of the mask 0, or the image's least value where that is less.
        allow_missing_keys: Skip a key that a case does not have.

    Raises:
        StripError: If the mask cannot be trusted and ``on_failure`` is ``refuse``.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        mask_key: str = "brain",
        on_failure: Literal["flag", "refuse"] = "flag",
        apply: bool = True,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if on_failure not in ("flag", "refuse"):
            raise ValueError(f"on_failure must be flag or refuse, found {on_failure!r}")
        self.mask_key, self.on_failure, self.apply = mask_key, on_failure, apply

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new case with the mask, the flags, and the images stripped."""
        case = dict(data)
        keys = list(self.key_iterator(case))
        if not keys:
            return case
        strip = self._strip(case[keys[0]])
        case[self.mask_key] = like(case[keys[0]], strip.mask[None])
        for key in keys if self.apply else ():
            pixels = pixels_of(case[key])
            outside = min(0, pixels.min())
            case[key] = like(case[key], np.where(strip.mask, pixels, pixels.dtype.type(outside)))
        return case | {"flags": flagged(case, strip.flags)} if strip.flags else case

    def _strip(self, image: Any) -> Strip:
        if not isinstance(image, MetaTensor):
            raise ValueError(f"skull stripping needs a MetaTensor with an affine, found {type(image).__name__}")
        strip = strip_skull(pixels_of(image)[0], torch.as_tensor(image.affine).numpy())
        if not strip.ok and self.on_failure == "refuse":
            raise StripError(
                f"no brain that can be trusted: probability {strip.probability:.2f}, {THRESHOLD} or more needed; "
                "look at the mask with on_failure: flag"
            )
        return strip
