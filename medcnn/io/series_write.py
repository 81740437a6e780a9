"""Write volumes as DICOM series, one file a slice or one enhanced file: for phantoms, tests and benchmarks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from medcnn.io.dicom_write import check_writable, save_frames

_OBJECTS = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4", "PT": "1.2.840.10008.5.1.4.1.1.128"}
_ENHANCED = {
    "CT": "1.2.840.10008.5.1.4.1.1.2.1",
    "MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "PT": "1.2.840.10008.5.1.4.1.1.130",
}
_UNKNOWN = """
    PatientName PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber ReferringPhysicianName
    Manufacturer PositionReferenceIndicator
"""
_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


class Grid(NamedTuple):
    """A DICOM grid in LPS: position of the first slice, steps in mm."""

    origin: np.ndarray
    step: np.ndarray
    down: np.ndarray
    across: np.ndarray

    @classmethod
    def of(cls, affine: np.ndarray) -> "Grid":
        """The grid of an affine ``(4, 4)`` from (slice, row, column) to mm, RAS+."""
        step, down, across, origin = (_RAS_TO_LPS[:, None] * np.asarray(affine, np.float64)[:3]).T
        return cls(origin, step, down, across)

    @property
    def orientation(self) -> list[str]:
        """ImageOrientationPatient, in as many digits as a decimal string holds."""
        directions = [one / np.linalg.norm(one) for one in (self.across, self.down)]
        return [_decimal(float(part)) for part in np.concatenate(directions)]

    @property
    def spacing(self) -> list[str]:
        """PixelSpacing: distance of rows, of columns."""
        return [_decimal(float(np.linalg.norm(one))) for one in (self.down, self.across)]

    @property
    def thickness(self) -> str:
        """Distance of slices along their normal."""
        normal = np.cross(self.across, self.down)
        return _decimal(abs(float(self.step @ normal / np.linalg.norm(normal))))

    def position(self, index: float) -> list[str]:
        """ImagePositionPatient of a slice."""
        return [_decimal(float(part)) for part in self.origin + index * self.step]


def _decimal(value: float) -> str:
    return f"{value:.10g}"


def write_series(
    folder: Path,
    voxels: np.ndarray,
    affine: np.ndarray,
    *,
    modality: str = "MR",
    bits_stored: int = 16,
    series_uid: str = "",
    study_uid: str = "",
    frame_of_reference: str = "",
    names: Sequence[str] = (),
    transfer_syntax: str = ExplicitVRLittleEndian,
    **elements: Any,
) -> list[Path]:
    """One file a slice, with the stored values ``voxels``.

    Args:
        folder: Where to; made if missing.
        voxels: Stored values ``(slices, rows, columns)`` in uint8, uint16, int8 or int16.
        affine: ``(4, 4)`` from (slice, row, column) to mm, RAS+.
        modality: ``MR``, ``CT`` or ``PT``.
        bits_stored: Bits that carry a value.
        series_uid: Series instance UID, made up if empty; likewise the next two.
        study_uid: Study instance UID.
        frame_of_reference: Frame of reference UID.
        names: A name for each file; ``0000.dcm`` and so on if none are given.
        transfer_syntax: UID of a native syntax, RLE, or one with an encoder in ``dicom_write``.
        **elements: Further elements by keyword: a value, None to leave it out, or a function of the slice index.

    Returns:
        The files in slice order.
    """
    check_writable(voxels, min(bits_stored, 8 * voxels.dtype.itemsize), str(transfer_syntax))
    folder.mkdir(parents=True, exist_ok=True)
    grid = Grid.of(affine)
    base = _base(voxels, modality, bits_stored)
    base.SOPClassUID = _OBJECTS[modality]
    base.StudyInstanceUID, base.SeriesInstanceUID = study_uid or generate_uid(), series_uid or generate_uid()
    base.FrameOfReferenceUID = frame_of_reference or generate_uid()
    base.ImageOrientationPatient, base.PixelSpacing = grid.orientation, grid.spacing
    base.SliceThickness = grid.thickness
    paths = []
    for index, plane in enumerate(voxels):
        dataset = Dataset()
        dataset.update(base)
        dataset.SOPInstanceUID, dataset.InstanceNumber = generate_uid(), index + 1
        dataset.ImagePositionPatient = grid.position(index)
        _set(dataset, elements, index)
        paths.append(folder / (names[index] if names else f"{index:04d}.dcm"))
        save_frames(paths[-1], dataset, [plane], UID(transfer_syntax), int(dataset.BitsStored))
    return paths


def _base(voxels: np.ndarray, modality: str, bits_stored: int) -> Dataset:
    dataset = Dataset()
    for keyword in _UNKNOWN.split():
        setattr(dataset, keyword, "")
    dataset.Modality, dataset.PatientID, dataset.SeriesNumber = modality, "", 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if modality == "CT" else "M"]
    dataset.Rows, dataset.Columns = voxels.shape[1:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = 8 * voxels.dtype.itemsize
    dataset.BitsStored = min(bits_stored, dataset.BitsAllocated)
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(voxels.dtype.kind == "i")
    return dataset


def _set(dataset: Dataset, elements: dict[str, Any], index: int) -> None:
    for keyword, given in elements.items():
        value = given(index) if callable(given) else given
        if value is None:
            dataset.pop(keyword, None)
        else:
            setattr(dataset, keyword, value)


def write_enhanced(
    path: Path,
    voxels: np.ndarray,
    affine: np.ndarray,
    *,
    modality: str = "MR",
    bits_stored: int = 16,
    order: Sequence[int] = (),
    rescale: Sequence[tuple[float, float]] = (),
    echo_times: Sequence[float] = (),
    stacks: Sequence[str] = (),
    transfer_syntax: str = ExplicitVRLittleEndian,
    **elements: Any,
) -> None:
    """One enhanced multi-frame file, with the stored values ``voxels``.

    Args:
        path: File to write.
        voxels: Stored values ``(slices, rows, columns)``.
        affine: ``(4, 4)`` from (slice, row, column) to mm, RAS+.
        modality: ``MR``, ``CT`` or ``PT``.
        bits_stored: Bits that carry a value.
        order: Which slice each frame holds, if not each its own; a slice may come again.
        rescale: Slope and intercept of each frame; one pair is shared by all.
        echo_times: Effective echo time of each frame in ms.
        stacks: Stack of each frame.
        transfer_syntax: As for ``write_series``.
        **elements: Further top-level elements by keyword; None removes one.
    """
    check_writable(voxels, min(bits_stored, 8 * voxels.dtype.itemsize), str(transfer_syntax))
    order = list(order) or list(range(len(voxels)))
    grid = Grid.of(affine)
    dataset = _base(voxels, modality, bits_stored)
    dataset.SOPClassUID, dataset.SOPInstanceUID = _ENHANCED[modality], generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.FrameOfReferenceUID, dataset.NumberOfFrames = generate_uid(), len(order)
    dataset.InstanceNumber = 1
    dataset.SharedFunctionalGroupsSequence = [_shared(grid, rescale)]
    dataset.PerFrameFunctionalGroupsSequence = [
        _own(grid, index, frame, rescale, echo_times, stacks) for frame, index in enumerate(order)
    ]
    _set(dataset, elements, 0)
    save_frames(path, dataset, [voxels[index] for index in order], UID(transfer_syntax), int(dataset.BitsStored))


def _shared(grid: Grid, rescale: Sequence[tuple[float, float]]) -> Dataset:
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=grid.orientation)]
    measures = _item(PixelSpacing=grid.spacing, SliceThickness=grid.thickness, SpacingBetweenSlices=grid.thickness)
    shared.PixelMeasuresSequence = [measures]
    if len(rescale) == 1:
        shared.PixelValueTransformationSequence = [_transformation(*rescale[0])]
    return shared


def _own(
    grid: Grid,
    index: int,
    frame: int,
    rescale: Sequence[tuple[float, float]],
    echo_times: Sequence[float],
    stacks: Sequence[str],
) -> Dataset:
    own = Dataset()
    own.PlanePositionSequence = [_item(ImagePositionPatient=grid.position(index))]
    content = _item(StackID=stacks[frame] if stacks else "1", InStackPositionNumber=index + 1)
    content.DimensionIndexValues = [1, index + 1]
    own.FrameContentSequence = [content]
    if len(rescale) > 1:
        own.PixelValueTransformationSequence = [_transformation(*rescale[frame])]
    if echo_times:
        own.MREchoSequence = [_item(EffectiveEchoTime=echo_times[frame])]
    return own


def _transformation(slope: float, intercept: float) -> Dataset:
    return _item(RescaleSlope=_decimal(slope), RescaleIntercept=_decimal(intercept), RescaleType="US")


def _item(**elements: Any) -> Dataset:
    item = Dataset()
    _set(item, elements, 0)
    return item
