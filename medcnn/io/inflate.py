"""A file read from its beginning, compressed or not, whose early end is a count and no exception."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from isal import igzip, isal_zlib

from medcnn.errors import ReadError

_STEP = 1 << 20
_GZIP = b"\x1f\x8b"
_Damaged = cast("type[Exception]", isal_zlib.error)  # its stubs take it for an instance


class Contents:
    """The bytes of a file or, where it is a gzip, of what it holds.

    Args:
        stream: The file, at its beginning.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.packed = stream.read(2) == _GZIP
        stream.seek(0)
        self._stream = igzip.IGzipFile(fileobj=stream) if self.packed else stream
        self._head = b""

    def head(self, count: int) -> bytes:
        """The first ``count`` bytes, or as many as there are. To be asked for once, before all else."""
        buffer = bytearray(count)
        self._head = bytes(buffer[: self._fill(memoryview(buffer))])
        return self._head

    def read_from(self, offset: int, out: np.ndarray) -> int:
        """Fill ``out`` (uint8) with what begins at byte ``offset``.

        Returns:
            How many bytes there were.
        """
        view = memoryview(out)  # type: ignore[arg-type]
        known = self._head[offset:][: len(view)]
        view[: len(known)] = known
        skip = max(0, offset - len(self._head))
        if self._fill(memoryview(bytearray(skip))) < skip:
            return 0
        return len(known) + self._fill(view[len(known) :])

    def is_whole(self) -> bool:
        """Read one byte on: where a gzip ends, its checksum is compared. False where it ends too early for that."""
        try:
            self._stream.read(1)
        except EOFError:
            return False
        return True

    def _fill(self, view: memoryview) -> int:
        at = 0
        while at < len(view):
            try:
                count = self._stream.readinto(view[at : at + _STEP])  # type: ignore[union-attr]
            except EOFError:
                break
            if not count:
                break
            at += count
        return at


@contextmanager
def told_by_name(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a file becomes a ReadError that names it by its name only."""
    try:
        yield
    except ReadError as error:
        raise ReadError(error.code, f"{path.name}: {error}") from None
    except MemoryError:
        raise ReadError("too_large", f"{path.name}: there is not enough memory for its voxels") from None
    except (igzip.BadGzipFile, _Damaged) as error:
        told = f"the compressed data is damaged ({type(error).__name__}); copy the file again"
        raise ReadError("decode_failed", f"{path.name}: {told}") from None
    except OSError as error:
        raise ReadError("unreadable", f"{path.name}: cannot be read ({type(error).__name__})") from None
