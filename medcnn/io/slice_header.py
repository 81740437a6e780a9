"""The slices that a DICOM file holds, by its header alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medcnn.errors import ReadError
from medcnn.io.dicom import refuse_no_image
from medcnn.io.header import numbers, open_header, text, whole_number
from medcnn.io.multiframe import frames_of
from medcnn.io.slices import MARKS, Slice, of_length, positive, positive_pair, rescale_of

# No name, no date, no description: what is not read cannot be passed on.
_KEYWORDS = """
    SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID Modality ImageType
    Rows Columns NumberOfFrames ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness
    SpacingBetweenSlices EchoNumbers EchoTime AcquisitionNumber TemporalPositionIdentifier DiffusionBValue
    DiffusionGradientOrientation TriggerTime InversionTime FlipAngle FrameReferenceTime ConvolutionKernel
    AcquisitionTime ContentTime RescaleSlope RescaleIntercept
    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
"""
_TAGS = [Tag(keyword) for keyword in _KEYWORDS.split()]

# Objects that are slices by kind: without a place they are damaged, where another object is merely something else.
_SLICES = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("2", "4", "128", "2.1", "2.2", "4.1", "4.4", "130", "128.1")
)


def slices_in(path: Path) -> list[Slice]:
    """The slices in a DICOM file: one, or one a frame of an enhanced multi-frame object.

    Raises:
        ReadError: For every file that holds none, with one of ``medcnn.io.find.REASONS``. Its message names the file
            by its name only and quotes no header value.
    """
    with told_by_name(path), path.open("rb") as stream:
        opened = open_header(stream, _TAGS)
        refuse_no_image(opened)
        return _slices(path, opened.header)


@contextmanager
def told_by_name(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a DICOM file becomes a ReadError that names it by its name only."""
    try:
        yield
    except ReadError as error:
        raise ReadError(error.code, f"{path.name}: {error}") from None
    except OSError as error:
        raise ReadError("unreadable", f"{path.name}: cannot be read ({type(error).__name__})") from None
    except Exception as error:  # noqa: BLE001  # pydicom raises what its converters raise; its words would quote the header
        raise ReadError("bad_header", f"{path.name}: the header is damaged ({type(error).__name__})") from None


def _slices(path: Path, header: Dataset) -> list[Slice]:
    if "Rows" not in header:
        raise ReadError("no_pixels", "the header describes no image")
    base = Slice(
        path,
        sop=text(header, "SOPInstanceUID"),
        study=text(header, "StudyInstanceUID"),
        series=text(header, "SeriesInstanceUID"),
        frame_of_reference=text(header, "FrameOfReferenceUID"),
        modality=text(header, "Modality"),
        rows=whole_number(header, "Rows"),
        columns=whole_number(header, "Columns"),
    )
    if header.get("PerFrameFunctionalGroupsSequence"):
        return frames_of(base, header)
    if whole_number(header, "NumberOfFrames", 1) > 1:
        raise ReadError("multiframe", "several frames without a place each; expected slices, or an enhanced object")
    return [_classic(base, header)]


def _classic(base: Slice, header: Dataset) -> Slice:
    types = text(header, "ImageType").upper()
    if "MOSAIC" in types:
        raise ReadError("mosaic", "slices tiled into one image (a Siemens mosaic); export the series untiled")
    values = [one.strip(" '[]") for one in types.replace("\\", ",").split(",")]
    made = replace(
        base,
        position=of_length(numbers(header, "ImagePositionPatient"), 3),
        orientation=of_length(numbers(header, "ImageOrientationPatient"), 6),
        spacing=positive_pair(numbers(header, "PixelSpacing")),
        thickness=positive(numbers(header, "SliceThickness")),
        between=positive(numbers(header, "SpacingBetweenSlices")),
        rescale=rescale_of(numbers(header, "RescaleSlope"), numbers(header, "RescaleIntercept")),
        echo=(text(header, "EchoNumbers"), text(header, "EchoTime")),
        kind=values[2] if len(values) > 2 else "",
        marks=tuple("" if keyword == "StackID" else text(header, keyword) for keyword in MARKS),
    )
    if made.position is None and made.orientation is None and text(header, "SOPClassUID") not in _SLICES:
        raise ReadError("film", "an image without a place in the patient; expected slices")
    return made
