"""The images that a segmentation refers to, with what highdicom needs of their headers."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import highdicom
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from medcnn.errors import MedcnnError
from medcnn.io.volume import Volume

#: Elements that every DICOM image must have, be they empty; files from the wild lack some.
_MAY_BE_EMPTY = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
                 "StudyDate", "StudyTime", "ReferringPhysicianName")  # fmt: skip
#: What is read of every image but the first.
_OF_EACH = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Rows",
            "Columns", "ImageType", "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness",
            "SpacingBetweenSlices", "Modality")  # fmt: skip
#: Functional groups that files may repeat for every frame, and that a segmentation has once.
_ALIKE = ("PlaneOrientationSequence", "PixelMeasuresSequence")


class Source(NamedTuple):
    """Headers of the source, one a slice or one multi-frame; of the latter also the positions of the frames taken."""

    images: list[Dataset]
    positions: list[highdicom.PlanePositionSequence] | None


def read_source(volume: Volume) -> Source:
    """Headers of a volume's files, without their pixels.

    Raises:
        MedcnnError: If a file is gone, or they name no frame of reference.
    """
    first = _header(volume.sources[0])
    if "FrameOfReferenceUID" not in first:
        raise MedcnnError("the series names no frame of reference, without which no segmentation can lie on it")
    for keyword in _MAY_BE_EMPTY:
        if keyword not in first:
            setattr(first, keyword, None)
    if "PerFrameFunctionalGroupsSequence" in first:
        positions = _of_frames(first, volume.frames)
        _say_spacing(first.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0], volume)
        return Source([first], positions)
    _say_spacing(first, volume)
    rest = [_header(path, _OF_EACH) for path in volume.sources[1:]]
    for image in rest:
        # Scanners round each image's directions for itself; those of the first hold for all, as for the volume.
        image.ImageOrientationPatient, image.PixelSpacing = first.ImageOrientationPatient, first.PixelSpacing
    return Source([first, *rest], None)


def _header(path: Path, keywords: Sequence[str] | None = None) -> Dataset:
    try:
        tags = None if keywords is None else list(keywords)
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
    except (OSError, InvalidDicomError) as error:
        raise MedcnnError(f"an image of the series cannot be read any more ({type(error).__name__})") from None


def _say_spacing(measures: Dataset, volume: Volume) -> None:
    """Put the measured distance of slices where scanners write the gap between them, or a negative number."""
    directions = volume.affine[:3, :3]
    normal = np.cross(directions[:, 1], directions[:, 2])
    measures.SpacingBetweenSlices = f"{abs(directions[:, 0] @ normal) / np.linalg.norm(normal):.10g}"


def _of_frames(image: Dataset, frames: Sequence[int]) -> list[highdicom.PlanePositionSequence] | None:
    """Positions of the frames that the volume is made of; what is alike in all is put where it is said once."""
    shared, each = image.SharedFunctionalGroupsSequence[0], image.PerFrameFunctionalGroupsSequence
    for keyword in _ALIKE:
        if keyword not in shared and keyword in each[0]:
            shared[keyword] = each[0][keyword]
    if list(frames) == list(range(len(each))):
        return None
    return [
        highdicom.PlanePositionSequence.from_sequence(each[frame].PlanePositionSequence)
        for frame in frames or range(len(each))
    ]
