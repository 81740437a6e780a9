"""The pixel element of a DICOM file to an array of stored values, checked before a byte of it is allocated."""

import io
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np
from pydicom.encaps import generate_frames
from pydicom.uid import AllTransferSyntaxes

from medcnn.errors import ReadError
from medcnn.io.codecs import LOSSY, NATIVE, Layout, decode
from medcnn.io.codestream import CodeStream
from medcnn.io.header import Opened
from medcnn.io.limits import MAX_ENCODED_BYTES

_UNDEFINED = 0xFFFFFFFF
_LOOK_BYTES = 1 << 20
# The decoder gives RGB: it takes chroma back out, by the stream's own markers.
_CONVERTED = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in ("50", "51"))
_PIXEL_DATA, _ITEM, _END = (0x7FE0, 0x0010), (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


class Stored(NamedTuple):
    """Stored values of one image or frame.

    Attributes:
        values: ``(rows, columns)`` or, for color, ``(rows, columns, 3)`` or only the luma of it
            ``(rows, columns, 1)``; native byte order, bits next to the stored ones dropped, two's complement resolved,
            free to be overwritten.
        padding: Where the image is padding, ``(rows, columns)``; None where nothing or all of it is.
        flags: ``pixels_not_encoded``, ``pixels_not_subsampled``, ``extra_pixel_bytes``, ``color_contradicted``.
        luma_first: Whether color is stored as luma and two chroma samples rather than as RGB.
    """

    values: np.ndarray
    padding: np.ndarray | None
    flags: tuple[str, ...] = ()
    luma_first: bool = False


def stored_values(opened: Opened, layout: Layout) -> Stored:
    """Read the stored values of an image.

    Args:
        opened: A header whose stream stands at the pixel element.
        layout: The pixels as that header describes them.

    Raises:
        ReadError: ``no_pixels``, ``unsupported_object``, ``truncated``, ``bad_header``, ``too_large``, ``multiframe``,
            ``no_decoder`` or ``decode_failed``.
    """
    length, words = _element_start(opened)
    if opened.syntax in NATIVE:
        if length == _UNDEFINED:
            raise ReadError("bad_header", "the header says uncompressed, but the pixels are encapsulated")
        return _uncompressed(opened, layout, length, words)
    if length == _UNDEFINED:
        return _decoded(_fragments(opened.stream), opened.syntax, layout)
    # Some archives decompress and leave the transfer syntax: exactly as many bytes as raw pixels take are raw pixels.
    # A private syntax may be of another byte order.
    if opened.syntax in AllTransferSyntaxes and length in (_native_size(layout), _native_size(layout) + 1):
        stored = _uncompressed(opened, layout, length, words)
        return stored._replace(flags=(*stored.flags, "pixels_not_encoded"))
    raise ReadError("bad_header", "the header says compressed, but the pixels are not encapsulated")


def _uncompressed(opened: Opened, layout: Layout, length: int, words: bool) -> Stored:
    flags: tuple[str, ...] = ()
    size = _native_size(layout)
    if layout.photometric == "YBR_FULL_422" and length in (size * 3 // 2, size * 3 // 2 + 1):
        layout, flags = layout._replace(photometric="YBR_FULL"), ("pixels_not_subsampled",)
    elif length > size + 1:
        _refuse_more_pixels(opened, size, length)
        flags = ("extra_pixel_bytes",)
    values = _native(opened, layout, length, words)
    stored = _significant(values, layout, layout.high_bit)
    return stored._replace(flags=flags, luma_first=layout.photometric.startswith("YBR"))


def _refuse_more_pixels(opened: Opened, size: int, length: int) -> None:
    """Refuse more pixels than the header announces; bytes of one value behind the last pixel are a writer's padding."""
    here = opened.stream.tell()
    opened.stream.seek(here + size)
    rest = opened.stream.read(min(length - size, _LOOK_BYTES))
    opened.stream.seek(here)
    if rest.strip(rest[:1]):
        raise ReadError("bad_header", f"the header announces {size} bytes of pixels, the pixel data has {length}")


def _decoded(data: bytes, syntax: str, layout: Layout) -> Stored:
    values, stream = decode(data, syntax, layout)
    luma_first, flags = _color(stream, syntax, layout)
    if syntax in LOSSY and not layout.signed:
        # Ringing may pass the highest value, and would wrap to black if bits were cut off.
        padding = padding_mask(values, layout) if values.ndim == 2 else None
        return Stored(np.minimum(values, (1 << layout.bits_stored) - 1), padding, flags, luma_first)
    bits = _meant_bits(stream, layout)
    stored = _significant(np.require(values, requirements=["C", "W"]), layout._replace(bits_stored=bits), bits - 1)
    return stored._replace(flags=flags, luma_first=luma_first)


def _color(stream: CodeStream | None, syntax: str, layout: Layout) -> tuple[bool, tuple[str, ...]]:
    """Whether decoded color is luma first, and a flag where header and code stream contradict each other.

    The code stream is followed: what it was transformed by is what the decoder takes back.
    """
    if layout.samples == 1:
        return False, ()
    is_luma = layout.photometric.startswith("YBR")
    flag = ("color_contradicted",)
    if stream is not None and stream.is_jpeg_2000:
        # YBR_FULL is luma and chroma without a component transform; RCT and ICT are RGB with one.
        names_transform = layout.photometric in ("YBR_RCT", "YBR_ICT")
        if stream.color == "YBR":
            return False, flag if is_luma and not names_transform else ()
        return is_luma and not names_transform, flag if names_transform else ()
    if stream is not None and syntax in _CONVERTED:
        return False, flag if stream.color and (stream.color == "YBR") != is_luma else ()
    return is_luma, ()


def stored_frames(opened: Opened, layout: Layout, frames: Sequence[int], total: int) -> Iterator[Stored]:
    """Read the stored values of some frames of a multi-frame file, one after the other.

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
    if length > size * total + 1:
        _refuse_more_pixels(opened, size * total, length)
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


def _native_size(layout: Layout) -> int:
    """Bytes of uncompressed pixels."""
    count = layout.rows * layout.columns * layout.samples
    if layout.photometric == "YBR_FULL_422":
        count = count * 2 // 3
    return (count * layout.bits_allocated + 7) // 8


def _native(opened: Opened, layout: Layout, length: int, words: bool) -> np.ndarray:
    size = _native_size(layout)
    if length < size:
        raise ReadError("bad_header", f"the header asks for {size} bytes of pixels, the pixel data has {length}")
    little = opened.header.original_encoding[1]
    raw = _read_exactly(opened.stream, size + (size & 1 if not little else 0), spare=1)
    if not little and words and layout.bits_allocated <= 8:
        raw = raw.view(np.uint16).byteswap(inplace=True).view(np.uint8)
    if layout.bits_allocated == 1:
        count = layout.rows * layout.columns
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
    data = stream.read(MAX_ENCODED_BYTES + 1)
    if len(data) > MAX_ENCODED_BYTES:
        raise ReadError("too_large", f"encoded pixels of more than {MAX_ENCODED_BYTES:,} bytes")
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
    frames = [part for part in parts[1:] if part[:2] == b"\xff\xd8" or part[:4] == b"\xff\x4f\xff\x51"]
    if len(frames) > 1:
        raise ReadError("multiframe", f"the header announces one frame, the pixel data holds {len(frames)}")
    return parts[1] if len(parts) == 2 else b"".join(parts[1:])


def _meant_bits(stream: CodeStream | None, layout: Layout) -> int:
    """Bits that carry a stored value: the stream's own where a JPEG 2000 stream contradicts the header's sign."""
    if stream and stream.is_jpeg_2000 and stream.signed != layout.signed:
        return min(stream.precision, layout.bits_stored)
    return layout.bits_stored


def _significant(values: np.ndarray, layout: Layout, high_bit: int) -> Stored:
    """Keep the stored bits of each value: overlays next to them dropped, the sign extended. In place."""
    outside = padding_mask(values, layout) if _is_outside(layout) and values.ndim == 2 else None
    width = 8 * values.dtype.itemsize
    bits = min(layout.bits_stored, width)
    high_bit = min(high_bit, width - 1)
    unsigned = values.view(f"u{values.dtype.itemsize}")
    if not layout.signed:
        if high_bit + 1 > bits:
            unsigned >>= high_bit + 1 - bits
        if bits < width:
            unsigned &= (1 << bits) - 1
        kept = unsigned
    else:
        if high_bit + 1 < width:
            unsigned <<= width - high_bit - 1
        kept = unsigned.view(f"i{values.dtype.itemsize}")
        if bits < width:
            kept >>= width - bits
    if layout.padding is None or kept.ndim != 2:
        return Stored(kept, None)
    return Stored(kept, outside if _is_outside(layout) else padding_mask(kept, layout))


def _padding_ends(layout: Layout) -> tuple[int, int]:
    """The padding range as numbers that a cell of the pixel data holds, whichever sign the header gave them."""
    cell = 1 << layout.bits_allocated
    first, last = (value % cell for value in layout.padding or (0, 0))
    if layout.signed:
        first, last = (value - cell if value >= cell >> 1 else value for value in (first, last))
    return min(first, last), max(first, last)


def _is_outside(layout: Layout) -> bool:
    """Check whether padding lies outside of what the stored bits can hold, so that only whole cells show it."""
    if layout.padding is None:
        return False
    low = -(1 << (layout.bits_stored - 1)) if layout.signed else 0
    first, last = _padding_ends(layout)
    return first < low or last > low + (1 << layout.bits_stored) - 1


def padding_mask(values: np.ndarray, layout: Layout) -> np.ndarray | None:
    """Find padding by value; None where the header names none, or nothing or all of the image is that."""
    if layout.padding is None:
        return None
    first, last = _padding_ends(layout)
    cells = (
        values.view(f"{'i' if layout.signed else 'u'}{values.dtype.itemsize}") if values.dtype.kind in "iu" else values
    )
    mask = (cells >= first) & (cells <= last)
    return mask if mask.any() and not mask.all() else None
