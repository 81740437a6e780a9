"""Normalizing by percentiles here against MONAI's ScaleIntensityRangePercentiles, in one run with the same numbers.

    python benchmarks/percentiles.py

CPU time for the whole transform (percentiles, scaling, a new MetaTensor), median of several calls that
take turns, torch with one thread; beside it the two percentiles alone by numpy and by torch.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import ScaleIntensityRangePercentiles

from medcnn.transforms.intensity import PercentileNormalized

LOWER, UPPER = 0.5, 99.5


def volume(shape: tuple[int, ...], high: int) -> np.ndarray:
    """Tissue in front of a quarter of background, in whole numbers."""
    rng = np.random.default_rng(0)
    values = rng.normal(0.3 * high, 0.12 * high, shape).clip(0, high)
    values[..., : shape[-1] // 4] = 0
    return values.round()


def milliseconds(calls: dict[str, Callable[[], object]], repeats: int, inner: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(inner):
                call()
            # The first turn warms up.
            if turn:
                times[name].append(1e3 * (time.process_time() - start) / inner)
    return {name: statistics.median(values) for name, values in times.items()}


def quantiles(values: np.ndarray) -> None:
    # torch.quantile takes floating point of at most 16 million values.
    flat = torch.from_numpy(values).reshape(-1).float()
    for percent in (LOWER, UPPER):
        torch.quantile(flat, percent / 100)


def compare(name: str, values: np.ndarray, repeats: int, inner: int = 1) -> None:
    image = MetaTensor(torch.from_numpy(values[None]), affine=torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0])))
    ours = PercentileNormalized("image", LOWER, UPPER)
    theirs = ScaleIntensityRangePercentiles(LOWER, UPPER, 0.0, 1.0, clip=True)
    # MONAI takes small images through torch.quantile, which needs floating point.
    theirs_image = image if image.numel() > 1_000_000 else image.float()
    gap = (ours({"image": image})["image"].as_tensor() - theirs(theirs_image).as_tensor()).abs().max()
    spent = milliseconds(
        {
            "ours": lambda: ours({"image": image}),
            "monai": lambda: theirs(theirs_image),
            "numpy": lambda: np.percentile(values, (LOWER, UPPER)),
            "torch": lambda: quantiles(values),
        },
        repeats,
        inner,
    )
    cells = " | ".join(f"{spent[key]:.3g}" for key in ("ours", "monai", "numpy", "torch"))
    print(f"| {name} | {cells} | {spent['monai'] / spent['ours']:.1f} | {gap:.0e} |", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    print("| image | PercentileNormalized, ms | MONAI, ms | np.percentile | torch.quantile | times | largest gap |")
    print("|---|---|---|---|---|---|---|")
    whole = volume((192, 256, 256), 1500)
    compare("192x256x256 int16", whole.astype(np.int16), 5)
    compare("192x256x256 float32, whole numbers", whole.astype(np.float32), 5)
    compare("192x256x256 float32", (whole + np.random.default_rng(1).random(whole.shape)).astype(np.float32), 5)
    compare("2048x2048 film, 12 bits in int32", volume((2048, 2048), 4095).astype(np.int32), 15)
    compare("2048x2048 film, 16 bits in int32", volume((2048, 2048), 65535).astype(np.int32), 15)
    compare("28x28 uint8", volume((28, 28), 255).astype(np.uint8), 9, inner=300)


if __name__ == "__main__":
    main()
