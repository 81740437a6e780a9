"""One image after another through decoding and preprocessing: here for a few, in worker processes for many."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from tqdm import tqdm

from medcnn.bounded_processes import Lost
from medcnn.data.images import Images
from medcnn.data.workers import in_workers
from medcnn.errors import ConfigError, ReadError
from medcnn.machine import cores

# Starting workers costs some five seconds for importing torch and MONAI: worth it only for longer work.
PATIENCE_SECONDS = 10.0
PROBE_SECONDS = 1.5

Result = TypeVar("Result")


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
    except MemoryError:
        return Ready(row, np.empty(0, np.float32), reason="out_of_memory")
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
    """Every image in order, decoded and preprocessed; see ``in_turn``."""
    return in_turn(partial(ready, images, list(preprocess)), len(images), workers, _lost)


def _lost(row: int, why: Lost) -> Ready:
    return Ready(row, np.empty(0, np.float32), reason=why.reason)


def in_turn(
    work: Callable[[int], Result],
    count: int,
    workers: int | None = None,
    lost: Callable[[int, Lost], Result] | None = None,
) -> Iterator[Result]:
    """Every row in order; the first ones are done here and decide by their pace whether workers are started.

    Args:
        work: From a row to its result; picklable.
        count: Number of rows.
        workers: Worker processes; None takes the cores this process may use, 0 stays in this process.
        lost: Gives the result of a row that crashed its worker, or took more time or memory than it may.

    Raises:
        ConfigError: If a row is lost and ``lost`` is not given.
    """
    begun, row = time.monotonic(), 0
    workers = cores() if workers is None else workers
    with tqdm(total=count, desc="preparing images", unit="image", delay=2, leave=False, disable=None) as bar:
        while row < count:
            if workers > 1 and _left(begun, row, count) > PATIENCE_SECONDS:
                break
            yield work(row)
            row += 1
            bar.update()
        shared = ["medcnn.data.decode", "monai.transforms"]
        for result in in_workers(_work, range(row, count), workers, _begin, (work,), shared, lost):
            yield result
            bar.update()


def _left(begun: float, done: int, count: int) -> float:
    """Seconds that the rest will take at the pace so far; 0 while it is too early to tell."""
    spent = time.monotonic() - begun
    return spent / done * (count - done) if done and spent > PROBE_SECONDS else 0.0


_given: list[Callable[[int], Any]] = []


def _begin(work: Callable[[int], Any]) -> None:
    torch.set_num_threads(1)
    _given[:] = [work]


def _work(row: int) -> Any:
    return _given[0](row)
