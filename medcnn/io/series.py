"""A folder of DICOM files, grouped into the series that make one volume each."""

import filecmp
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from medcnn.errors import ReadError
from medcnn.io.find import Found, find_files, refusal
from medcnn.io.grouping import Group, grouped
from medcnn.io.slice_header import slices_in
from medcnn.io.slice_pixels import voxels_of
from medcnn.io.slices import Slice
from medcnn.io.stack import stacked
from medcnn.io.volume import Volume

#: Above any series: 512 x 512 x 2,048 voxels.
MAX_VOXELS = 1 << 29


@dataclass(frozen=True)
class Series:
    """Slices that make one volume, or would if nothing were wrong with them.

    Attributes:
        name: Pseudonym: ``s`` and 12 hex digits of the SHA-256 of the series instance UID; further volumes of the same
            series end in ``-2`` and so on, the largest first.
        modality: DICOM modality.
        slices: As found, in no order; their files may tell patients by their names.
    """

    name: str
    modality: str
    slices: tuple[Slice, ...] = field(repr=False)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files, each once."""
        return tuple(dict.fromkeys(one.path for one in self.slices))

    @property
    def count(self) -> int:
        """How many slices."""
        return len(self.slices)


@dataclass(frozen=True)
class SeriesFound:
    """What a folder holds.

    Attributes:
        series: Each volume's slices.
        skipped: Path, reason code of ``medcnn.io.find.REASONS`` and a sentence for every file that is in none.
    """

    series: list[Series]
    skipped: list[tuple[Path, str, str]]


def find_series(root: Path) -> SeriesFound:
    """Every series under a folder, or in one file; headers are read, pixels are not.

    A localizer, another echo, a second acquisition inside a series are series of their own here.

    Raises:
        MedcnnError: If there is nothing at ``root``.
    """
    return series_among(find_files(Path(root)))


def series_among(files: Iterable[Found]) -> SeriesFound:
    """As ``find_series``, among files that were found already."""
    slices: list[Slice] = []
    skipped: list[tuple[Path, str, str]] = []
    seen: dict[str, Path] = {}
    for file in files:
        try:
            for one in _slices(file):
                first = seen.setdefault(f"{one.sop} {one.frame}", one.path) if one.sop else one.path
                if first != one.path and filecmp.cmp(first, one.path, shallow=False):
                    raise ReadError("copy", f"{one.path.name}: a copy of {first.name}")
                slices.append(one)
        except ReadError as error:
            skipped.append((file.path, error.code, str(error)))
    return SeriesFound(_named(grouped(slices)), skipped)


def _slices(file: Found) -> list[Slice]:
    if file.kind == "dicom":
        return slices_in(file.path)
    if file.kind == "unknown":
        raise refusal(file.path)
    raise ReadError("not_dicom", f"{file.path.name}: {file.kind}, not DICOM; it belongs to no series")


def _named(groups: list[Group]) -> list[Series]:
    """Series with names that hang on what is there alone, not on the order in which it was found."""
    ordered = sorted(groups, key=lambda group: (-len(group), min((one.echo, one.kind, one.marks) for one in group)))
    counts: dict[str, int] = {}
    named = []
    for group in ordered:
        first = group[0]
        identity = first.series or first.path.parent.name
        name = "s" + hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        counts[name] = counts.get(name, 0) + 1
        number = f"-{counts[name]}" if counts[name] > 1 else ""
        named.append(Series(name + number, first.modality, tuple(group)))
    return named


def read_series(series: Series) -> Volume:
    """The volume of a series: slices sorted by position along their normal, values rescaled slice by slice.

    Raises:
        ReadError: Where the slices make no even grid: ``no_geometry``, ``mixed_orientation``, ``mixed_size``,
            ``duplicate_position``, ``gaps``, ``not_aligned``, ``gantry_tilt``; where pixels cannot be decoded, as
            ``medcnn.io.read.read_film``. Its message names the series by its pseudonym and files by their names only.
    """
    try:
        stack = stacked(series.slices)
        first = stack.slices[0]
        if len(stack.slices) * first.rows * first.columns > MAX_VOXELS:
            size = f"{len(stack.slices)} x {first.rows} x {first.columns}"
            raise ReadError("too_large", f"{size} voxels; at most {MAX_VOXELS:,} are read")
        voxels, flags = voxels_of(stack.slices)
    except ReadError as error:
        raise ReadError(error.code, f"series {series.name}: {error}") from None
    localizer = {"localizer"} if "LOCALIZER" in first.kind else set()
    paths = tuple(one.path for one in stack.slices)
    return Volume(
        voxels,
        stack.affine,
        first.modality,
        first.study,
        first.series,
        first.frame_of_reference,
        tuple(sorted({*flags, *stack.flags, *localizer})),
        paths if len(set(paths)) > 1 else paths[:1],
        tuple(one.frame for one in stack.slices) if first.frames else (),
    )
