"""Milliseconds to read a 2048 x 2048 film of 12 bits in each syntax, beside plain pydicom in the same process.

    python benchmarks/read.py [--repeats 5]

The film is a smooth gradient with noise of eight gray levels, which compresses about as a radiograph does. Times are
the least of some runs on one thread, files warm in the page cache: other work on the machine only ever adds.
pydicom's figure is ``dcmread(...).pixel_array``, with ``apply_voi_lut`` where there is a window
and with no turning of MONOCHROME1.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.pixels import apply_voi_lut

from medcnn.io.dicom_write import write_film
from medcnn.io.read import read_film

CASES: list[tuple[str, str, dict[str, object]]] = [
    ("uncompressed", "1.2.840.10008.1.2.1", {}),
    ("uncompressed, MONOCHROME1", "1.2.840.10008.1.2.1", {"photometric": "MONOCHROME1"}),
    ("uncompressed, window", "1.2.840.10008.1.2.1", {"WindowCenter": 1500, "WindowWidth": 2500}),
    ("big endian", "1.2.840.10008.1.2.2", {}),
    ("deflated", "1.2.840.10008.1.2.1.99", {}),
    ("RLE", "1.2.840.10008.1.2.5", {}),
    ("JPEG extended, 12 bits", "1.2.840.10008.1.2.4.51", {}),
    ("JPEG lossless", "1.2.840.10008.1.2.4.70", {}),
    ("JPEG-LS lossless", "1.2.840.10008.1.2.4.80", {}),
    ("JPEG 2000 lossless", "1.2.840.10008.1.2.4.90", {}),
    ("HTJ2K lossless", "1.2.840.10008.1.2.4.201", {}),
]


def phantom() -> np.ndarray:
    ramp = np.linspace(0, 3000, 2048)
    noise = np.random.default_rng(0).normal(0, 8, (2048, 2048))
    return (np.add.outer(ramp, ramp) / 2 + noise).clip(0, 4095).astype(np.uint16)


def milliseconds(read: Callable[[], object]) -> float | None:
    start = time.perf_counter()
    try:
        read()
    except (RuntimeError, NotImplementedError, AttributeError):  # no decoder on pydicom's side
        return None
    return 1e3 * (time.perf_counter() - start)


def by_pydicom(path: Path) -> np.ndarray:
    dataset = pydicom.dcmread(path)
    return apply_voi_lut(dataset.pixel_array, dataset) if "WindowCenter" in dataset else dataset.pixel_array


def measured(path: Path, repeats: int) -> tuple[float, float | None]:
    """Least milliseconds of medcnn and of pydicom, whose runs take turns in blocks."""
    reads: tuple[Callable[[], object], ...] = (lambda: read_film(path), lambda: by_pydicom(path))
    times = [[milliseconds(read) for _ in range(repeats)] for _ in range(3) for read in reads]
    ours, theirs = ([one for block in times[at::2] for one in block] for at in (0, 1))
    return min(one for one in ours if one is not None), None if None in theirs else min(theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    pixels = phantom()
    print(f"{'2048 x 2048, 12 bits':<28}{'MB':>6}{'medcnn ms':>12}{'pydicom ms':>12}{'times':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name, syntax, elements in CASES:
            path = Path(folder) / "film.dcm"
            write_film(path, pixels, transfer_syntax=syntax, **elements)
            ours, theirs = measured(path, repeats)
            peer = f"{theirs:>12.1f}{theirs / ours:>8.1f}" if theirs else f"{'no decoder':>12}{'':>8}"
            print(f"{name:<28}{path.stat().st_size / 1e6:>6.1f}{ours:>12.1f}{peer}")


if __name__ == "__main__":
    main()
