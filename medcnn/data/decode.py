"""One image after another through decoding and preprocessing: here for a few, in worker processes for many."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from tqdm import tqdm

from medcnn.data.images import Images
from medcnn.errors import ConfigError, ReadError

# Starting workers costs some five seconds for importing torch and MONAI: worth it only for longer work.
PATIENCE_SECONDS = 10.0
PROBE_SECONDS = 1.5


@dataclass(frozen=True)
class Ready:
    """One image as the net will see it, or why there is none.

    Attributes:
        row: Row of the image in its source.
        image: ``(C, *spatial)``; empty where ``reason`` says why.
        content: Digest of the pixels before preprocessing.
        flags: What was odd, from reading and preprocessing.
        reason: Reason code of ``medcnn.io.find.REASONS``, or "".
    """

    row: int
    image: np.ndarray
    content: str = ""
    flags: tuple[str, ...] = ()
    reason: str = ""


def ready(images: Images, preprocess: Sequence[Any], row: int) -> Ready:
    """Decodes and preprocesses one image.

    Raises:
        ConfigError: If preprocessing leaves NaN or infinity, or no image.
    """
    try:
        opened = images.open(row)
    except ReadError as error:
        return Ready(row, np.empty(0, np.float32), reason=error.code)
    case: dict[str, Any] = {"image": opened.image, "case": row, "flags": list(opened.flags)}
    for transform in preprocess:
        case = transform(case)
    image = case["image"]
    image = (image.as_tensor() if isinstance(image, MetaTensor) else torch.as_tensor(image)).cpu().numpy()
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ConfigError(
            f"{images.name(row)}: preprocessing gives NaN or infinity; look at its values, or leave the file out"
        )
    # A copy of its own: a view would keep the undecoded original in memory.
    return Ready(row, np.array(image), opened.content, tuple(dict.fromkeys(case["flags"])))


def ready_all(images: Images, preprocess: Sequence[Any], workers: int | None = None) -> Iterator[Ready]:
    """Every image in order; the first ones are done here and decide by their pace whether workers are started.

    Args:
        images: The source.
        preprocess: Transforms of case dicts.
        workers: Worker processes; None takes the cores this process may use, 0 stays in this process.

    Raises:
        ConfigError: If a worker dies.
    """
    count, begun, row = len(images), time.monotonic(), 0
    workers = _cores() if workers is None else workers
    with tqdm(total=count, desc="preparing images", unit="image", delay=2, leave=False, disable=None) as bar:
        while row < count:
            if workers > 1 and _left(begun, row, count) > PATIENCE_SECONDS:
                break
            yield ready(images, preprocess, row)
            row += 1
            bar.update()
        for result in _in_workers(images, preprocess, range(row, count), workers):
            yield result
            bar.update()


def _left(begun: float, done: int, count: int) -> float:
    """Seconds that the rest will take at the pace so far; 0 while it is too early to tell."""
    spent = time.monotonic() - begun
    return spent / done * (count - done) if done and spent > PROBE_SECONDS else 0.0


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_workers(images: Images, preprocess: Sequence[Any], rows: range, workers: int) -> Iterator[Ready]:
    if not rows:
        return
    # Never fork: this process may hold threads and a device. The server imports once, its children share the pages.
    context = multiprocessing.get_context(
        "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    )
    if hasattr(context, "set_forkserver_preload"):
        context.set_forkserver_preload(["medcnn.data.decode", "monai.transforms"])
    try:
        with ProcessPoolExecutor(workers, context, _begin, (images, list(preprocess))) as pool:
            chunk = max(1, min(16, len(rows) // (4 * workers)))
            try:
                yield from pool.map(_work, rows, chunksize=chunk)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
    except BrokenProcessPool as error:
        raise ConfigError(
            "a decoding worker died: no memory left, a broken decoder, or a script without "
            "`if __name__ == '__main__':`; set workers to 0 to decode in this process"
        ) from error


_given: list[Any] = []


def _begin(images: Images, preprocess: Sequence[Any]) -> None:
    torch.set_num_threads(1)
    _given[:] = [images, preprocess]


def _work(row: int) -> Ready:
    return ready(_given[0], _given[1], row)
