"""Enhanced MR, CT and PET: many slices in one file, each described by functional groups, its own or shared."""

from dataclasses import replace

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from medcnn.errors import ReadError
from medcnn.io.header import numbers, text, whole_number
from medcnn.io.limits import MAX_SLICES
from medcnn.io.precision import finest, units_of
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
    if len(own) > MAX_SLICES:
        raise ReadError("too_large", f"{len(own):,} frames; at most {MAX_SLICES:,} are read")
    count = whole_number(header, "NumberOfFrames", len(own))
    if count != len(own):
        raise ReadError("bad_header", f"the header says {count} frames and describes {len(own)}")
    shared = (header.get("SharedFunctionalGroupsSequence") or [_NOTHING])[0]
    base = replace(base, frames=count, rescale=_rescale(header))
    return [_frame(replace(base, frame=number), _Groups(one, shared)) for number, one in enumerate(own)]


def _frame(base: Slice, groups: _Groups) -> Slice:
    measures, values = groups["PixelMeasuresSequence"], groups["PixelValueTransformationSequence"]
    kind, types = _kind(groups)
    position, orientation = groups["PlanePositionSequence"], groups["PlaneOrientationSequence"]
    return replace(
        base,
        position=of_length(numbers(position, "ImagePositionPatient"), 3),
        position_units=_units(position, "ImagePositionPatient"),
        orientation=of_length(numbers(orientation, "ImageOrientationPatient"), 6),
        orientation_unit=finest(_units(orientation, "ImageOrientationPatient")),
        spacing=positive_pair(numbers(measures, "PixelSpacing")),
        spacing_unit=finest(_units(measures, "PixelSpacing")),
        thickness=positive(numbers(measures, "SliceThickness")),
        between=positive(numbers(measures, "SpacingBetweenSlices")),
        rescale=_rescale(values) if len(values) else base.rescale,
        echo=("", text(groups["MREchoSequence"], "EffectiveEchoTime")),
        kind=kind,
        image_type=types,
        marks=tuple(_mark(groups, keyword, "\\".join(types)) for keyword in MARKS),
    )


def _rescale(values: Dataset) -> tuple[float, float]:
    return rescale_of(numbers(values, "RescaleSlope"), numbers(values, "RescaleIntercept"))


def _units(item: Dataset, keyword: str) -> tuple[float, ...]:
    value = item.get(keyword)
    return units_of(value) if isinstance(value, (list, MultiValue)) else ()


def _kind(groups: _Groups) -> tuple[str, tuple[str, ...]]:
    """Name what the values of a frame are, and give its whole frame type."""
    for keyword in _FRAME_TYPES:
        item = groups[keyword]
        types = item.get("FrameType")
        if types:
            third = str(types[2]) if len(types) > 2 else ""
            whole = (types,) if isinstance(types, str) else types
            return " ".join((third, text(item, "ComplexImageComponent"))).strip(), tuple(str(one) for one in whole)
    return "", ()


def _mark(groups: _Groups, keyword: str, types: str) -> str:
    if keyword == "ImageType":
        return types
    if keyword == "DiffusionGradientOrientation":
        directions = groups["MRDiffusionSequence"].get("DiffusionGradientDirectionSequence")
        return text(directions[0], "DiffusionGradientOrientation") if directions else ""
    group, element = _TOLD_IN.get(keyword, ("", ""))
    return text(groups[group], element) if group else ""
