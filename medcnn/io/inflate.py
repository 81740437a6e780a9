"""A file read from its beginning, compressed or not, whose early end is a count and no exception."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from isal import isal_zlib

from medcnn.errors import ReadError

_STEP = 1 << 20
# Inflates to at most 34 MB.
_PACKED_STEP = 1 << 15
_GZIP_BITS = 31
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
        self._stream = stream
        self._member = isal_zlib.decompressobj(_GZIP_BITS)
        self._spare = memoryview(b"")
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
        while skip:
            count = self._fill(memoryview(bytearray(min(skip, _STEP))))
            if not count:
                return 0
            skip -= count
        return len(known) + self._fill(view[len(known) :])

    def is_whole(self) -> bool:
        """False for a gzip that ends before its checksum; the checksum itself is compared where it is read."""
        return not self.packed or bool(self._spare) or self._member.eof or bool(self._piece()) or self._member.eof

    def _fill(self, view: memoryview) -> int:
        at = 0
        while at < len(view):
            count = self._inflate(view[at:]) if self.packed else self._stream.readinto(view[at:])  # type: ignore[attr-defined]
            if not count:
                break
            at += count
        return at

    def _inflate(self, view: memoryview) -> int:
        self._spare = self._spare or memoryview(self._piece())
        count = min(len(view), len(self._spare))
        view[:count] = self._spare[:count]
        self._spare = self._spare[count:]
        return count

    def _piece(self) -> bytes:
        """The next bytes that the gzip holds, in whichever of its members; none at the end of the file."""
        piece = b""
        while not piece:
            packed = self._stream.read(_PACKED_STEP)
            if self._member.eof:
                packed = (self._member.unused_data + packed).lstrip(b"\0")  # members may be padded
                if not packed:
                    return b""
                self._member = isal_zlib.decompressobj(_GZIP_BITS)
            elif not packed:
                return b""
            piece = self._member.decompress(packed)
        return piece


@contextmanager
def told_by_name(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a file becomes a ReadError that names it by its name only."""
    try:
        yield
    except ReadError as error:
        raise ReadError(error.code, f"{path.name}: {error}") from None
    except MemoryError:
        raise ReadError("out_of_memory", f"{path.name}: there is not enough memory for its voxels") from None
    except _Damaged as error:
        told = f"the compressed data is damaged ({type(error).__name__}); copy the file again"
        raise ReadError("decode_failed", f"{path.name}: {told}") from None
    except OSError as error:
        raise ReadError("unreadable", f"{path.name}: cannot be read ({type(error).__name__})") from None
