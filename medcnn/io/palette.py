"""Palette color: the luminance of each index."""

from collections.abc import Iterator, Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut

from medcnn.errors import ReadError
from medcnn.io.color import luminance
from medcnn.io.lut import lookup_table_of

_COLORS = ("Red", "Green", "Blue")
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
_MAX_ENTRIES = 1 << 16


def palette_luminance(stored: np.ndarray, header: Dataset, signed: bool) -> np.ndarray:
    """Look up palette indices and weigh the colors to their luminance.

    Args:
        stored: Indices ``(rows, columns)``.
        header: With a palette, segmented or not.
        signed: Whether indices may be negative.

    Returns:
        ``(rows, columns)`` in uint8 or uint16, as deep as the palette.

    Raises:
        ReadError: ``bad_header`` if the palette is missing or damaged.
    """
    if header.get("RedPaletteColorLookupTableData") is None:
        return _segmented(stored, header, signed)
    little = header.original_encoding[1]
    tables = []
    for color in _COLORS:
        descriptor = header.get(f"{color}PaletteColorLookupTableDescriptor")
        data = header.get(f"{color}PaletteColorLookupTableData")
        tables.append(lookup_table_of(descriptor, data, signed, little))
    if len({(len(table.entries), table.first) for table in tables}) > 1:
        raise ReadError("bad_header", "the palettes of red, green and blue differ in size; correct the header")
    gray = luminance(np.stack([table.entries for table in tables], axis=-1))
    return gray[tables[0].place_of(stored)]


def _segmented(stored: np.ndarray, header: Dataset, signed: bool) -> np.ndarray:
    """Expand segments by pydicom, after their entries have been counted: each word may stand for thousands."""
    try:
        count, first, bits = (int(one) for one in header.RedPaletteColorLookupTableDescriptor)
    except (AttributeError, TypeError, ValueError):
        raise ReadError("bad_header", "the palette lacks its descriptor or its data") from None
    count = count % _MAX_ENTRIES or _MAX_ENTRIES
    if bits not in (8, 16) or (bits == 8 and count > 256):
        raise ReadError("bad_header", "a segmented palette that is neither of 8 nor of 16 bits; correct the header")
    first = first - _MAX_ENTRIES if signed and first > 32767 else first
    order = "<" if header.original_encoding[1] else ">"
    for color in _COLORS:
        data = header.get(f"Segmented{color}PaletteColorLookupTableData")
        if not isinstance(data, bytes):
            raise ReadError("bad_header", "the palette lacks its data")
        size = bits // 8
        words = np.frombuffer(data[: len(data) // size * size], f"{order}u{size}").tolist()
        if _count_entries(words, bits == 8, order == "<") != count:
            raise ReadError("bad_header", "the segments of a palette give another number of entries than announced")
    colors = apply_color_lut(np.arange(first, first + count), header)
    return luminance(colors)[np.clip(stored.astype(np.int64) - first, 0, count - 1)]


def _count_entries(words: Sequence[int], bytewise: bool, little: bool) -> int:
    total = 0
    for steps, length in enumerate(_segment_lengths(words, bytewise, little)):
        total += length
        if total > _MAX_ENTRIES or steps > _MAX_ENTRIES:
            raise ReadError("bomb", f"the segments of a palette grow beyond {_MAX_ENTRIES:,} entries")
    return total


def _segment_lengths(words: Sequence[int], bytewise: bool, little: bool) -> Iterator[int]:
    """Length of each segment, those that an indirect one refers to included (PS3.3 C.7.9.2)."""
    at = 0
    while at + 1 < len(words):
        kind, length = words[at], words[at + 1]
        if kind == _INDIRECT:
            parts = words[at + 2 : at + (6 if bytewise else 4)]
            if len(parts) < (4 if bytewise else 2):
                raise ReadError("bad_header", "a palette ends inside a segment")
            yield from _referred_lengths(words, _offset(parts, bytewise, little), length)
            at += 6 if bytewise else 4
        elif kind in (_DISCRETE, _LINEAR):
            yield length
            at += 2 + (length if kind == _DISCRETE else 1)
        else:
            raise ReadError("bad_header", "a segment of a palette is of no known kind")


def _offset(parts: Sequence[int], bytewise: bool, little: bool) -> int:
    if not bytewise:
        return parts[1] << 16 | parts[0]
    high, *rest = (parts[place] for place in ((3, 2, 1, 0) if little else (2, 3, 0, 1)))
    return high << 24 | rest[0] << 16 | rest[1] << 8 | rest[2]


def _referred_lengths(words: Sequence[int], at: int, count: int) -> Iterator[int]:
    for _ in range(count):
        if at + 1 >= len(words):
            return
        kind, length = words[at], words[at + 1]
        if kind not in (_DISCRETE, _LINEAR):
            raise ReadError("bad_header", "an indirect segment of a palette refers to another")
        yield length
        at += 2 + (length if kind == _DISCRETE else 1)
