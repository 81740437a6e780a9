"""Enhanced MR, CT and PET: many slices in one file, each described by functional groups, its own or shared."""

from dataclasses import replace

from pydicom.dataset import Dataset

from medcnn.errors import ReadError
from medcnn.io.header import numbers, text, whole_number
from medcnn.io.slices import MARKS, Slice, of_length, positive, positive_pair, rescale_of

_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
#: Mark -> the functional group and the element in it that say the same of a frame.
_TOLD_IN = {
    "StackID": ("FrameContentSequence", "StackID"),
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
    "AcquisitionNumber": ("FrameContentSequence", "FrameAcquisitionNumber"),
    "DiffusionBValue": ("MRDiffusionSequence", "DiffusionBValue"),
    "TriggerTime": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    "InversionTime": ("MRModifierSequence", "InversionTimes"),
    "FlipAngle": ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
    "ConvolutionKernel": ("CTReconstructionSequence", "ConvolutionKernel"),
}
_NOTHING = Dataset()


class _Groups:
    """The functional groups of one frame: its own, else those that all frames share."""

    def __init__(self, own: Dataset, shared: Dataset) -> None:
        self._places = own, shared

    def __getitem__(self, keyword: str) -> Dataset:
        for place in self._places:
            sequence = place.get(keyword)
            if sequence:
                return sequence[0]
        return _NOTHING


def frames_of(base: Slice, header: Dataset) -> list[Slice]:
    """One slice a frame.

    Args:
        base: What the file says of all its frames.
        header: With the functional groups.

    Raises:
        ReadError: ``bad_header`` if there are not as many groups as frames.
    """
    own = header.PerFrameFunctionalGroupsSequence
    count = whole_number(header, "NumberOfFrames", len(own))
    if count != len(own):
        raise ReadError("bad_header", f"the header says {count} frames and describes {len(own)}")
    shared = (header.get("SharedFunctionalGroupsSequence") or [_NOTHING])[0]
    base = replace(base, frames=count, rescale=_rescale(header))
    return [_frame(replace(base, frame=number), _Groups(one, shared)) for number, one in enumerate(own)]


def _frame(base: Slice, groups: _Groups) -> Slice:
    measures, values = groups["PixelMeasuresSequence"], groups["PixelValueTransformationSequence"]
    kind, types = _kind(groups)
    return replace(
        base,
        position=of_length(numbers(groups["PlanePositionSequence"], "ImagePositionPatient"), 3),
        orientation=of_length(numbers(groups["PlaneOrientationSequence"], "ImageOrientationPatient"), 6),
        spacing=positive_pair(numbers(measures, "PixelSpacing")),
        thickness=positive(numbers(measures, "SliceThickness")),
        between=positive(numbers(measures, "SpacingBetweenSlices")),
        rescale=_rescale(values) if len(values) else base.rescale,
        echo=("", text(groups["MREchoSequence"], "EffectiveEchoTime")),
        kind=kind,
        marks=tuple(_mark(groups, keyword, types) for keyword in MARKS),
    )


def _rescale(values: Dataset) -> tuple[float, float]:
    return rescale_of(numbers(values, "RescaleSlope"), numbers(values, "RescaleIntercept"))


def _kind(groups: _Groups) -> tuple[str, str]:
    """What the values of a frame are, and its whole frame type."""
    for keyword in _FRAME_TYPES:
        item = groups[keyword]
        types = item.get("FrameType")
        if types:
            third = str(types[2]) if len(types) > 2 else ""
            return " ".join((third, text(item, "ComplexImageComponent"))).strip(), str(types)
    return "", ""


def _mark(groups: _Groups, keyword: str, types: str) -> str:
    if keyword == "ImageType":
        return types
    if keyword == "DiffusionGradientOrientation":
        directions = groups["MRDiffusionSequence"].get("DiffusionGradientDirectionSequence")
        return text(directions[0], "DiffusionGradientOrientation") if directions else ""
    group, element = _TOLD_IN.get(keyword, ("", ""))
    return text(groups[group], element) if group else ""
