"""What an encoded image says of itself, read from its markers without decoding it.

Markers are searched as libjpeg and OpenJPEG search them, so that no image is larger than what is found here.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from medcnn.errors import ReadError
from medcnn.io.limits import MAX_BLOCKS

_JPEG_FRAMES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}  # the SOF markers; tables and DAC are not
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
_SCAN, _END, _ADOBE, _JFIF, _LS_PRESET = 0xDA, 0xD9, 0xEE, 0xE0, 0xF8
_COD, _COC, _TILE_PART, _TILE_DATA, _CODE_STREAM_END = 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
# PRF, CAP, SIZ to CPF, QCD to PPT, CRG, COM, MCT to MCO, CBD; behind any other, a decoder searches for one of these.
_KNOWN = frozenset(
    (0xFF50, *range(0xFF51, 0xFF5A), *range(0xFF5C, 0xFF62), 0xFF63, 0xFF64, *range(0xFF74, 0xFF79), _TILE_PART)
)


class CodeStream(NamedTuple):
    """An encoded image as its own markers describe it.

    Attributes:
        rows: Height; likewise ``columns`` and ``samples``.
        precision: Bits of a sample.
        signed: Whether samples are signed; JPEG does not say.
        is_jpeg_2000: JPEG 2000 or HTJ2K rather than JPEG or JPEG-LS.
        color: ``YBR`` where the markers name a color transform, which a decoder takes back; ``RGB`` where they name
            none; empty where they are silent.
        start: Offset of the code stream; it is wrapped in a file of boxes otherwise.
        end: Offset behind its end marker, 0 where there is none.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool
    is_jpeg_2000: bool
    color: str = ""
    start: int = 0
    end: int = 0


def describe(data: bytes) -> CodeStream | None:
    """Describe a JPEG, JPEG-LS or JPEG 2000 stream; None where the bytes hold none whose size is certain.

    Raises:
        ReadError: ``bomb`` for a JPEG 2000 stream of small size and millions of parts.
    """
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        start = _jpeg_2000_start(data)
        return None if start is None else _jpeg_2000(data, start)
    except (struct.error, IndexError):
        return None


def _jpeg_markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Each marker and the offset behind it, up to the first scan; bytes between segments are skipped."""
    at = 2
    while True:
        at = data.find(b"\xff", at)
        while 0 <= at < len(data) and data[at] == 0xFF:
            at += 1
        if at < 0 or at >= len(data):
            return
        marker = data[at]
        at += 1
        if marker == 0:
            continue
        yield marker, at
        if marker in (_SCAN, _END):
            return
        if marker not in _WITHOUT_LENGTH:
            at += max(2, struct.unpack_from(">H", data, at)[0])


def _jpeg(data: bytes) -> CodeStream | None:
    frames, adobe, jfif, scan = set(), None, False, len(data)
    for marker, at in _jpeg_markers(data):
        if marker in _JPEG_FRAMES:
            precision, rows, columns, samples = struct.unpack_from(">BHHB", data, at + 2)
            components = tuple(data[at + 8 : at + 8 + 3 * samples : 3])
            frames.add((rows, columns, samples, precision, components))
        elif marker == _ADOBE and data[at + 2 : at + 7] == b"Adobe":
            adobe = data[at + 13]
        elif marker == _JFIF and data[at + 2 : at + 6] == b"JFIF":
            jfif = True
        elif marker == _LS_PRESET and data[at + 2 : at + 3] == b"\x04":
            return None  # another size, which replaces that of the frame
        elif marker == _SCAN:
            scan = at
    if len(frames) != 1:
        return None
    rows, columns, samples, precision, components = frames.pop()
    color = ""
    if jfif or adobe:
        color = "YBR"
    elif adobe == 0 or components == tuple(b"RGB"):
        color = "RGB"
    end = data.rfind(b"\xff\xd9", scan) + 2
    return CodeStream(rows, columns, samples, precision, False, False, color, 0, end if end > 1 else 0)


def _jpeg_2000_start(data: bytes) -> int | None:
    """Offset of the code stream, in a file of boxes or bare; None where there is none or a palette changes it."""
    if data[:4] == b"\xff\x4f\xff\x51":
        return 0
    if data[4:8] != b"jP  ":
        return None
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        if kind == b"jp2h" and b"pclr" in data[at : at + size]:
            return None
        if kind == b"jp2c":
            return at + head if data[at + head : at + head + 4] == b"\xff\x4f\xff\x51" else None
        if size < head:
            return None  # to the end of the file, and it is no image
        at += size
    return None


def _jpeg_2000(data: bytes, start: int) -> CodeStream | None:
    right, bottom, left, top, tile_x, tile_y, tile_left, tile_top = struct.unpack_from(">8I", data, start + 8)
    samples, depth = struct.unpack_from(">HB", data, start + 40)
    rows, columns = bottom - top, right - left
    if rows < 1 or columns < 1 or not tile_x or not tile_y or left < tile_left or top < tile_top:
        return None
    components = [struct.unpack_from(">BBB", data, start + 42 + 3 * number) for number in range(min(samples, 4))]
    if any((x, y) != (1, 1) or bits != depth for bits, x, y in components):
        return None  # subsampled, or of several depths
    transforms, scan = set(), start + 2
    for marker, at in _jpeg_2000_markers(data, start + 2):
        scan = at
        if marker == _COD:
            transforms.add(data[at + 6] == 1)
            _check_blocks(data, at + 7, bool(data[at + 2] & 1), columns, rows, min(samples, 4))
        elif marker == _COC:
            wide = 2 if samples > 256 else 1
            _check_blocks(data, at + 3 + wide, bool(data[at + 2 + wide] & 1), columns, rows, 1)
        elif marker not in _KNOWN:
            return None
    if len(transforms) != 1:
        return None  # none, or tiles of different color spaces
    tiles = -(-(right - tile_left) // tile_x) * -(-(bottom - tile_top) // tile_y)
    if tiles > MAX_BLOCKS >> 6:
        raise ReadError("bomb", f"a JPEG 2000 image of {rows} x {columns} pixels in {tiles:,} tiles")
    end = data.rfind(b"\xff\xd9", scan) + 2
    color = "YBR" if True in transforms else "RGB"
    return CodeStream(
        rows, columns, samples, (depth & 0x7F) + 1, bool(depth & 0x80), True, color, start, end if end > 1 else 0
    )


def _jpeg_2000_markers(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Each marker of the main header and of the headers of all tile parts, which may replace it, and the offset behind.

    A stream that is cut short ends them; what ``at`` leads to in the middle of a header need not be a known marker.
    """
    next_part = len(data)
    while at + 4 <= len(data):
        marker, size = struct.unpack_from(">HH", data, at)
        if marker == _TILE_DATA:
            if next_part <= at or data[next_part : next_part + 2] != b"\xff\x90":
                return
            at = next_part
            continue
        if marker == _CODE_STREAM_END:
            return
        yield marker, at + 2
        if marker == _TILE_PART:
            length = struct.unpack_from(">I", data, at + 6)[0]
            next_part = at + max(length, 12) if length else len(data)
        at += 2 + max(2, size)


def _check_blocks(data: bytes, at: int, own_precincts: bool, columns: int, rows: int, samples: int) -> None:
    """Refuse millions of precincts or code blocks, each of which a decoder allocates. ``at`` is at the levels."""
    levels, width, height = struct.unpack_from(">BBB", data, at)
    levels = min(levels, 32)
    blocks = -(-columns >> (width & 0xF) + 2) * -(-rows >> (height & 0xF) + 2)
    precincts = 0
    if own_precincts:
        for resolution in range(levels + 1):
            size = data[at + 4 + resolution]
            down = levels - resolution
            wide, high = -(-columns >> down + (size & 0xF)) or 1, -(-rows >> down + (size >> 4)) or 1
            precincts += wide * high
    if max(blocks, precincts) * samples > MAX_BLOCKS:
        raise ReadError("bomb", f"a JPEG 2000 image of {rows} x {columns} pixels in millions of parts")
