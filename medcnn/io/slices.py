"""What one slice says of itself: where it lies, what it belongs to, how its values are meant."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: What tells the volumes of one series apart where their positions repeat, the most telling first.
MARKS = (
    "StackID",
    "TemporalPositionIdentifier",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "TriggerTime",
    "InversionTime",
    "FrameReferenceTime",
    "AcquisitionNumber",
    "FlipAngle",
    "ConvolutionKernel",
    "ImageType",
    "AcquisitionTime",
    "ContentTime",
)


@dataclass(frozen=True)
class Slice:
    """One slice, its pixels unread. Lengths in mm, positions and directions in DICOM's LPS.

    Attributes:
        path: Its file.
        frame: Which frame of the file, from 0.
        frames: How many frames the file holds; 0 for a file of one image.
        sop: SOP instance UID; likewise study, series and frame of reference.
        position: Of the center of the first voxel, or None where the header has none.
        orientation: Directions of growing column and of growing row index, or None.
        spacing: Distance of rows and of columns, or None.
        thickness: Slice thickness; ``between`` the distance of slices. As the header says, which need not be so.
        rescale: Slope and intercept.
        echo: Number and time in ms of the echo, as text.
        kind: What the values are, such as ``M``, ``P``, ``LOCALIZER``: the third value of the image type.
        marks: A text for each of ``MARKS``, empty where the header is silent.
        patient: Digest of who the header names, for comparison only; never shown and never stored.
        image_type: All values of the image type.
        position_units: One unit in the last digit of each coordinate, in mm; empty for exact ones.
        orientation_unit: One unit in the last digit of the most precise cosine; 0 for exact ones.
        spacing_unit: One unit in the last digit of the more precise spacing, in mm; 0 for exact ones.
    """

    path: Path = field(repr=False)
    frame: int = 0
    frames: int = 0
    sop: str = ""
    study: str = ""
    series: str = ""
    frame_of_reference: str = ""
    modality: str = ""
    rows: int = 0
    columns: int = 0
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    spacing: tuple[float, ...] | None = None
    thickness: float | None = None
    between: float | None = None
    rescale: tuple[float, float] = (1.0, 0.0)
    echo: tuple[str, str] = ("", "")
    kind: str = ""
    marks: tuple[str, ...] = ("",) * len(MARKS)
    patient: str = field(default="", repr=False)
    image_type: tuple[str, ...] = ()
    position_units: tuple[float, ...] = ()
    orientation_unit: float = 0.0
    spacing_unit: float = 0.0

    @property
    def is_placed(self) -> bool:
        """Whether position, orientation and spacing are all there."""
        return not self.missing

    @property
    def missing(self) -> list[str]:
        """The elements that would say where the slice lies and are not there."""
        told = {
            "ImagePositionPatient": self.position,
            "ImageOrientationPatient": self.orientation,
            "PixelSpacing": self.spacing,
        }
        return [name for name, value in told.items() if value is None]

    @property
    def is_localizer(self) -> bool:
        """Whether the image type calls it a localizer, in whichever of its values."""
        return "LOCALIZER" in (*self.kind.split(), *self.image_type)

    @property
    def where(self) -> str:
        """The slice for a message: by the name of its file, never its path."""
        return f"{self.path.name} frame {self.frame + 1}" if self.frames else self.path.name


def of_length(values: Sequence[float], count: int) -> tuple[float, ...] | None:
    """``values`` where there are ``count`` of them."""
    return tuple(values) if len(values) == count else None


def positive_pair(values: Sequence[float]) -> tuple[float, ...] | None:
    """Two positive numbers, or None."""
    return tuple(values) if len(values) == 2 and min(values) > 0 else None


def positive(values: Sequence[float]) -> float | None:
    """The size of the first number (spacing may be told with a sign), or None where there is none but zero."""
    return abs(values[0]) or None if values else None


def rescale_of(slope: Sequence[float], intercept: Sequence[float]) -> tuple[float, float]:
    """Slope and intercept; a slope of zero would blank the image, and writers that know none leave it zero."""
    return (slope[0] if slope and slope[0] else 1.0), (intercept[0] if intercept else 0.0)
