"""What a cohort of labeled volumes is like, as far as the shape of a net depends on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medcnn.data.ripe import Ripe
from medcnn.io.volume import spacing_of

#: Spacings that differ by less than this share are one spacing: nothing is resampled for it.
SAME = 0.01
#: From here on slices are thick, and the target follows the finer cases along that axis.
THICK = 3.0


@dataclass(frozen=True)
class Fingerprint:
    """Sizes and spacings of a cohort, axes to the right, to the front and to the head.

    Attributes:
        cases: Number of cases.
        channels: Sequences of a case.
        spacing_mm: What to resample to: the median along each axis; along thick slices the tenth percentile.
        size: Median number of voxels along each axis at that spacing.
        resampled: Whether some case has another spacing.
        least: Smallest size along each axis.
        largest: Largest size along each axis.
    """

    cases: int
    channels: int
    spacing_mm: tuple[float, ...]
    size: tuple[int, ...]
    resampled: bool
    least: tuple[int, ...]
    largest: tuple[int, ...]


def fingerprint(cases: Sequence[Ripe]) -> Fingerprint:
    """The fingerprint of cases as they were read.

    References:
        The target spacing is nnU-Net's: Isensee et al., 2021, doi:10.1038/s41592-020-01008-z
    """
    grids = [_to_the_head(case.affine, case.mask.shape) for case in cases]
    spacings, shapes = (np.array(part, dtype=np.float64) for part in zip(*grids, strict=True))
    target = np.median(spacings, axis=0)
    thick = int(target.argmax())
    if target[thick] >= THICK * np.delete(target, thick).max():
        target[thick] = max(np.percentile(spacings[:, thick], 10), np.delete(target, thick).max())
    sizes = np.maximum(1, np.rint(shapes * spacings / target)).astype(int)
    return Fingerprint(
        cases=len(cases),
        channels=len(cases[0].image),
        spacing_mm=tuple(round(float(mm), 4) for mm in target),
        size=tuple(int(n) for n in np.median(sizes, axis=0)),
        resampled=bool((np.abs(spacings / target - 1) > SAME).any()),
        least=tuple(int(n) for n in sizes.min(axis=0)),
        largest=tuple(int(n) for n in sizes.max(axis=0)),
    )


def _to_the_head(affine: np.ndarray, shape: Sequence[int]) -> tuple[list[float], list[int]]:
    """Spacing and size with the axes in the order that MONAI's ``Orientationd`` to RAS gives them."""
    cosines = np.abs(affine[:3, :3]) / np.linalg.norm(affine[:3, :3], axis=0)
    order, free = [0, 0, 0], {0, 1, 2}
    # The axes closest to a direction choose it first: two oblique ones never claim the same.
    for axis in np.argsort(-cosines.max(axis=0)):
        world = max(free, key=lambda w: cosines[w, axis])
        order[world] = int(axis)
        free.remove(world)
    spacing = spacing_of(affine)
    return [spacing[axis] for axis in order], [shape[axis] for axis in order]
