"""Open a DICOM file up to its pixels, without trusting what it says."""

import io
import logging
import struct
import warnings
import zlib
from typing import Any, BinaryIO, NamedTuple, cast

import pydicom.config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medcnn.errors import ReadError
from medcnn.io.decimals import parse_decimal, parse_decimals
from medcnn.io.limits import MAX_ELEMENT_BYTES, MAX_ENCODED_BYTES, MAX_INFLATED_BYTES

# Warnings of readers and writers quote header values and paths, which can be identifiers: silenced at their source,
# then at large, those among them that a library attributes to us. medcnn.io itself logs.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
warnings.filterwarnings("ignore", module=r"(pydicom|highdicom|nibabel|PIL|medcnn\.io)(\.|$)")
for _library in ("pydicom", "highdicom", "nibabel", "nibabel.global", "PIL"):
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)

_TEXT_VRS = frozenset(("DS", "IS", "LO", "SH", "CS", "ST", "LT", "UT"))
_INFLATE_STEP = 1 << 20
_READ_FREE = 1 << 16
_INFLATE_FREE = 64 << 20
_INFLATE_RATIO = 100
_UNDEFINED = 0xFFFFFFFF
_PIXEL_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))


class Opened(NamedTuple):
    """A header and the stream that stands where the pixel element begins, or at the end of the file."""

    header: Dataset
    stream: BinaryIO
    syntax: str


class _BoundedReader:
    """A file whose reads allocate no more than it holds: a buffered one allocates whatever length a header claims."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        here = stream.tell()
        self._size = stream.seek(0, io.SEEK_END)
        stream.seek(here)

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes, all that are left where it is negative."""
        if size > _READ_FREE:
            size = min(size, max(0, self._size - self._stream.tell()))
        return self._stream.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def open_header(stream: BinaryIO, tags: list[int]) -> Opened:
    """The elements ``tags`` of a DICOM file, read up to the pixel data.

    Args:
        stream: The file, at its beginning.
        tags: Top-level elements to keep; all others are skipped unread.

    Raises:
        ReadError: ``bomb``, ``too_large`` or ``truncated``. On a damaged file pydicom and zlib raise what they like.
    """
    stream = cast("BinaryIO", _BoundedReader(stream))
    read_preamble(stream, force=True)
    meta = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=_past_file_meta)
    syntax = str(meta.get("TransferSyntaxUID", "") or "") or _guessed_syntax(stream)
    if syntax == DeflatedExplicitVRLittleEndian:
        stream = io.BytesIO(_inflated(stream))
    wanted = {BaseTag(tag) for tag in tags}

    def stop(tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag in wanted and MAX_ELEMENT_BYTES < length < _UNDEFINED:
            raise ReadError(
                "too_large", f"a header element of {length:,} bytes; at most {MAX_ELEMENT_BYTES:,} are read"
            )
        return tag in _PIXEL_TAGS

    header = read_dataset(
        stream,
        is_implicit_VR=syntax == ImplicitVRLittleEndian,
        is_little_endian=syntax != ExplicitVRBigEndian,
        stop_when=stop,
        specific_tags=list(wanted),
    )
    if "MediaStorageSOPClassUID" in meta and "SOPClassUID" not in header:
        header.SOPClassUID = meta.MediaStorageSOPClassUID
    return Opened(header, stream, syntax)


def _past_file_meta(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag >> 16 != 2


def _guessed_syntax(stream: BinaryIO) -> str:
    """Encoding of a data set that does not name its transfer syntax, by its first element."""
    peek = stream.read(6)
    stream.seek(-len(peek), io.SEEK_CUR)
    if len(peek) == 6 and peek[4:6].isalpha() and peek[4:6].isupper():
        # Group 0x0008 in big endian reads as 0x0800.
        return str(ExplicitVRBigEndian if struct.unpack("<H", peek[:2])[0] >= 1024 else ExplicitVRLittleEndian)
    return str(ImplicitVRLittleEndian)


def _inflated(stream: BinaryIO) -> bytes:
    """The deflated data set, inflated step by step so that a bomb is refused long before it has grown."""
    packed = stream.read(MAX_ENCODED_BYTES + 1)
    if len(packed) > MAX_ENCODED_BYTES:
        raise ReadError("too_large", f"a deflated file of more than {MAX_ENCODED_BYTES:,} bytes")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    limit = min(MAX_INFLATED_BYTES, max(_INFLATE_FREE, _INFLATE_RATIO * len(packed)))
    parts, size = [], 0
    while packed and not inflater.eof:
        parts.append(inflater.decompress(packed, _INFLATE_STEP))
        size += len(parts[-1])
        packed = inflater.unconsumed_tail
        if size > limit:
            raise ReadError("bomb", f"the deflated data set grows beyond {limit:,} bytes")
    if not inflater.eof:
        raise ReadError("truncated", "the deflated data set ends early; copy the file again")
    return b"".join(parts)


def is_cut_short(opened: Opened) -> bool:
    """Whether the file ended before the last element of its header did."""
    here = opened.stream.tell()
    size = opened.stream.seek(0, io.SEEK_END)
    opened.stream.seek(here)
    elements = (opened.header.get_item(tag) for tag in list(opened.header.keys()))
    return here > size or any(
        isinstance(one, RawDataElement) and one.value is not None and len(one.value) < one.length < _UNDEFINED
        for one in elements
    )


def whole_number(header: Dataset, keyword: str, default: int | None = None) -> int:
    """Read a header element as an int.

    Args:
        header: A data set or an item of a sequence.
        keyword: The element.
        default: Given where the element is missing or empty; without one, it must be there.

    Raises:
        ReadError: ``bad_header``, without the value: any value could be an identifier.
    """
    values = numbers(header, keyword)
    if not values:
        if default is None:
            raise ReadError("bad_header", f"{keyword} is missing")
        return default
    if len(values) > 1 or not values[0].is_integer():
        raise ReadError("bad_header", f"{keyword} is not a whole number; correct the header")
    return int(values[0])


def numbers(header: Dataset, keyword: str) -> list[float]:
    """Read a header element as finite floats; none where it is missing or empty.

    Decimal commas, spaces and NUL around a value are read. Anything else is an error: a number that cannot be read is
    not a number that is not there.

    Raises:
        ReadError: ``bad_header``, without the value.
    """
    element = header.get_item(keyword)
    if element is None or element.value is None:
        return []
    try:
        if isinstance(element, RawDataElement) and _is_text(element):
            return parse_decimals(element.value.decode("latin-1"))
        value: Any = header.get(keyword)
        if value is None or (isinstance(value, str) and not value):
            return []
        parts = list(value) if isinstance(value, (list, tuple, MultiValue)) else [value]
        return [_finite(one) for one in parts]
    except (TypeError, ValueError, OverflowError, AttributeError, struct.error):
        raise ReadError("bad_header", f"{keyword} is not a finite number; correct the header") from None


def _is_text(element: RawDataElement) -> bool:
    """Check whether an element holds decimals as text, by its own VR or else by the dictionary's."""
    vr = element.VR if element.VR not in (None, "UN") else dictionary_VR(element.tag)
    return vr in _TEXT_VRS


def _finite(value: Any) -> float:
    if isinstance(value, (str, bytes)):
        return parse_decimal(value if isinstance(value, str) else value.decode("latin-1"))
    original = getattr(value, "original_string", None)
    number = parse_decimal(original) if original else float(value)
    if not abs(number) < float("inf"):
        raise ValueError("not finite")
    return number


def text(header: Dataset, keyword: str) -> str:
    """A header element as stripped text, empty where it is missing."""
    value: Any = header.get(keyword)
    return "" if value is None else str(value).strip().strip("\0")
