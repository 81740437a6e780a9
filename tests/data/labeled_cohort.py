"""A toy cohort of labeled volumes as files: two balls in noise, on an oblique, unequal grid."""

from pathlib import Path

import numpy as np

from medcnn.io.nifti import write_nifti

CLASSES = ("background", "front", "back")
# Turned about two axes, with steps of 1, 1.5 and 2 mm, far from the origin.
TURN = np.array([[0.8, -0.6, 0.0], [0.48, 0.64, -0.6], [0.36, 0.48, 0.8]])
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = TURN * [1.0, 1.5, 2.0]
OBLIQUE[:3, 3] = [-31.5, 12.25, 7.0]
EACH_MM3 = 3.0


def shape_of(number: int) -> tuple[int, int, int]:
    """Another shape for every case."""
    return (12 + number % 3, 14 + number % 2, 10 + number % 4)


def drawn(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Image int16 and label uint8 of a case: a ball of each structure, the second of eight voxels alone."""
    shape, chance = shape_of(number), np.random.default_rng(number)
    label = np.zeros(shape, np.uint8)
    label[2:6, 3:8, 2:6] = 1
    label[8:10, 9:11, 4:6] = 2
    image = (100 * label + chance.integers(0, 50, shape)).astype(np.int16)
    return image, label


def write_case(root: Path, name: str, number: int) -> None:
    """One image and its label."""
    image, label = drawn(number)
    write_nifti(root / "images" / f"{name}.nii.gz", image, OBLIQUE)
    write_nifti(root / "labels" / f"{name}.nii.gz", label, OBLIQUE)


def write_cohort(root: Path, count: int = 12) -> Path:
    """A folder of cases, two a patient: ``p00_0.nii.gz``, ``p00_1.nii.gz``, ``p01_0.nii.gz``, ..."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for number in range(count):
        write_case(root, f"p{number // 2:02d}_{number % 2}", number)
    return root
