"""The values of slices: decoded, rescaled each by its own header, in one array."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom.tag import Tag

from medcnn.errors import ReadError
from medcnn.io.codecs import Layout
from medcnn.io.dicom import header_flags, layout_of, read_errors
from medcnn.io.display import turned
from medcnn.io.header import Opened, open_header
from medcnn.io.lut import lookup_table
from medcnn.io.slices import Slice
from medcnn.io.stored import Stored, stored_frames, stored_values

_KEYWORDS = """
    SOPClassUID BurnedInAnnotation LossyImageCompression NumberOfFrames Rows Columns SamplesPerPixel
    PhotometricInterpretation PlanarConfiguration BitsAllocated BitsStored HighBit PixelRepresentation
    PixelPaddingValue PixelPaddingRangeLimit ModalityLUTSequence
"""
_TAGS = [Tag(keyword) for keyword in _KEYWORDS.split()]
_GRAYS = ("MONOCHROME1", "MONOCHROME2")
#: Their values are quantities: however they are to be shown, a higher one stays higher.
_QUANTITIES = frozenset(("CT", "PT"))


class _Decoded(NamedTuple):
    """One slice: its values on the way to the volume, where it is padding, and the range that its bits span."""

    values: np.ndarray
    padding: np.ndarray | None
    low: int
    high: int


def voxels_of(slices: Sequence[Slice]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Modality values of slices in their order, whatever files they lie in.

    MONOCHROME1 is turned so that brighter means more signal, with the flag ``inverted``; where values are quantities
    (CT, PET) they stay. Padding that is not as dark as the darkest voxel becomes so; the flag is ``padding``.

    Returns:
        ``(slices, rows, columns)``: uint8, int16, uint16 or int32 where values are whole, else float32; then flags.

    Raises:
        ReadError: As ``medcnn.io.stored.stored_values``; ``unsupported_photometric`` for color, ``mixed_size``.
    """
    decoded: list[_Decoded | None] = [None] * len(slices)
    flags: set[str] = set()
    for path, places in _by_file(slices).items():
        with read_errors(path):
            for at, one, told in _decode_file(path, [(at, slices[at]) for at in places]):
                decoded[at] = one
                flags.update(told)
    whole = [one for one in decoded if one is not None]
    scales = [one.rescale for one in slices]
    if len(set(scales)) > 1:
        flags.add("rescale_differs")
    voxels = _rescaled(whole, scales)
    if any(one.padding is not None for one in whole):
        flags.add("padding")
        _darken(voxels, [one.padding for one in whole])
    return voxels, tuple(sorted(flags))


def _by_file(slices: Sequence[Slice]) -> dict[Path, list[int]]:
    places: dict[Path, list[int]] = {}
    for at, one in enumerate(slices):
        places.setdefault(one.path, []).append(at)
    return places


def _decode_file(path: Path, wanted: list[tuple[int, Slice]]) -> Iterator[tuple[int, _Decoded, list[str]]]:
    with path.open("rb") as stream:
        opened = open_header(stream, _TAGS)
        layout = layout_of(opened.header)
        first = wanted[0][1]
        if layout.photometric not in _GRAYS:
            raise ReadError("unsupported_photometric", "color where gray slices were expected")
        if (layout.rows, layout.columns) != (first.rows, first.columns):
            raise ReadError("mixed_size", "the file changed since it was found; look for series again")
        flags = header_flags(opened)
        if first.frames:
            frames = stored_frames(opened, layout, [one.frame for _, one in wanted], first.frames)
        else:
            frames = iter([stored_values(opened, layout)])
        for (at, one), stored in zip(wanted, frames, strict=True):
            inverted = layout.photometric == "MONOCHROME1" and one.modality not in _QUANTITIES
            own_flags = [*flags, *stored.flags, *["inverted"] * inverted]
            yield at, _as_meant(stored, opened, layout, inverted), own_flags


def _as_meant(stored: Stored, opened: Opened, layout: Layout, inverted: bool) -> _Decoded:
    low = -(1 << (layout.bits_stored - 1)) if layout.signed else 0
    high = low + (1 << layout.bits_stored) - 1
    padding = stored.padding
    values = turned(stored.values, high, layout.signed) if inverted else stored.values
    if opened.header.get("ModalityLUTSequence"):
        item = opened.header.ModalityLUTSequence[0]
        table = lookup_table(item, layout.signed, opened.header.original_encoding[1])
        return _Decoded(table.of(values).astype(np.int32), padding, 0, table.high)
    return _Decoded(values, padding, low, high)


def _rescaled(decoded: list[_Decoded], scales: list[tuple[float, float]]) -> np.ndarray:
    dtype = _dtype(decoded, scales)
    voxels = np.empty((len(decoded), *decoded[0].values.shape), dtype)
    for out, one, (slope, intercept) in zip(voxels, decoded, scales, strict=True):
        if (slope, intercept) == (1.0, 0.0):
            out[...] = one.values
        else:
            out[...] = one.values * slope + intercept  # in double, where every stored value is exact
    return voxels


def _dtype(decoded: list[_Decoded], scales: list[tuple[float, float]]) -> type[np.generic]:
    """The narrowest that holds what the bits may hold or, where that is wide, what is there."""
    if not all(float(part).is_integer() for scale in set(scales) for part in scale):
        return np.float32
    declared = _ends([(one.low, one.high) for one in decoded], scales)
    narrow = _fitting(*declared)
    if narrow in (np.uint8, np.int16):
        return narrow
    found = _ends([(int(one.values.min()), int(one.values.max())) for one in decoded], scales)
    return np.int16 if _fitting(*found) in (np.uint8, np.int16) else _fitting(*found)


def _ends(ranges: list[tuple[int, int]], scales: list[tuple[float, float]]) -> tuple[float, float]:
    both = list(zip(ranges, scales, strict=True))
    ends = [end * slope + intercept for pair, (slope, intercept) in both for end in pair]
    return min(ends), max(ends)


def _fitting(low: float, high: float) -> type[np.generic]:
    for dtype in (np.uint8, np.int16, np.uint16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    return np.float32


def _darken(voxels: np.ndarray, padding: list[np.ndarray | None]) -> None:
    """Padding brighter than the darkest voxel that is none becomes as dark as that: it is no signal."""
    least = min(
        plane.min() if mask is None else plane[~mask].min() for plane, mask in zip(voxels, padding, strict=True)
    )
    for plane, mask in zip(voxels, padding, strict=True):
        if mask is not None:
            plane[mask] = np.minimum(plane[mask], least)
