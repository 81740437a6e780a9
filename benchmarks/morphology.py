"""Opening a 192x256x256 mask by an exact ball here, by scipy, and by two exact distance transforms, in one run.

    python benchmarks/morphology.py

CPU time from bool mask to bool mask; scipy runs once, the others several times in turns (the median).
Every row says whether all voxels are equal. Below it: the largest component and filled holes beside scipy.
"""

import statistics
import time
from collections.abc import Callable

import edt
import numpy as np
from scipy import ndimage

from medcnn.transforms.ball import ball, opened
from medcnn.transforms.labels import filled, largest_component

SHAPE = (192, 256, 256)


def mask() -> np.ndarray:
    """A head-sized ellipsoid with rough edges, holes and crumbs around it."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32), 3)
    axes = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in SHAPE)]
    return sum((axis / 0.8) ** 2 for axis in axes) + 8 * noise < 1


def by_distance(image: np.ndarray, radius: float, spacing: tuple[float, ...]) -> np.ndarray:
    limit = radius**2 * (1 + 1e-6)
    core = edt.edtsq(image, anisotropy=spacing, black_border=True, parallel=1) > limit
    return edt.edtsq(~core, anisotropy=spacing, black_border=False, parallel=1) <= limit


def timed(call: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.process_time()
    result = call()
    return 1e3 * (time.process_time() - start), result


def medians(calls: list[Callable[[], np.ndarray]], repeats: int) -> list[float]:
    turns = [[timed(call)[0] for call in calls] for _ in range(repeats)]
    return [statistics.median(times) for times in zip(*turns, strict=True)]


def compare_opening(image: np.ndarray, radius: float, spacing: tuple[float, ...]) -> None:
    structure = ball(radius, spacing)
    reference_ms, reference = timed(lambda: ndimage.binary_opening(image, structure))
    calls = [lambda: opened(image, radius, spacing), lambda: by_distance(image, radius, spacing)]
    equal = [np.array_equal(call(), reference) for call in calls]
    ours, distance = medians(calls, 7)
    grid = "x".join(f"{step:g}" for step in spacing)
    print(
        f"| opening, r={radius:g}, grid {grid} | {ours:.1f} | {reference_ms:.0f} | {distance:.0f} "
        f"| {reference_ms / ours:.0f} | {equal[0]} | {equal[1]} |",
        flush=True,
    )


def compare_components(image: np.ndarray) -> None:
    def largest_by_scipy() -> np.ndarray:
        labels, _ = ndimage.label(image, np.ones((3, 3, 3)))
        sizes = np.bincount(labels.reshape(-1))
        return labels == 1 + np.argmax(sizes[1:])

    pairs = {
        "largest component, 26 neighbors": (lambda: largest_component(image, 26), largest_by_scipy),
        "fill holes": (lambda: filled(image), lambda: ndimage.binary_fill_holes(image)),
    }
    for name, (ours, theirs) in pairs.items():
        equal = np.array_equal(ours(), theirs())
        mine, scipys = medians([ours, theirs], 3)
        print(f"| {name} | {mine:.0f} | {scipys:.0f} | – | {scipys / mine:.1f} | {equal} | – |", flush=True)


def main() -> None:
    image = mask()
    print("| 192x256x256 | medcnn, ms | scipy, ms | edt, ms | times scipy | equal to scipy | edt equal |")
    print("|---|---|---|---|---|---|---|")
    for radius in (3.0, 5.0, 8.0):
        compare_opening(image, radius, (1.0, 1.0, 1.0))
    compare_opening(image, 5.0, (1.5, 0.9, 0.9))
    compare_components(image)


if __name__ == "__main__":
    main()
