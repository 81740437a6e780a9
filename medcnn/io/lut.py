"""Lookup tables of DICOM headers, as writers in the field store them."""

from typing import Any, NamedTuple

import numpy as np
from pydicom.dataset import Dataset

from medcnn.errors import ReadError


class LookupTable(NamedTuple):
    """``entries[0]`` stands for the value ``first`` and all below it, the last entry for all above the table."""

    entries: np.ndarray
    first: int
    high: int

    def place_of(self, values: np.ndarray) -> np.ndarray:
        """Index of the entry for each value, int64."""
        return np.clip(np.rint(values).astype(np.int64) - self.first, 0, len(self.entries) - 1)

    def of(self, values: np.ndarray) -> np.ndarray:
        """Entry for each value, int64."""
        return self.entries[self.place_of(values)].astype(np.int64)


def lookup_table(item: Dataset, signed: bool, little: bool) -> LookupTable:
    """The table in an item of a Modality LUT or VOI LUT sequence.

    Args:
        item: The item, with descriptor and data.
        signed: Whether the values that go in may be negative.
        little: Whether the file is little endian.

    Raises:
        ReadError: ``bad_header`` if descriptor or data is missing or does not fit.
    """
    return lookup_table_of(item.get("LUTDescriptor"), item.get("LUTData"), signed, little)


def lookup_table_of(descriptor: Any, data: object, signed: bool, little: bool) -> LookupTable:
    """Make a table of a descriptor and its data, as :func:`lookup_table` does of an item.

    Raises:
        ReadError: ``bad_header`` if either is missing or they do not fit.
    """
    try:
        count, first, bits = (int(one) for one in descriptor)
    except (TypeError, ValueError):
        raise ReadError("bad_header", "a lookup table lacks its descriptor") from None
    if data is None or (isinstance(data, (str, bytes)) and not data):
        raise ReadError("bad_header", "a lookup table lacks its data")
    count = count % 65536 or 65536  # 0 means 65536, and a signed reading of the count may be negative
    if signed and first > 32767:
        first -= 65536
    entries = _entries(data, count, little)
    declared = (1 << bits) - 1 if 8 <= bits <= 16 else 65535
    return LookupTable(entries, first, declared if entries.max() <= declared else 65535)


def _entries(data: object, count: int, little: bool) -> np.ndarray:
    """``count`` entries: words, or bytes packed two to a word, whatever bit depth the descriptor claims."""
    if isinstance(data, bytes):
        words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little else ">u2")
    else:
        try:
            words = (np.atleast_1d(np.asarray(data)).astype(np.int64) & 0xFFFF).astype(np.uint16)
        except (TypeError, ValueError, OverflowError):
            raise ReadError("bad_header", "a lookup table holds entries that are no whole numbers") from None
    if len(words) >= count:
        return words[:count]
    packed = words.astype("<u2").view(np.uint8)  # the first entry is in the lower byte
    if len(packed) < count:
        raise ReadError("bad_header", f"a lookup table of {count} entries holds {len(packed)} bytes")
    return packed[:count]
