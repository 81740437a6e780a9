"""One DICOM radiograph to a film: uncompressed or encoded, gray or color, turned so that brighter means more signal."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from medcnn.errors import ReadError
from medcnn.io.codecs import LOSSY, Codec, Layout, installed_codecs
from medcnn.io.color import luminance
from medcnn.io.display import shown
from medcnn.io.film import Film
from medcnn.io.functional_groups import with_frame_attributes
from medcnn.io.header import Opened, is_cut_short, numbers, open_header, text, whole_number
from medcnn.io.limits import check_decoded_bytes, check_pixels
from medcnn.io.palette import palette_luminance
from medcnn.io.square_pixels import with_square_pixels
from medcnn.io.stored import Stored, stored_values

__all__ = ["Codec", "installed_codecs", "read_dicom"]

# No name, no identifier, no date: what is not read cannot be passed on.
_KEYWORDS = """
    SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality PresentationIntentType BurnedInAnnotation
    ImagerPixelSpacing NominalScannedPixelSpacing PixelSpacing SamplesPerPixel PhotometricInterpretation
    PlanarConfiguration NumberOfFrames Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation
    PixelPaddingValue PixelPaddingRangeLimit LossyImageCompression ModalityLUTSequence RescaleSlope RescaleIntercept
    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence PixelAspectRatio
    VOILUTSequence VOILUTFunction WindowCenter WindowWidth PresentationLUTShape PaletteColorLookupTableUID
    RedPaletteColorLookupTableDescriptor RedPaletteColorLookupTableData SegmentedRedPaletteColorLookupTableData
    GreenPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableData SegmentedGreenPaletteColorLookupTableData
    BluePaletteColorLookupTableDescriptor BluePaletteColorLookupTableData SegmentedBluePaletteColorLookupTableData
"""
_TAGS = [Tag(keyword) for keyword in _KEYWORDS.split()]

_COLORS = frozenset(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"))
_GRAYS = frozenset(("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"))


def read_dicom(path: Path) -> Film:
    """The radiograph in a DICOM file.

    Lookup tables, rescale and the first window are applied and MONOCHROME1 is turned. Color becomes luminance with
    the flag ``color``; padding becomes as dark as the darkest of the film.

    Raises:
        ReadError: For every file that does not give one, with one of ``medcnn.io.find.REASONS`` as its code. The
            message names the file by its name only and quotes no header value: any could be an identifier.
    """
    path = Path(path)
    with read_errors(path), path.open("rb") as stream:
        return _film(stream)


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a DICOM file into a ReadError that names the file by its name only."""
    try:
        yield
    except ReadError as error:
        raise ReadError(error.code, f"{path.name}: {error}") from None
    except MemoryError:
        raise ReadError("out_of_memory", f"{path.name}: needs more memory than there is") from None
    except OSError as error:
        raise ReadError("unreadable", f"{path.name}: cannot be read ({type(error).__name__})") from None
    except Exception as error:  # noqa: BLE001  # pydicom raises what its converters raise; its words would quote the header
        raise ReadError("bad_header", f"{path.name}: the header is damaged ({type(error).__name__})") from None


def _film(stream: BinaryIO) -> Film:
    opened = open_header(stream, _TAGS)
    _refuse_other_objects(opened)
    header, contradicted = with_frame_attributes(opened.header)
    opened = opened._replace(header=header)
    layout = layout_of(header)
    stored = stored_values(opened, layout)
    pixels, flags = _pixels(stored, opened, layout)
    spacing, spacing_flags = _spacing_mm(header)
    pixels, spacing, square_flags = with_square_pixels(pixels, spacing, _aspect(header))
    if spacing is None:
        spacing_flags = (*spacing_flags, "no_spacing")
    flags = (*flags, *stored.flags, *spacing_flags, *square_flags, *(["attributes_contradict"] if contradicted else []))
    return Film(
        pixels,
        np.diag([*(spacing or (1.0, 1.0)), 1.0, 1.0]),
        text(header, "StudyInstanceUID"),
        text(header, "SeriesInstanceUID"),
        text(header, "SOPInstanceUID"),
        text(header, "Modality"),
        tuple(sorted({*flags, *header_flags(opened)})),
    )


def _refuse_other_objects(opened: Opened) -> None:
    refuse_no_image(opened)
    if whole_number(opened.header, "NumberOfFrames", 1) > 1:
        raise ReadError("multiframe", "the file holds several frames; expected one film")


def refuse_no_image(opened: Opened) -> None:
    """Refuse objects that hold no image, such as reports, and headers that end early.

    Raises:
        ReadError: ``unsupported_object`` or ``truncated``.
    """
    kind = UID(text(opened.header, "SOPClassUID"), IGNORE)
    if kind and kind.name != kind and "Image" not in kind.name:
        raise ReadError("unsupported_object", f"a DICOM object without an image: {kind.name}")
    if is_cut_short(opened):
        raise ReadError("truncated", "the file ends inside its header; copy it again")


def layout_of(header: Dataset) -> Layout:
    """The stored pixels as the header describes them, refused before anything is allocated for them.

    Raises:
        ReadError: ``no_pixels``, ``bad_header``, ``too_large`` or ``unsupported_photometric``.
    """
    if "Rows" not in header and "BitsAllocated" not in header:
        raise ReadError("no_pixels", "the header describes no image")
    rows, columns = whole_number(header, "Rows"), whole_number(header, "Columns")
    allocated = whole_number(header, "BitsAllocated")
    bits = whole_number(header, "BitsStored", allocated)
    layout = Layout(
        rows=rows,
        columns=columns,
        samples=whole_number(header, "SamplesPerPixel", 1),
        bits_allocated=allocated,
        bits_stored=bits,
        high_bit=whole_number(header, "HighBit", bits - 1),
        signed=_is_one(header, "PixelRepresentation"),
        planar=_is_one(header, "PlanarConfiguration"),
        photometric=text(header, "PhotometricInterpretation").upper(),
        padding=_padding(header),
    )
    _check_layout(layout)
    return layout


def _is_one(header: Dataset, keyword: str) -> bool:
    value = whole_number(header, keyword, 0)
    if value not in (0, 1):
        raise ReadError("bad_header", f"{keyword} is neither 0 nor 1; correct the header")
    return value == 1


def _padding(header: Dataset) -> tuple[int, int] | None:
    if not numbers(header, "PixelPaddingValue"):
        return None
    first = whole_number(header, "PixelPaddingValue")
    return first, whole_number(header, "PixelPaddingRangeLimit", first)


def _check_layout(layout: Layout) -> None:
    if layout.rows < 1 or layout.columns < 1:
        raise ReadError("bad_header", f"the header says {layout.rows} rows and {layout.columns} columns")
    check_pixels(layout.rows, layout.columns)
    check_decoded_bytes(layout.rows * layout.columns * layout.samples * layout.bits_allocated // 8)
    if layout.bits_allocated not in (1, 8, 16, 32) or not 1 <= layout.bits_stored <= layout.bits_allocated:
        raise ReadError("bad_header", f"{layout.bits_stored} of {layout.bits_allocated} bits stored; expected 1 to 32")
    if not layout.bits_stored - 1 <= layout.high_bit < layout.bits_allocated:
        raise ReadError("bad_header", f"high bit {layout.high_bit} does not fit {layout.bits_stored} bits stored")
    if layout.samples not in (1, 3):
        raise ReadError("unsupported_photometric", f"{layout.samples} samples a pixel; expected 1 or 3")
    if layout.photometric not in (_GRAYS if layout.samples == 1 else _COLORS):
        raise ReadError("unsupported_photometric", f"a photometric interpretation unknown for {layout.samples} samples")
    if layout.samples == 3 and layout.bits_allocated not in (8, 16):
        raise ReadError("unsupported_photometric", f"color of {layout.bits_allocated} bits; expected 8 or 16")


def _pixels(stored: Stored, opened: Opened, layout: Layout) -> tuple[np.ndarray, tuple[str, ...]]:
    if layout.samples == 3:
        return (stored.values[..., 0].copy() if stored.luma_first else luminance(stored.values)), ("color",)
    if layout.photometric == "PALETTE COLOR":
        return palette_luminance(stored.values, opened.header, layout.signed), ("color",)
    return shown(stored.values, opened.header, layout.bits_stored, layout.signed, stored.padding)


def header_flags(opened: Opened) -> list[str]:
    """What the header alone says of an image: ``burned_in``, ``for_processing``, ``lossy``."""
    header = opened.header
    told = {
        "burned_in": text(header, "BurnedInAnnotation") == "YES",
        "for_processing": text(header, "PresentationIntentType") == "FOR PROCESSING",
        "lossy": text(header, "LossyImageCompression") == "01" or opened.syntax in LOSSY,
    }
    return [flag for flag, holds in told.items() if holds]


def _spacing_mm(header: Dataset) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Distance of rows and of columns, as calibrated where it is, else at the detector; then flags."""
    flags: tuple[str, ...] = ()
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        try:
            spacing = numbers(header, keyword)
        except ReadError:
            spacing = [0.0]
        if len(spacing) == 2 and min(spacing) > 0:
            return (spacing[0], spacing[1]), flags
        if spacing:
            flags = ("spacing_ignored",)
    return None, flags


def _aspect(header: Dataset) -> float | None:
    """Height of a pixel as a multiple of its width, where the header gives no spacing but a ratio."""
    ratio = numbers(header, "PixelAspectRatio")
    return ratio[0] / ratio[1] if len(ratio) == 2 and min(ratio) > 0 else None
