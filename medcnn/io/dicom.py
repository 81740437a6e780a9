"""One DICOM radiograph to a film: uncompressed or encoded, gray or color, turned so that brighter means more signal."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut
from pydicom.tag import Tag
from pydicom.uid import UID

from medcnn.errors import ReadError
from medcnn.io.codecs import LOSSY, Codec, Layout, installed_codecs
from medcnn.io.color import luminance
from medcnn.io.display import shown
from medcnn.io.film import Film
from medcnn.io.header import Opened, is_cut_short, numbers, open_header, text, whole_number
from medcnn.io.stored import stored_values

__all__ = ["Codec", "installed_codecs", "read_dicom"]

#: Above any film: a 43 x 35 cm detector at 0.04 mm has 94 million pixels.
MAX_PIXELS = 1 << 27

# No name, no identifier, no date: what is not read cannot be passed on.
_KEYWORDS = """
    SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality PresentationIntentType BurnedInAnnotation
    ImagerPixelSpacing NominalScannedPixelSpacing PixelSpacing SamplesPerPixel PhotometricInterpretation
    PlanarConfiguration NumberOfFrames Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation
    PixelPaddingValue PixelPaddingRangeLimit LossyImageCompression ModalityLUTSequence RescaleSlope RescaleIntercept
    VOILUTSequence VOILUTFunction WindowCenter WindowWidth PresentationLUTShape PaletteColorLookupTableUID
    RedPaletteColorLookupTableDescriptor RedPaletteColorLookupTableData SegmentedRedPaletteColorLookupTableData
    GreenPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableData SegmentedGreenPaletteColorLookupTableData
    BluePaletteColorLookupTableDescriptor BluePaletteColorLookupTableData SegmentedBluePaletteColorLookupTableData
"""
_TAGS = [Tag(keyword) for keyword in _KEYWORDS.split()]

# Chroma has been taken back out by the decoder, or the stream's own markers say what it is.
_RGB_AFTER_DECODING = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in ("50", "51", "90", "91", "201", "202", "203"))
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
    try:
        with path.open("rb") as stream:
            return _film(stream)
    except ReadError as error:
        raise ReadError(error.code, f"{path.name}: {error}") from None
    except OSError as error:
        raise ReadError("unreadable", f"{path.name}: cannot be read ({type(error).__name__})") from None
    except Exception as error:  # noqa: BLE001  # pydicom raises what its converters raise; its words would quote the header
        raise ReadError("bad_header", f"{path.name}: the header is damaged ({type(error).__name__})") from None


def _film(stream: BinaryIO) -> Film:
    opened = open_header(stream, _TAGS)
    header = opened.header
    _refuse_other_objects(opened)
    layout = layout_of(header)
    pixels, flags = _pixels(stored_values(opened, layout), opened, layout)
    spacing = _spacing_mm(header)
    if spacing is None:
        flags = (*flags, "no_spacing")
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
        signed=whole_number(header, "PixelRepresentation", 0) == 1,
        planar=whole_number(header, "PlanarConfiguration", 0) == 1,
        photometric=text(header, "PhotometricInterpretation"),
    )
    _check_layout(layout)
    return layout


def _check_layout(layout: Layout) -> None:
    if layout.rows < 1 or layout.columns < 1:
        raise ReadError("bad_header", f"the header says {layout.rows} rows and {layout.columns} columns")
    if layout.rows * layout.columns > MAX_PIXELS:
        raise ReadError("too_large", f"{layout.rows} x {layout.columns} pixels; at most {MAX_PIXELS} are read")
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


def _pixels(stored: np.ndarray, opened: Opened, layout: Layout) -> tuple[np.ndarray, tuple[str, ...]]:
    if layout.samples == 3:
        has_luma = layout.photometric.startswith("YBR") and opened.syntax not in _RGB_AFTER_DECODING
        return (stored[..., 0].copy() if has_luma else luminance(stored)), ("color",)
    if layout.photometric == "PALETTE COLOR":
        table = luminance(apply_color_lut(np.arange(1 << min(layout.bits_stored, 16)), opened.header))
        return table[stored], ("color",)
    return shown(stored, opened.header, layout.bits_stored, layout.signed)


def header_flags(opened: Opened) -> list[str]:
    """What the header alone says of an image: ``burned_in``, ``for_processing``, ``lossy``."""
    header = opened.header
    told = {
        "burned_in": text(header, "BurnedInAnnotation") == "YES",
        "for_processing": text(header, "PresentationIntentType") == "FOR PROCESSING",
        "lossy": text(header, "LossyImageCompression") == "01" or opened.syntax in LOSSY,
    }
    return [flag for flag, holds in told.items() if holds]


def _spacing_mm(header: Dataset) -> tuple[float, float] | None:
    """Distance of rows and of columns: as calibrated where it is, else at the detector."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = numbers(header, keyword)
        if len(spacing) == 2 and min(spacing) > 0:
            return spacing[0], spacing[1]
    return None
