"""Augmentation of a batch here against MONAI's random transforms image by image, in one run.

    python benchmarks/augment.py

The same ranges and probabilities on both sides; CPU time of this thread, median of several batches. Films first, then
volumes with their masks beside MONAI's dictionary transforms on each case, and how long the reading alone takes.
"""

import math
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from monai.transforms import (
    Compose,
    Rand3DElasticd,
    RandAdjustContrast,
    RandAdjustContrastd,
    RandAffine,
    RandAffined,
    RandBiasFieldd,
    RandFlip,
    RandFlipd,
    RandGaussianNoise,
    RandGaussianNoised,
    RandGaussianSmooth,
    RandGaussianSmoothd,
    RandScaleIntensity,
    RandScaleIntensityd,
    RandShiftIntensity,
    RandShiftIntensityd,
    RandSimulateLowResolutiond,
)
from torch import Tensor

from medcnn.transforms.augment import BatchAugment
from medcnn.transforms.augment_grid import sampling_grid, sampling_matrix
from medcnn.transforms.augment_read import read_linear, read_nearest

GEOMETRY = {"rotate_degrees": 10.0, "translate": 0.05, "scale": (0.9, 1.1), "shear_degrees": 3.0, "flip_axes": (1,)}
TONE = {"brightness": 0.1, "contrast": (0.8, 1.2), "gamma": (0.8, 1.25)}
GRAIN = {"noise_std": 0.05, "blur_sigma": 1.0}
VOLUMES = (8, 1, 40, 56, 40)
TURNED = {"rotate_degrees": 15.0, "translate": 0.05, "scale": (0.85, 1.15), "flip_axes": (0,)}
BENT = {"elastic": 0.05, "elastic_probability": 1.0}
SCANNED = {"bias_field": 0.3, "low_resolution": 2.0}


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


def monai_volume_geometry(elastic: bool) -> list:
    both, mode = ["image", "mask"], ("bilinear", "nearest")
    place = {
        "prob": 1.0, "rotate_range": (math.radians(15),) * 3, "translate_range": tuple(0.05 * n for n in VOLUMES[2:]),
        "scale_range": (0.15,) * 3, "padding_mode": "border", "mode": mode,
    }  # fmt: skip
    # The offsets of Rand3DElastic are noise smoothed by sigma; 300 of it are about two voxels.
    bent = Rand3DElasticd(both, sigma_range=(5, 7), magnitude_range=(0, 300), **place)
    return [bent if elastic else RandAffined(both, **place), RandFlipd(both, prob=0.5, spatial_axis=0)]


def monai_volume_rest() -> list:
    return [
        RandBiasFieldd("image", prob=0.3, coeff_range=(0.0, 0.1)),
        RandGaussianSmoothd("image", prob=0.2, sigma_x=(0.01, 1.0), sigma_y=(0.01, 1.0), sigma_z=(0.01, 1.0)),
        RandSimulateLowResolutiond("image", prob=0.2, zoom_range=(0.5, 1.0)),
        RandAdjustContrastd("image", prob=0.5, gamma=(0.8, 1.25)),
        RandScaleIntensityd("image", prob=0.5, factors=0.2),
        RandShiftIntensityd("image", prob=0.5, offsets=0.1),
        RandGaussianNoised("image", prob=0.5, std=0.05),
    ]


def compare_volumes(name: str, ours: BatchAugment, theirs: Compose) -> None:
    image = torch.rand(VOLUMES)
    mask = (3 * image).to(torch.uint8)
    generator = torch.Generator().manual_seed(0)
    batch = milliseconds(lambda: ours(image, generator, mask), 15) / len(image)
    single = milliseconds(lambda: [theirs({"image": i, "mask": m}) for i, m in zip(image, mask, strict=True)], 3)
    single /= len(image)
    print(f"| {name} | {batch:.2f} | {single:.1f} | {single / batch:.0f} |", flush=True)


def compare_reading() -> None:
    image = torch.rand(VOLUMES)
    mask = (3 * image).to(torch.uint8)
    draw = BatchAugment(**TURNED).sample(len(image), 3, torch.Generator().manual_seed(0))
    matrix = sampling_matrix(VOLUMES[2:], draw).float()
    grid = sampling_grid(VOLUMES[2:], matrix)
    last = grid.movedim(1, -1).contiguous()
    torchs = {"padding_mode": "border", "align_corners": False}
    pairs = {
        "grid": (
            lambda: sampling_grid(VOLUMES[2:], matrix),
            lambda: F.affine_grid(matrix, list(VOLUMES), align_corners=False),
        ),
        "linear": (lambda: read_linear(image, grid, "border"), lambda: F.grid_sample(image, last, **torchs)),
        "nearest": (
            lambda: read_nearest(mask, grid, "border"),
            lambda: F.grid_sample(mask.float(), last, mode="nearest", **torchs).to(mask.dtype),
        ),
    }
    for name, (ours, theirs) in pairs.items():
        mine, yours = milliseconds(ours, 15), milliseconds(theirs, 15)
        per_voxel = 1e6 / image.numel()
        print(f"| {name} | {mine * per_voxel:.1f} | {yours * per_voxel:.1f} | {yours / mine:.1f} |", flush=True)


def volumes() -> None:
    print("\n| 8 of 40x56x40 and their masks | BatchAugment, ms an image | MONAI one by one, ms an image | times |")
    print("|---|---|---|---|")
    compare_volumes("geometry", BatchAugment(**TURNED), Compose(monai_volume_geometry(False)))
    compare_volumes("geometry and elastic", BatchAugment(**TURNED, **BENT), Compose(monai_volume_geometry(True)))
    compare_volumes(
        "all, with bias field, low resolution, blur, tone, noise",
        BatchAugment(**TURNED, **BENT, **SCANNED, **TONE, **GRAIN),
        Compose(monai_volume_geometry(True) + monai_volume_rest()),
    )
    print("\n| 8 of 40x56x40, alone | medcnn, ns a voxel | torch, ns a voxel | times |")
    print("|---|---|---|---|")
    compare_reading()


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
    volumes()


if __name__ == "__main__":
    main()
