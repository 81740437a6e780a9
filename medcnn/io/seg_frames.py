"""The frames of a DICOM Segmentation and where each lies, by hand arithmetic on its functional groups."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from medcnn.errors import ReadError
from medcnn.io.header import numbers

_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
#: DICOM's x grows to the left and y to the back; ours to the right and to the front.
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Frames(NamedTuple):
    """Binary frames of segments.

    Attributes:
        bits: uint8 ``(frames, rows, columns)``, 0 or 1.
        segments: Segment number of each frame.
        positions: ``(frames, 3)`` center of the first voxel of each, mm, RAS+.
        steps: ``(3, 2)`` from one row to the next, and from one column to the next, mm, RAS+.
        spacing: Between slices as the file says it, mm; 0 where it does not.
        labels: Segment number to its label.
    """

    bits: np.ndarray
    segments: np.ndarray
    positions: np.ndarray
    steps: np.ndarray
    spacing: float
    labels: dict[int, str]


def read_frames(path: Path) -> Frames:
    """The frames of a BINARY segmentation, in the order of the file.

    Raises:
        ReadError: ``unsupported_object`` for anything else, ``bad_header`` where the place of a frame is not told,
            ``unreadable`` or ``decode_failed``.
    """
    path = Path(path)
    try:
        dataset = pydicom.dcmread(path)
    except (OSError, InvalidDicomError) as error:
        raise ReadError("unreadable", f"{path.name}: no DICOM file could be read ({type(error).__name__})") from None
    if dataset.get("SOPClassUID") != _SEGMENTATION or dataset.get("SegmentationType") != "BINARY":
        raise ReadError("unsupported_object", f"{path.name}: expected a DICOM Segmentation of type BINARY")
    try:
        return _frames(dataset)
    except (AttributeError, KeyError, IndexError, ValueError) as error:
        raise ReadError(
            "bad_header", f"{path.name}: the segmentation does not tell where its frames lie ({type(error).__name__})"
        ) from None


def _frames(dataset: Any) -> Frames:
    shared = dataset.SharedFunctionalGroupsSequence[0]
    each = list(dataset.PerFrameFunctionalGroupsSequence)
    first = each[0]
    rows_apart, columns_apart = numbers(_group(shared, first, "PixelMeasuresSequence"), "PixelSpacing")
    spacing = numbers(_group(shared, first, "PixelMeasuresSequence"), "SpacingBetweenSlices")
    orientations = np.array(
        [_numbers(shared, one, "PlaneOrientationSequence", "ImageOrientationPatient") for one in each]
    )
    if orientations.shape[1:] != (6,) or np.ptp(orientations, axis=0).max() > 1e-3:
        raise ValueError("frames do not lie in parallel")
    along_row, along_column = orientations[0, :3], orientations[0, 3:]
    # A step to the next row goes along a column.
    steps = np.stack([along_column * rows_apart, along_row * columns_apart], axis=1)
    positions = np.array([_numbers(shared, one, "PlanePositionSequence", "ImagePositionPatient") for one in each])
    numbered = [_group(shared, one, "SegmentIdentificationSequence").ReferencedSegmentNumber for one in each]
    turn = LPS_TO_RAS[:3, :3]
    bits = np.asarray(dataset.pixel_array, dtype=np.uint8).reshape(len(each), int(dataset.Rows), int(dataset.Columns))
    labels = {int(one.SegmentNumber): str(one.SegmentLabel) for one in dataset.SegmentSequence}
    return Frames(bits, np.array(numbered), positions @ turn.T, turn @ steps, (spacing or [0.0])[0], labels)


def _group(shared: Dataset, frame: Dataset, keyword: str) -> Dataset:
    """One functional group of a frame: its own, or that of all."""
    found: Dataset = (frame if keyword in frame else shared)[keyword].value[0]
    return found


def _numbers(shared: Dataset, frame: Dataset, keyword: str, element: str) -> list[float]:
    return numbers(_group(shared, frame, keyword), element)
