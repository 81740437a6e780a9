"""A short look at a film for the audit: a digest and a thumbnail. No torch here, so workers start at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from medcnn.bounded_processes import Lost
from medcnn.data.content import content_digest
from medcnn.data.workers import in_workers
from medcnn.errors import ReadError
from medcnn.io.read import read_film
from medcnn.machine import cores

EDGE = 64


@dataclass(frozen=True)
class Look:
    """What the audit keeps of a film.

    Attributes:
        content: Digest of the pixels as displayed; "" where they cannot be read.
        thumbnail: float32 ``(64, 64)``.
        shape: Rows and columns.
        flags: What was odd about the file.
        reason: Reason code, or "".
    """

    content: str
    thumbnail: np.ndarray
    shape: tuple[int, ...] = ()
    flags: tuple[str, ...] = ()
    reason: str = ""


def look_at(path: Path) -> Look:
    """Decodes one film and forgets all but this."""
    try:
        film = read_film(path)
    except ReadError as error:
        return Look("", np.zeros((EDGE, EDGE), np.float32), reason=error.code)
    except MemoryError:
        return Look("", np.zeros((EDGE, EDGE), np.float32), reason="out_of_memory")
    return look_at_pixels(film.pixels, film.flags)


def look_at_pixels(pixels: np.ndarray, flags: tuple[str, ...] = ()) -> Look:
    """The same for pixels that are there already: ``(rows, columns)``, or more axes, which are averaged away."""
    flat = pixels.astype(np.float32)
    while flat.ndim > 2:
        # Color is last and short; the slices of a volume come first.
        flat = flat.mean(axis=-1 if flat.shape[-1] == 3 else 0)
    return Look(content_digest(pixels), thumbnail(flat), pixels.shape, flags)


def look_at_all(paths: Sequence[Path], workers: int | None = None) -> list[Look]:
    """Look at every film, in worker processes unless ``workers`` is 0; progress is shown."""
    workers = cores() if workers is None else workers
    shared = ["medcnn.data.look"]
    found = in_workers(look_at, paths, workers, preload=shared, lost=_lost) if workers else map(look_at, paths)
    return list(tqdm(found, total=len(paths), desc="reading images", unit="image", delay=2, leave=False, disable=None))


def _lost(path: Path, why: Lost) -> Look:
    return Look("", np.zeros((EDGE, EDGE), np.float32), reason=why.reason)


def thumbnail(pixels: np.ndarray, edge: int = EDGE) -> np.ndarray:
    """Means over a grid of ``edge`` by ``edge`` cells: float32 ``(edge, edge)``; smaller images are repeated."""
    cells = pixels.astype(np.float32, copy=False)
    for axis in (0, 1):
        starts = np.arange(edge) * cells.shape[axis] // edge
        sizes = np.maximum(np.diff(np.append(starts, cells.shape[axis])), 1)
        per_cell = sizes[:, None] if axis == 0 else sizes[None, :]
        cells = (np.add.reduceat(cells, starts, axis=axis) / per_cell).astype(np.float32)
    return cells
