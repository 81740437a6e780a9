"""A folder of DICOM files, grouped into the series that make one volume each."""

from dataclasses import dataclass, field
from pathlib import Path

from medcnn.io.find import find_files
from medcnn.io.volume import Volume


@dataclass(frozen=True)
class Series:
    """Slices that make one volume.

    Attributes:
        name: Pseudonym: ``s`` and 12 hex digits of the series instance UID's SHA-256, and ``-2`` and so on for further
            volumes of the same series.
        paths: Its files, each once.
        modality: DICOM modality.
        count: How many slices.
    """

    name: str
    paths: tuple[Path, ...] = field(repr=False)
    modality: str = ""
    count: int = 0


@dataclass(frozen=True)
class SeriesFound:
    """What a folder holds: its series, and why each other file is in none: ``(path, code, sentence)``."""

    series: list[Series]
    skipped: list[tuple[Path, str, str]]


def find_series(root: Path) -> SeriesFound:
    """Every series under ``root``."""
    return SeriesFound([], [(one.path, "not_dicom", "no DICOM file") for one in find_files(root)])


def read_series(series: Series) -> Volume:
    """The volume of a series."""
    raise NotImplementedError
