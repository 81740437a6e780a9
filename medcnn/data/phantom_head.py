"""Phantom heads: ellipsoids of scalp, skull, fluid, gray and white matter, with ventricles, eyes and a neck; of nobody.

They show that skull stripping and segmentation run, and where things lie; they say nothing about real heads.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from medcnn.io.nifti import write_nifti
from medcnn.io.series_write import write_series

#: Of the tissues, in shares of white matter, as in a T1 image.
AIR, SKULL, FLUID, MUSCLE, GRAY, WHITE, FAT = 0.02, 0.08, 0.25, 0.5, 0.7, 1.0, 1.2
CLASSES = ("background", "ventricle")
_SIZE_MM = np.array([180.0, 220.0, 220.0])  # along right, anterior, superior
Triple = tuple[float, float, float]


class Head(NamedTuple):
    """One drawing on a grid.

    Attributes:
        image: float32 ``(*spatial)``, white matter around 1000.
        brain: Where the brain is, ventricles included.
        ventricles: Where its two ventricles are.
        affine: ``(4, 4)`` from index to mm, RAS+.
    """

    image: np.ndarray
    brain: np.ndarray
    ventricles: np.ndarray
    affine: np.ndarray


def oblique_affine(
    spacing_mm: Triple, axes: tuple[int, int, int] = (0, 1, 2), signs: tuple[int, int, int] = (1, 1, 1)
) -> np.ndarray:
    """From index to mm, RAS+, slightly turned.

    Args:
        spacing_mm: Size of a voxel along each array axis.
        axes: Axis of the patient that each array axis runs along: 0 right, 1 anterior, 2 superior.
        signs: Whether it runs that way (1) or against it (-1).
    """
    turn = Rotation.from_euler("xyz", [4, -5, 6], degrees=True).as_matrix()
    affine = np.eye(4)
    for index, (world, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[:3, index] = turn[:, world] * sign * spacing_mm[index]
    return affine


def draw_head(affine: np.ndarray, seed: int = 0, brain: bool = True, ventricle: float = 1.0) -> Head:
    """A head in the middle of a grid that is large enough for it.

    Args:
        affine: Directions and steps of the grid; its origin is chosen so that the head fits.
        seed: Of the noise.
        brain: Whether there is one: without, the skull is full of fluid.
        ventricle: Size of the ventricles, as a factor.
    """
    x, y, z, placed = _grid(affine)

    def ellipsoid(center: Triple, radii: Triple) -> np.ndarray:
        parts = [((axis - c) / r) ** 2 for axis, c, r in zip((x, y, z), center, radii, strict=True)]
        return np.asarray(sum(parts) <= 1)

    neck = (np.hypot(x / 55, (y + 15) / 60) <= 1) & (z < -20)
    image = np.full(x.shape, AIR)
    image[ellipsoid((0, 0, 20), (80, 99, 85)) | neck] = FAT
    image[neck & (np.hypot(x / 50, (y + 15) / 55) <= 1)] = MUSCLE
    image[ellipsoid((0, 0, 20), (75, 94, 80))] = SKULL
    image[ellipsoid((0, 0, 20), (68, 87, 73))] = FLUID
    cord = (np.hypot(x, y + 25) <= 10) & (z < 0)
    mask = ellipsoid((0, 0, 22), (66, 85, 70)) & (z > -30 - 0.1 * y) | ellipsoid((0, -40, -25), (48, 35, 25))
    mask |= cord & (z > -55)
    wide: Triple = (6 * ventricle, 25 * ventricle, 8 * ventricle)
    ventricles = ellipsoid((12, 5, 28), wide) | ellipsoid((-12, 5, 28), wide)
    if brain:
        image[mask] = GRAY
        image[ellipsoid((0, 0, 24), (58, 76, 60)) & mask] = WHITE
        image[ellipsoid((0, -40, -25), (40, 28, 18))] = WHITE
        image[ventricles] = FLUID
        image[cord & (z > -90)] = WHITE
    for side in (-30, 30):
        image[ellipsoid((side, 82, -28), (13, 13, 13))] = FLUID
    noise = np.random.default_rng(seed).normal(0, 0.02, image.shape)
    return Head((1000 * np.abs(image + noise)).astype(np.float32), mask, ventricles & brain, placed)


def make_phantom_heads(folder: Path, heads: int = 12, spacing_mm: float = 4.0, seed: int = 0) -> None:
    """Write ``cohort/images`` and ``cohort/labels`` (NIfTI, the ventricles labeled), and one more head as ``incoming``.

    The incoming head is a DICOM series of sagittal slices, one file a slice.

    Args:
        folder: Where to; made if missing.
        heads: In the cohort; their ventricles differ in size.
        spacing_mm: Edge of a voxel.
        seed: The same seed draws the same heads.
    """
    sizes = np.random.default_rng(seed).uniform(0.8, 1.5, heads + 1)
    for name in ("images", "labels"):
        (folder / "cohort" / name).mkdir(parents=True, exist_ok=True)
    for number, size in enumerate(sizes[:-1]):
        head = draw_head(oblique_affine((spacing_mm,) * 3), seed + number, ventricle=float(size))
        write_nifti(folder / "cohort" / "images" / f"head_{number:02d}.nii.gz", head.image, head.affine)
        labels = head.ventricles.astype(np.uint8)
        write_nifti(folder / "cohort" / "labels" / f"head_{number:02d}.nii.gz", labels, head.affine)
    affine = oblique_affine((spacing_mm,) * 3, axes=(0, 2, 1), signs=(-1, -1, 1))
    last = draw_head(affine, seed + heads, ventricle=float(sizes[-1]))
    write_series(folder / "incoming", np.rint(last.image).astype(np.uint16), last.affine)


def _grid(affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Place in mm of every voxel along right, anterior and superior, and the affine that puts it there."""
    directions = affine[:3, :3]
    shape = np.ceil(np.abs(np.linalg.inv(directions)) @ _SIZE_MM).astype(int)
    placed = affine.copy()
    placed[:3, 3] = -directions @ ((shape - 1) / 2)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(index @ directions.T + placed[:3, 3], -1, 0)
    return x, y, z, placed
