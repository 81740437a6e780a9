"""The images that a segmentation refers to, with what highdicom needs of their headers."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

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
    """What a segmentation is made on.

    Attributes:
        images: Headers, one a slice in slice order; or one multi-frame, reduced to the frames of the volume.
        frames: Of a multi-frame: the number in its file, from 1, of each frame that is left in the header.
    """

    images: list[Dataset]
    frames: tuple[int, ...]


def read_source(volume: Volume) -> Source:
    """Headers of a volume's files, without their pixels.

    Raises:
        MedcnnError: If a file is gone, they name no frame of reference, or are several multi-frame files.
    """
    first = _header(volume.sources[0])
    if "FrameOfReferenceUID" not in first:
        raise MedcnnError("the series names no frame of reference, without which no segmentation can lie on it")
    for keyword in _MAY_BE_EMPTY:
        if keyword not in first:
            setattr(first, keyword, None)
    if "PerFrameFunctionalGroupsSequence" in first:
        if len(set(volume.sources)) > 1:
            raise MedcnnError("the series is made of several multi-frame files; a segmentation can lie on one only")
        return _of_frames(first, volume)
    _say_spacing(first, volume)
    rest = [_header(path, _OF_EACH) for path in volume.sources[1:]]
    for image in rest:
        # Scanners round each image's directions for itself; those of the first hold for all, as for the volume.
        image.ImageOrientationPatient, image.PixelSpacing = first.ImageOrientationPatient, first.PixelSpacing
    return Source([first, *rest], ())


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


def _of_frames(image: Dataset, volume: Volume) -> Source:
    """A multi-frame of the volume's frames alone, in its order; what is alike in all is put where it is shared."""
    shared, each = image.SharedFunctionalGroupsSequence[0], image.PerFrameFunctionalGroupsSequence
    frames = volume.frames or tuple(range(len(each)))
    for keyword in _ALIKE:
        if keyword not in shared and keyword in each[frames[0]]:
            shared[keyword] = each[frames[0]][keyword]
    _say_spacing(shared.PixelMeasuresSequence[0], volume)
    image.PerFrameFunctionalGroupsSequence = [each[frame] for frame in frames]
    image.NumberOfFrames = len(frames)
    return Source([image], tuple(frame + 1 for frame in frames))
