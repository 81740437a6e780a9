"""The slices that a DICOM file holds, by its header alone."""

from dataclasses import replace
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medcnn.errors import ReadError
from medcnn.io.dicom import read_errors, refuse_no_image
from medcnn.io.header import numbers, open_header, text, whole_number
from medcnn.io.identity import patient_digest
from medcnn.io.multiframe import frames_of
from medcnn.io.precision import finest, units_of
from medcnn.io.slices import MARKS, Slice, of_length, positive, positive_pair, rescale_of

# No date and no description: what is not read cannot be passed on. Who the patient is leaves this module as a digest.
_KEYWORDS = """
    SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID Modality ImageType
    Rows Columns NumberOfFrames ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness
    SpacingBetweenSlices EchoNumbers EchoTime AcquisitionNumber TemporalPositionIdentifier DiffusionBValue
    DiffusionGradientOrientation TriggerTime InversionTime FlipAngle FrameReferenceTime ConvolutionKernel
    AcquisitionTime ContentTime RescaleSlope RescaleIntercept
    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
    PatientID IssuerOfPatientID PatientName PatientBirthDate
"""
_TAGS = {keyword: Tag(keyword) for keyword in _KEYWORDS.split()}

_BINARY = frozenset(("DiffusionBValue", "DiffusionGradientOrientation"))

# Objects that are slices by kind: without a place they are damaged, where another object is merely something else.
_SLICES = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("2", "4", "128", "2.1", "2.2", "4.1", "4.4", "130", "128.1")
)


_PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def slices_in(path: Path) -> list[Slice]:
    """The slices in a DICOM file: one, or one a frame of an enhanced multi-frame object.

    Raises:
        ReadError: For every file that holds none, with one of ``medcnn.io.find.REASONS``. Its message names the file
            by its name only and quotes no header value.
    """
    with read_errors(path), path.open("rb") as stream:
        opened = open_header(stream, list(_TAGS.values()))
        refuse_no_image(opened)
        return _slices(path, opened.header)


def _slices(path: Path, header: Dataset) -> list[Slice]:
    if "Rows" not in header:
        raise ReadError("no_pixels", "the header describes no image")
    base = Slice(
        path,
        sop=_plain(header, "SOPInstanceUID"),
        study=_plain(header, "StudyInstanceUID"),
        series=_plain(header, "SeriesInstanceUID"),
        frame_of_reference=_plain(header, "FrameOfReferenceUID"),
        modality=_plain(header, "Modality"),
        rows=whole_number(header, "Rows"),
        columns=whole_number(header, "Columns"),
        patient=patient_digest(*(_plain(header, keyword) for keyword in _PATIENT)),
    )
    if header.get("PerFrameFunctionalGroupsSequence"):
        return frames_of(base, header)
    if whole_number(header, "NumberOfFrames", 1) > 1:
        raise ReadError("multiframe", "several frames without a place each; expected slices, or an enhanced object")
    return [_classic(base, header)]


def _classic(base: Slice, header: Dataset) -> Slice:
    types = tuple(one.strip() for one in _plain(header, "ImageType").upper().split("\\"))
    if "MOSAIC" in types:
        raise ReadError("mosaic", "slices tiled into one image (a Siemens mosaic); export the series untiled")
    made = replace(
        base,
        position=of_length(numbers(header, "ImagePositionPatient"), 3),
        orientation=of_length(numbers(header, "ImageOrientationPatient"), 6),
        spacing=positive_pair(numbers(header, "PixelSpacing")),
        thickness=positive(numbers(header, "SliceThickness")),
        between=positive(numbers(header, "SpacingBetweenSlices")),
        rescale=rescale_of(numbers(header, "RescaleSlope"), numbers(header, "RescaleIntercept")),
        echo=(_plain(header, "EchoNumbers"), _plain(header, "EchoTime")),
        kind=types[2] if len(types) > 2 else "",
        image_type=types,
        position_units=_units(header, "ImagePositionPatient"),
        orientation_unit=finest(_units(header, "ImageOrientationPatient")),
        spacing_unit=finest(_units(header, "PixelSpacing")),
        marks=tuple("" if keyword == "StackID" else _plain(header, keyword) for keyword in MARKS),
    )
    kind = text(header, "SOPClassUID")
    if made.position is None and kind.startswith(_SECONDARY_CAPTURE):
        raise ReadError("screenshot", "a secondary capture without a place in the patient, such as a dose report")
    if made.position is None and made.orientation is None and kind not in _SLICES:
        raise ReadError("film", "an image without a place in the patient; expected slices")
    return made


def _plain(header: Dataset, keyword: str) -> str:
    """The text of an element; values are parted by a backslash."""
    element = header.get_item(_TAGS[keyword])
    if element is None:
        return ""
    # Taken as it lies in the file: pydicom's conversion of ten numbers takes longer than reading the whole header.
    if isinstance(element.value, bytes) and keyword not in _BINARY:
        return element.value.decode("latin-1").strip(" \0")
    return text(header, keyword)


def _units(header: Dataset, keyword: str) -> tuple[float, ...]:
    """One unit in the last digit of each value of an element that is text."""
    return units_of(_plain(header, keyword).split("\\"))
