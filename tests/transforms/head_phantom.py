"""A head by code: ellipsoids of scalp, skull, fluid, gray and white matter, with eyes and a neck."""

import numpy as np
from scipy.spatial.transform import Rotation

AIR, SKULL, FLUID, MUSCLE, GRAY, WHITE, FAT = 0.02, 0.08, 0.25, 0.5, 0.7, 1.0, 1.2


def affine_of(
    spacing: tuple[float, float, float], axes: tuple[int, int, int] = (0, 1, 2), signs: tuple[int, int, int] = (1, 1, 1)
) -> np.ndarray:
    """Index to RAS mm with the middle of the volume at the origin once ``head`` has placed it; slightly oblique."""
    turn = Rotation.from_euler("xyz", [4, -5, 6], degrees=True).as_matrix()
    affine = np.eye(4)
    for index, (world, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[:3, index] = turn[:, world] * sign * spacing[index]
    return affine


def head(affine: np.ndarray, seed: int = 0, brain: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The image (float32, white matter 1000), the mask of its brain, and the affine moved so that the head fits."""
    directions = affine[:3, :3]
    size = np.array([180.0, 220.0, 220.0])  # mm along right, anterior, superior
    extent = np.abs(np.linalg.inv(directions)) @ size
    shape = np.ceil(extent).astype(int)
    placed = affine.copy()
    placed[:3, 3] = -directions @ ((shape - 1) / 2)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(grid @ directions.T + placed[:3, 3], -1, 0)

    def ellipsoid(center: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        parts = [((axis - c) / r) ** 2 for axis, c, r in zip((x, y, z), center, radii, strict=True)]
        return sum(parts) <= 1

    neck = (np.hypot(x / 55, (y + 15) / 60) <= 1) & (z < -20)
    image = np.full(shape, AIR)
    image[ellipsoid((0, 0, 20), (80, 99, 85)) | neck] = FAT
    image[neck & (np.hypot(x / 50, (y + 15) / 55) <= 1)] = MUSCLE
    image[ellipsoid((0, 0, 20), (75, 94, 80))] = SKULL
    image[ellipsoid((0, 0, 20), (68, 87, 73))] = FLUID
    mask = ellipsoid((0, 0, 22), (66, 85, 70)) & (z > -30 - 0.1 * y) | ellipsoid((0, -40, -25), (48, 35, 25))
    cord = (np.hypot(x, y + 25) <= 10) & (z < 0)
    mask |= cord & (z > -55)
    if brain:
        image[mask] = GRAY
        image[ellipsoid((0, 0, 24), (58, 76, 60)) & mask] = WHITE
        image[ellipsoid((0, -40, -25), (40, 28, 18))] = WHITE
        image[ellipsoid((12, 5, 28), (6, 25, 8)) | ellipsoid((-12, 5, 28), (6, 25, 8))] = FLUID
        image[cord & (z > -90)] = WHITE
    for side in (-30, 30):
        image[ellipsoid((side, 82, -28), (13, 13, 13))] = FLUID
    noise = np.random.default_rng(seed).normal(0, 0.02, tuple(shape))
    return (1000 * np.abs(image + noise)).astype(np.float32), mask, placed
