"""What an encoded image says of itself, read from its markers without decoding it."""

import struct
from typing import NamedTuple

_JPEG_SIZES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}  # the SOF markers; tables and DAC are not
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))


class CodeStream(NamedTuple):
    """Size and depth of an encoded image."""

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool
    is_jpeg_2000: bool


def described(data: bytes) -> CodeStream | None:
    """Size of a JPEG, JPEG-LS or JPEG 2000 stream; None where the bytes are of no such kind."""
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg_size(data)
        start = data.find(b"\xff\x4f\xff\x51", 0, 4096)  # a JP2 file holds its code stream in a box
        return _jpeg_2000_size(data, start) if start >= 0 else None
    except struct.error:
        return None


def _jpeg_size(data: bytes) -> CodeStream | None:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _JPEG_SIZES:
            precision, rows, columns, samples = struct.unpack_from(">BHHB", data, at + 4)
            return CodeStream(rows, columns, samples, precision, False, False)
        elif marker in _WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _jpeg_2000_size(data: bytes, start: int) -> CodeStream:
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    samples, depth = struct.unpack_from(">HB", data, start + 40)
    return CodeStream(bottom - top, right - left, samples, (depth & 0x7F) + 1, bool(depth & 0x80), True)
