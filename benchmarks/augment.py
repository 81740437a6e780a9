"""Augmentation of a batch here against MONAI's random transforms image by image, in one run.

    python benchmarks/augment.py

The same ranges and probabilities on both sides; CPU time of this thread, median of several batches.
"""

import math
import statistics
import time
from collections.abc import Callable

import torch
from monai.transforms import (
    Compose,
    RandAdjustContrast,
    RandAffine,
    RandFlip,
    RandGaussianNoise,
    RandGaussianSmooth,
    RandScaleIntensity,
    RandShiftIntensity,
)  # fmt: skip
from torch import Tensor

from medcnn.transforms.augment import BatchAugment

GEOMETRY = {"rotate_degrees": 10.0, "translate": 0.05, "scale": (0.9, 1.1), "shear_degrees": 3.0, "flip_axes": (1,)}
TONE = {"brightness": 0.1, "contrast": (0.8, 1.2), "gamma": (0.8, 1.25)}
GRAIN = {"noise_std": 0.05, "blur_sigma": 1.0}


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return 1e3 * statistics.median(times)


def monai_geometry(size: int) -> list:
    angle, slant = math.radians(10), math.tan(math.radians(3))
    return [
        RandAffine(
            prob=1.0, rotate_range=angle, shear_range=(slant, slant), translate_range=(0.05 * size, 0.05 * size),
            scale_range=0.1, padding_mode="border",
        ),
        RandFlip(prob=0.5, spatial_axis=1),
    ]  # fmt: skip


def monai_rest() -> list:
    return [
        RandGaussianSmooth(prob=0.2, sigma_x=(0.01, 1.0), sigma_y=(0.01, 1.0)),
        RandAdjustContrast(prob=0.5, gamma=(0.8, 1.25)),
        RandScaleIntensity(prob=0.5, factors=0.2),
        RandShiftIntensity(prob=0.5, offsets=0.1),
        RandGaussianNoise(prob=0.5, std=0.05),
    ]


def compare(name: str, ours: BatchAugment, theirs: Compose, image: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    batch = milliseconds(lambda: ours(image, generator), 20)
    single = milliseconds(lambda: torch.stack([theirs(one) for one in image]), 3)
    print(f"| {name} | {batch:.2f} | {single:.1f} | {single / batch:.0f} |", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| batch | BatchAugment, ms | MONAI one by one, ms | times |")
    print("|---|---|---|---|")
    for count, size in ((128, 28), (64, 96), (32, 224)):
        image = torch.rand(count, 1, size, size)
        shape = f"{count} of {size}x{size}"
        geometry, everything = Compose(monai_geometry(size)), Compose(monai_geometry(size) + monai_rest())
        compare(f"{shape}, geometry", BatchAugment(**GEOMETRY), geometry, image)
        compare(f"{shape}, all with noise and blur", BatchAugment(**GEOMETRY, **TONE, **GRAIN), everything, image)


if __name__ == "__main__":
    main()
