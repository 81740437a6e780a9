"""The skull taken off the images of a case, by the mask of the brain that is found in the first of them."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform

from medcnn.errors import MedcnnError
from medcnn.transforms.brain import THRESHOLD, Strip, strip_skull
from medcnn.transforms.carrier import flagged, like, pixels_of


class StripError(MedcnnError):
    """An image in which no brain was found that can be trusted."""


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
