"""The pixel element of a DICOM file to an array of stored values, checked before a byte of it is allocated."""

import io
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
from pydicom.encaps import generate_frames

from medcnn.errors import ReadError
from medcnn.io.codecs import LOSSY, NATIVE, Layout, decode
from medcnn.io.codestream import CodeStream
from medcnn.io.header import Opened

_UNDEFINED = 0xFFFFFFFF
_PIXEL_DATA, _ITEM, _END = (0x7FE0, 0x0010), (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


def stored_values(opened: Opened, layout: Layout) -> np.ndarray:
    """Stored values as the header describes them: bits beside the stored ones dropped, two's complement resolved.

    Args:
        opened: A header whose stream stands at the pixel element.
        layout: What that header says of the pixels.

    Returns:
        ``(rows, columns)`` or, for color, ``(rows, columns, 3)``; native byte order, free to be overwritten.

    Raises:
        ReadError: ``no_pixels``, ``unsupported_object``, ``truncated``, ``bad_header``, ``no_decoder`` or
            ``decode_failed``.
    """
    length, words = _element_start(opened)
    if opened.syntax in NATIVE:
        if length == _UNDEFINED:
            raise ReadError("bad_header", "the header says uncompressed, but the pixels are encapsulated")
        return _significant(_native(opened, layout, length, words), layout, layout.high_bit)
    if length != _UNDEFINED:
        raise ReadError("bad_header", "the header says compressed, but the pixels are not encapsulated")
    return _decoded(_fragments(opened.stream), opened.syntax, layout)


def _decoded(data: bytes, syntax: str, layout: Layout) -> np.ndarray:
    values, stream = decode(data, syntax, layout)
    if syntax in LOSSY and not layout.signed:
        # Ringing may pass the highest value, and would wrap to black if bits were cut off.
        return np.minimum(values, (1 << layout.bits_stored) - 1)
    bits = _meant_bits(stream, layout)
    return _significant(np.require(values, requirements=["C", "W"]), layout._replace(bits_stored=bits), bits - 1)


def stored_frames(opened: Opened, layout: Layout, frames: Sequence[int], total: int) -> Iterator[np.ndarray]:
    """Stored values of some frames of a multi-frame file, one after the other.

    Args:
        opened: A header whose stream stands at the pixel element.
        layout: What that header says of the pixels of one frame.
        frames: Which frames, from 0.
        total: How many frames the file holds.

    Raises:
        ReadError: As ``stored_values``.
    """
    length, words = _element_start(opened)
    if opened.syntax not in NATIVE:
        encoded = _encoded_frames(opened, length, total)
        for frame in frames:
            yield _decoded(encoded[frame], opened.syntax, layout)
        return
    size, rest = divmod(layout.rows * layout.columns * layout.samples * layout.bits_allocated, 8)
    if rest or length < size * total:
        raise ReadError(
            "bad_header", f"{total} frames need {size * total} bytes of pixels, the pixel data has {length}"
        )
    start = opened.stream.tell()
    for frame in frames:
        opened.stream.seek(start + frame * size)
        yield _significant(_native(opened, layout, size, words), layout, layout.high_bit)


def _encoded_frames(opened: Opened, length: int, total: int) -> list[bytes]:
    if length != _UNDEFINED:
        raise ReadError("bad_header", "the header says compressed, but the pixels are not encapsulated")
    try:
        encoded = list(generate_frames(opened.stream, number_of_frames=total))
    except (ValueError, struct.error, EOFError):
        raise ReadError("decode_failed", "the encapsulated frames are damaged; copy the file again") from None
    if len(encoded) < total:
        raise ReadError("truncated", f"expected {total} encoded frames, found {len(encoded)}; copy the file again")
    return encoded


def _element_start(opened: Opened) -> tuple[int, bool]:
    """Length of the pixel data and whether it is of 16-bit words; the stream then stands at its first byte."""
    implicit, little = opened.header.original_encoding
    start = opened.stream.read(8)
    if len(start) < 8:
        raise ReadError("no_pixels", "the file has no pixel data")
    order = "<" if little else ">"
    if struct.unpack_from(order + "HH", start) != _PIXEL_DATA:
        raise ReadError("unsupported_object", "the pixels are floating-point numbers, which no radiograph holds")
    if implicit:
        return struct.unpack_from(order + "I", start, 4)[0], True
    rest = opened.stream.read(4)
    if len(rest) < 4:
        raise ReadError("truncated", "the file ends where its pixels begin; copy it again")
    return struct.unpack(order + "I", rest)[0], start[4:6] == b"OW"


def _native(opened: Opened, layout: Layout, length: int, words: bool) -> np.ndarray:
    count = layout.rows * layout.columns * layout.samples
    if layout.photometric == "YBR_FULL_422":
        count = count * 2 // 3
    size = (count * layout.bits_allocated + 7) // 8
    if length < size:
        raise ReadError("bad_header", f"the header asks for {size} bytes of pixels, the pixel data has {length}")
    little = opened.header.original_encoding[1]
    raw = _read_exactly(opened.stream, size + (size & 1 if not little else 0), spare=1)
    if not little and words and layout.bits_allocated <= 8:
        raw = raw.view(np.uint16).byteswap(inplace=True).view(np.uint8)
    if layout.bits_allocated == 1:
        return np.unpackbits(raw, bitorder="little")[:count].reshape(layout.rows, layout.columns)
    values = raw[:size].view(f"u{layout.bits_allocated // 8}")
    if not little and layout.bits_allocated > 8:
        values = values.byteswap(inplace=True)
    return _arranged(values, layout)


def _arranged(values: np.ndarray, layout: Layout) -> np.ndarray:
    if layout.samples == 1:
        return values.reshape(layout.rows, layout.columns)
    if layout.photometric == "YBR_FULL_422":
        luma = values.reshape(-1, 4)[:, :2]  # two luma values share one pair of chroma values
        return luma.reshape(layout.rows, layout.columns, 1)
    if layout.planar:
        return np.moveaxis(values.reshape(3, layout.rows, layout.columns), 0, -1)
    return values.reshape(layout.rows, layout.columns, 3)


def _read_exactly(stream: BinaryIO, size: int, spare: int = 0) -> np.ndarray:
    """``size`` bytes in an array of their own; up to ``spare`` of them may be missing at the end of the file."""
    here = stream.tell()
    left = stream.seek(0, io.SEEK_END) - here
    stream.seek(here)
    if left < size - spare:
        raise ReadError("truncated", f"{size} bytes of pixels are announced, {left} are there; copy the file again")
    raw = np.empty(size, np.uint8)
    stream.readinto(raw)  # type: ignore[attr-defined]
    return raw


def _fragments(stream: BinaryIO) -> bytes:
    """The one encoded frame: all fragments joined, without the offset table."""
    data = stream.read()
    parts, at = [], 0
    while at + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHI", data, at)
        if (group, element) == _END:
            break
        if (group, element) != _ITEM:
            raise ReadError("decode_failed", "the encapsulated pixels are damaged: no item where one must begin")
        if at + 8 + length > len(data):
            raise ReadError("truncated", "the file ends inside its encoded pixels; copy it again")
        parts.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    if len(parts) < 2:  # the first item is the offset table
        raise ReadError("truncated" if at + 8 > len(data) else "no_pixels", "the pixel data holds no encoded image")
    return parts[1] if len(parts) == 2 else b"".join(parts[1:])


def _meant_bits(stream: CodeStream | None, layout: Layout) -> int:
    """Bits that carry a stored value: the stream's own where a JPEG 2000 stream contradicts the header's sign."""
    if stream and stream.is_jpeg_2000 and stream.signed != layout.signed:
        return min(stream.precision, layout.bits_stored)
    return layout.bits_stored


def _significant(values: np.ndarray, layout: Layout, high_bit: int) -> np.ndarray:
    """The stored bits of each value: overlays and rubbish beside them dropped, the sign extended. In place."""
    width = 8 * values.dtype.itemsize
    bits = min(layout.bits_stored, width)
    high_bit = min(high_bit, width - 1)
    unsigned = values.view(f"u{values.dtype.itemsize}")
    if not layout.signed:
        if high_bit + 1 > bits:
            unsigned >>= high_bit + 1 - bits
        if bits < width:
            unsigned &= (1 << bits) - 1
        return unsigned
    if high_bit + 1 < width:
        unsigned <<= width - high_bit - 1
    signed = unsigned.view(f"i{values.dtype.itemsize}")
    if bits < width:
        signed >>= width - bits
    return signed
