"""The images that a segmentation refers to, with what highdicom needs of their headers."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import generate_uid

from medcnn.errors import MedcnnError
from medcnn.io.header import numbers
from medcnn.io.seg_patient import PatientModule, patient_module
from medcnn.io.volume import Volume

#: What is read of every image but the first.
_OF_EACH = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Rows",
            "Columns", "ImageType", "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness",
            "SpacingBetweenSlices", "Modality")  # fmt: skip
#: What is read of the first, or of a multi-frame, besides.
_OF_FIRST = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionOrganizationSequence",
             "DimensionIndexSequence", "NumberOfFrames", "PositionReferenceIndicator")  # fmt: skip
#: Elements that a segmentation is made with empty, and that it gets valid values of afterwards.
_EMPTY = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
          "StudyTime", "ReferringPhysicianName")  # fmt: skip
#: Functional groups that files may repeat for every frame, and that a segmentation has once.
_ALIKE = ("PlaneOrientationSequence", "PixelMeasuresSequence")


class Source(NamedTuple):
    """What a segmentation is made on.

    Attributes:
        images: Headers, one a slice in slice order; or one multi-frame, reduced to the frames of the volume.
        frames: Of a multi-frame: the number in its file, from 1, of each frame that is left in the header.
        patient: Patient and study, as far as their values are valid.
        left_out: Keywords of what the source has no valid value of.
        series_number: Of the source; 0 where it has none.
    """

    images: list[Dataset]
    frames: tuple[int, ...]
    patient: PatientModule
    left_out: tuple[str, ...]
    series_number: int


def read_source(volume: Volume) -> Source:
    """Headers of a volume's files, without their pixels.

    Raises:
        MedcnnError: If a file is gone, or they are several multi-frame files.
    """
    header = _header(volume.sources[0])
    patient = patient_module(header)
    first = Dataset()
    for keyword in (*_OF_EACH, *_OF_FIRST):
        if keyword in header:
            first[keyword] = header[keyword]
    first.file_meta = header.file_meta
    for keyword in _EMPTY:
        setattr(first, keyword, None)
    left_out = (*patient.left_out, *_fill_in(first, volume))
    number = int((numbers(header, "SeriesNumber") or [0.0])[0])
    if "PerFrameFunctionalGroupsSequence" in first:
        if len(set(volume.sources)) > 1:
            raise MedcnnError("the series is made of several multi-frame files; a segmentation can lie on one only")
        images, frames = _of_frames(first, volume)
        return Source(images, frames, patient, left_out, number)
    _say_spacing(first, volume)
    rest = [_header(path, _OF_EACH) for path in volume.sources[1:]]
    for image in rest:
        # Scanners round each image's directions for itself; those of the first hold for all, as for the volume.
        for keyword in ("ImageOrientationPatient", "PixelSpacing", "SliceThickness", *_UIDS):
            setattr(image, keyword, first[keyword].value)
    return Source([first, *rest], (), patient, left_out, number)


#: UIDs without which a segmentation refers to nothing; made from that of the series where a file has none.
_UIDS = ("StudyInstanceUID", "FrameOfReferenceUID")


def _fill_in(first: Dataset, volume: Volume) -> list[str]:
    """Give a header what a segmentation needs and files may lack; return the keywords."""
    missing = []
    for keyword in _UIDS:
        if not first.get(keyword):
            setattr(first, keyword, generate_uid(entropy_srcs=[keyword, volume.series]))
            missing.append(keyword)
    if "PerFrameFunctionalGroupsSequence" not in first:
        step_mm = volume.spacing_mm[0]
        if not numbers(first, "SliceThickness") or numbers(first, "SliceThickness")[0] <= 0:
            first.SliceThickness = f"{step_mm:.10g}"
            missing.append("SliceThickness")
        if "rounded_geometry" in volume.flags:  # the directions of the volume are those of its most precise slice
            directions = [volume.affine[:3, 2] / volume.spacing_mm[2], volume.affine[:3, 1] / volume.spacing_mm[1]]
            lps = np.concatenate(directions) * (-1, -1, 1, -1, -1, 1)
            first.ImageOrientationPatient = [f"{one:.10f}" for one in lps]
    return missing


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


def _of_frames(image: Dataset, volume: Volume) -> tuple[list[Dataset], tuple[int, ...]]:
    """A multi-frame of the volume's frames alone, in its order; what is alike in all is put where it is shared."""
    shared, each = image.SharedFunctionalGroupsSequence[0], image.PerFrameFunctionalGroupsSequence
    frames = volume.frames or tuple(range(len(each)))
    for keyword in _ALIKE:
        if keyword not in shared and keyword in each[frames[0]]:
            shared[keyword] = each[frames[0]][keyword]
    _say_spacing(shared.PixelMeasuresSequence[0], volume)
    image.PerFrameFunctionalGroupsSequence = [each[frame] for frame in frames]
    image.NumberOfFrames = len(frames)
    return [image], tuple(frame + 1 for frame in frames)
