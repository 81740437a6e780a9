"""Label volumes as DICOM Segmentations that refer to the images they were drawn on."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import highdicom
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

import medcnn
from medcnn.errors import MedcnnError, ReadError
from medcnn.files import write_atomic
from medcnn.io.seg_frames import Frames, read_frames
from medcnn.io.seg_source import Source, read_source
from medcnn.io.volume import Volume

#: A frame lies where its slice does within this many voxels: scanners write places with few digits.
_SAME_PLACE = 0.1


class Coded(NamedTuple):
    """A concept of a coding scheme, such as SNOMED CT (``SCT``)."""

    value: str
    scheme: str
    meaning: str


#: Property types of names that need no guess; every other class is an organ, as far as we are told.
_KNOWN = {
    "brain": Coded("12738006", "SCT", "Brain"),
    "hippocampus": Coded("5366008", "SCT", "Hippocampus"),
    "lesion": Coded("52988006", "SCT", "Lesion"),
}
_ANATOMICAL = Coded("91723000", "SCT", "Anatomical Structure")
_ABNORMAL = Coded("49755003", "SCT", "Morphologically Abnormal Structure")
_ORGAN = Coded("91772007", "SCT", "Organ")


@dataclass(frozen=True)
class SegmentLabel:
    """What a label stands for.

    Attributes:
        label: Name of the class, at most 64 characters.
        category: What kind of property it is.
        kind: The property itself.
    """

    label: str
    category: Coded = _ANATOMICAL
    kind: Coded = _ORGAN

    @classmethod
    def of(cls, name: str) -> "SegmentLabel":
        """The codes of a class by its name, where they are known here; else an organ of that name."""
        kind = _KNOWN.get(name.strip().lower(), _ORGAN)
        return cls(name, _ABNORMAL if kind.meaning == "Lesion" else _ANATOMICAL, kind)


def write_seg(
    path: Path, labels: np.ndarray, source: Volume, segments: Mapping[int, SegmentLabel], *, model: str = ""
) -> None:
    """Write labels as a BINARY Segmentation; it is read back and compared before the file takes its name.

    It stands in the study and the frame of reference of its source and refers to every image or frame of it. Patient
    and study are named as the source names them, without which no archive would file it, and nobody else is. Slices
    without a label are left out, unless a segment would have no slice at all: then every slice of every segment is
    written, so that a reader finds the answer "looked for, not there". The same labels from the same source and
    model get the same UIDs: an archive that receives them twice holds them once.

    Args:
        path: File to write.
        labels: Whole numbers on the grid of ``source``, 0 for background.
        source: Volume read from DICOM.
        segments: What 1 to N stand for, none left out.
        model: Digest of the model, for the record.

    Raises:
        ValueError: If labels, source and segments do not fit each other.
        MedcnnError: If the source's files cannot carry a segmentation, the file cannot be written, or it reads back
            otherwise than it was given.
    """
    labels = _checked(labels, source, segments)
    made = _made(labels, read_source(source), segments, model)

    def write(draft: Path) -> None:
        made.save_as(draft)
        _compare(read_frames(draft), labels, source.affine)

    try:
        write_atomic(path, write)
    except OSError as error:
        raise MedcnnError(f"{path.name}: cannot be written ({error.strerror or type(error).__name__})") from None


def read_seg(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Labels and place of a BINARY segmentation whose segments do not overlap.

    Returns:
        Segment numbers ``(slices, rows, columns)``, slices along DICOM's normal, over those from the first to the
        last that the file holds, uint8 (int16 above 255 segments), and the affine ``(4, 4)`` from indices to mm, RAS+.

    Raises:
        ReadError: As ``read_frames``; ``bad_header`` where slices are not evenly apart, ``unsupported_object`` where
            segments overlap.
    """
    frames = read_frames(path)
    normal = np.cross(frames.steps[:, 1], frames.steps[:, 0])  # of DICOM: along a row, then down a column
    normal /= np.linalg.norm(normal)
    distance = frames.positions @ normal
    distance -= distance.min()
    gaps = np.diff(np.unique(distance.round(4)))
    step = frames.spacing or (float(gaps[gaps > 1e-3].min()) if (gaps > 1e-3).any() else 1.0)
    index = np.rint(distance / step).astype(int)
    if np.abs(distance / step - index).max() > _SAME_PLACE:
        raise ReadError("bad_header", f"{Path(path).name}: the slices are not evenly apart")
    labels = _stacked(frames, index, (int(index.max()) + 1, *frames.bits.shape[1:]), Path(path).name)
    origin, last = frames.positions[index.argmin()], frames.positions[index.argmax()]
    between = (last - origin) / index.max() if index.max() else normal * step
    affine = np.eye(4)
    affine[:3] = np.column_stack([between, frames.steps, origin])
    return labels, affine


def _stacked(frames: Frames, index: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Frames as one label volume."""
    labels = np.zeros(shape, dtype=np.uint8 if frames.segments.max() < 256 else np.int16)
    for bits, segment, at in zip(frames.bits, frames.segments, index, strict=True):
        inside = bits.astype(bool)
        if labels[at][inside].any():
            raise ReadError("unsupported_object", f"{name}: segments overlap; expected one label a voxel")
        labels[at][inside] = segment
    return labels


def _checked(labels: np.ndarray, source: Volume, segments: Mapping[int, SegmentLabel]) -> np.ndarray:
    if labels.shape != source.voxels.shape:
        raise ValueError(f"expected labels on the grid of the source {source.voxels.shape}, got {labels.shape}")
    if not source.series or not source.sources:
        raise ValueError("expected a source that was read from DICOM: a segmentation refers to its files")
    if not segments or sorted(segments) != list(range(1, len(segments) + 1)):
        raise ValueError(f"expected segments 1 to N, none left out, got {sorted(segments)}")
    if labels.dtype.kind not in "iub" or (labels.size and (labels.min() < 0 or labels.max() > len(segments))):
        raise ValueError(f"expected whole labels 0 to {len(segments)}, got {labels.dtype} up to {labels.max()}")
    return np.ascontiguousarray(labels, dtype=np.uint8 if len(segments) < 256 else np.uint16)


def _made(labels: np.ndarray, source: Source, segments: Mapping[int, SegmentLabel], model: str) -> Dataset:
    found = np.isin(list(segments), labels)
    first = source.images[0]
    digest = hashlib.sha256(labels.tobytes()).hexdigest()
    entropy = [str(first.SeriesInstanceUID), digest, model, medcnn.__version__, repr(sorted(segments.items()))]
    try:
        made = highdicom.seg.Segmentation(
            source_images=source.images,
            pixel_array=labels,
            segmentation_type="BINARY",
            segment_descriptions=[_described(number, segments[number], model) for number in sorted(segments)],
            series_instance_uid=generate_uid(entropy_srcs=["series", *entropy]),
            series_number=1000 + int(first.get("SeriesNumber") or 0) % 1_000_000,
            sop_instance_uid=generate_uid(entropy_srcs=["instance", *entropy]),
            instance_number=1,
            manufacturer="medcnn",
            manufacturer_model_name="medcnn",
            software_versions=medcnn.__version__,
            device_serial_number=model[:16] or medcnn.__version__,
            omit_empty_frames=bool(found.all()),
            content_label="SEGMENTATION",
            content_description="Made by a program; not by a person",
            series_description="medcnn segmentation",
        )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        # The text of the error may hold what the header holds.
        raise MedcnnError(
            f"a segmentation cannot refer to this series ({type(error).__name__} in highdicom): "
            "its header lacks or contradicts what the standard asks for"
        ) from error
    made.ContentCreatorName = ""  # must be there, and no person made it
    if source.frames:
        _renumber(made, source.frames)
    return made


def _renumber(made: Dataset, frames: Sequence[int]) -> None:
    """Refer to frames by their numbers in the file, not among those of the volume."""
    groups = made.PerFrameFunctionalGroupsSequence
    items = [group.DerivationImageSequence[0].SourceImageSequence[0] for group in groups]
    for item in {id(item): item for item in items}.values():  # frames of several segments share theirs
        item.ReferencedFrameNumber = frames[int(item.ReferencedFrameNumber) - 1]


def _described(number: int, segment: SegmentLabel, model: str) -> highdicom.seg.SegmentDescription:
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.label[:64],
        segmented_property_category=Code(*segment.category),
        segmented_property_type=Code(*segment.kind),
        algorithm_type="AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="medcnn",
            family=Code("123110", "DCM", "Artificial Intelligence"),
            version=medcnn.__version__,
            parameters={"model": model} if model else None,
        ),
    )


def _compare(frames: Frames, labels: np.ndarray, affine: np.ndarray) -> None:
    """Refuse a file whose frames, placed by their own positions in the source's grid, give other labels."""
    inverse = np.linalg.inv(affine)
    steps = inverse[:3, :3] @ frames.steps
    places = frames.positions @ inverse[:3, :3].T + inverse[:3, 3]
    index = np.rint(places[:, 0]).astype(int)
    reach = np.abs(steps - np.eye(3)[:, 1:]) @ np.array(labels.shape[1:])
    off = max(reach.max(), np.abs(places - np.eye(3)[0] * index[:, None]).max())
    if off > _SAME_PLACE or index.min() < 0 or index.max() >= len(labels):
        raise MedcnnError(
            f"the segmentation would lie {off:.2f} voxels beside its source: the volume is not on the grid of its files"
        )
    if not np.array_equal(_stacked(frames, index, labels.shape, "the segmentation"), labels):
        raise MedcnnError("the segmentation read back otherwise than it was written; it was not kept")
