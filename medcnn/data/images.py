"""Where the images of a cohort come from: files that are decoded, or an array that is there already."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor

from medcnn.data.content import content_digest
from medcnn.data.workers import read_bounded
from medcnn.io.film import as_image
from medcnn.io.read import read_film


@dataclass(frozen=True)
class Opened:
    """One image as it is before preprocessing.

    Attributes:
        image: ``(C, *spatial)`` with its affine.
        content: Digest of the pixels as displayed.
        flags: What was odd about the file.
    """

    image: MetaTensor
    content: str
    flags: tuple[str, ...] = ()


class Images(Protocol):
    """The images of a cohort by row; picklable, because decoding runs in other processes."""

    def __len__(self) -> int: ...

    def open(self, row: int) -> Opened:
        """Decodes one image; a ReadError tells why it cannot be."""
        ...

    def name(self, row: int) -> str:
        """What to call the image in an error shown to the user here; never tracked."""
        ...

    def state(self) -> list[str]:
        """A line for each image that changes when the image does; the key of a cache is made of them."""
        ...


class FilmFiles:
    """Radiographs as files under a folder.

    Args:
        root: The folder.
        paths: Path of each film, relative to it.
    """

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.root, self.paths = Path(root), list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def open(self, row: int) -> Opened:
        """Decodes one film."""
        film = read_bounded(read_film, self.root / self.paths[row])
        return Opened(as_image(film), content_digest(film.pixels), film.flags)

    def name(self, row: int) -> str:
        """Path of a film relative to the folder."""
        return self.paths[row]

    def state(self) -> list[str]:
        """Path, size and time of change of every film; a missing file has its own line."""
        return [f"{path} {_stamp(self.root / path)}" for path in self.paths]


class ArrayImages:
    """Images that lie in one array, ``(N, *spatial)`` or, with ``channels_last``, ``(N, *spatial, C)``.

    Args:
        array: The images.
        channels_last: True where the last axis is color.
        title: What to call them; the row number is added.
    """

    def __init__(self, array: np.ndarray, channels_last: bool = False, title: str = "image") -> None:
        self.array, self.channels_last, self.title = array, channels_last, title

    def __len__(self) -> int:
        return len(self.array)

    def open(self, row: int) -> Opened:
        """Wraps one image."""
        return Opened(MetaTensor(torch.from_numpy(self.pixels(row).copy())), content_digest(self.array[row]))

    def pixels(self, rows: int | slice) -> np.ndarray:
        """One image ``(C, *spatial)`` or several ``(n, C, *spatial)``."""
        values = self.array[rows]
        axis = 0 if isinstance(rows, int) else 1
        return np.moveaxis(values, -1, axis) if self.channels_last else np.expand_dims(values, axis)

    def name(self, row: int) -> str:
        """Title and row."""
        return f"{self.title} {row}"

    def state(self) -> list[str]:
        """Digest of every image."""
        return [content_digest(image) for image in self.array]


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return "missing"
    return f"{stat.st_size} {stat.st_mtime_ns}"
