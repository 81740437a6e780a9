"""A folder of DICOM files, grouped into the series that make one volume each."""

import filecmp
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from medcnn.errors import ReadError
from medcnn.io.find import Found, find_files, refusal
from medcnn.io.grouping import Group, grouped
from medcnn.io.limits import check_voxels
from medcnn.io.slice_header import slices_in
from medcnn.io.slice_pixels import voxels_of
from medcnn.io.slices import Slice
from medcnn.io.stack import stacked
from medcnn.io.volume import Volume


@dataclass(frozen=True)
class Series:
    """Slices that make one volume, or would if nothing were wrong with them.

    Attributes:
        name: Pseudonym: ``s`` and 12 hex digits of the SHA-256 of the series instance UID; further volumes of the same
            series end in ``-2`` and so on, the largest first.
        modality: DICOM modality.
        slices: As found, in no order; their files may tell patients by their names.
        code: Reason of ``medcnn.io.find.REASONS`` for which they are no volume, empty where reading decides.
        sentence: The same for people.
        flags: What a reader should know of the volume among others of its series: ``fewer_slices``.
    """

    name: str
    modality: str
    slices: tuple[Slice, ...] = field(repr=False)
    code: str = ""
    sentence: str = ""
    flags: tuple[str, ...] = ()

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

    Another echo or a second acquisition of the same positions inside a series are series of their own here. What fits
    none of them is listed with the reason for which it will not be read.

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
    return SeriesFound(incomplete(_named(grouped(slices)), skipped), skipped)


def _slices(file: Found) -> list[Slice]:
    if file.kind == "dicom":
        return slices_in(file.path)
    if file.kind == "unknown":
        raise refusal(file.path)
    raise ReadError("not_dicom", f"{file.path.name}: {file.kind}, not DICOM; it belongs to no series")


def _named(groups: list[Group]) -> list[Series]:
    """Series with names that hang on what is there alone, not on the order in which it was found."""
    ordered = sorted(
        groups, key=lambda group: (-len(group.slices), min((one.echo, one.kind, one.marks) for one in group.slices))
    )
    counts: dict[str, int] = {}
    named = []
    for group in ordered:
        first = group.slices[0]
        identity = first.series or first.path.parent.name
        name = "s" + hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        counts[name] = counts.get(name, 0) + 1
        number = f"-{counts[name]}" if counts[name] > 1 else ""
        named.append(
            Series(name + number, first.modality, tuple(group.slices), group.code, group.sentence, group.flags)
        )
    return named


#: What a damaged file leaves open is which series it was of.
_DAMAGED = frozenset(("truncated", "empty", "bad_header", "unreadable", "bomb"))
_IMAGE_NAME = re.compile(r".*\.(dcm|dicom|dic|ima)|[^.]*|[\d.]+", re.IGNORECASE)


def incomplete(found: list[Series], skipped: Iterable[tuple[Path, str, str]]) -> list[Series]:
    """Refuse the one series of a folder in which a file is damaged: it may be a slice of it.

    A damaged file among several series is of any of them: those are flagged ``damaged_neighbor``.
    """
    damaged: dict[Path, Path] = {}
    for path, code, _ in skipped:
        if code in _DAMAGED and _IMAGE_NAME.fullmatch(path.name):
            damaged.setdefault(path.parent, path)
    homes = {one.name: {path.parent for path in one.paths} for one in found} if damaged else {}
    counts = Counter(folder for folders in homes.values() for folder in folders)
    checked = []
    for series in found:
        folders = sorted(homes.get(series.name, set()) & damaged.keys())
        if not folders or series.code or series.slices[0].frames:
            checked.append(series)
        elif any(counts[folder] == 1 for folder in folders):
            name = damaged[folders[0]].name
            told = f"{name} in its folder cannot be read and may be one of its slices; copy it again or move it away"
            checked.append(replace(series, code="incomplete", sentence=told))
        else:
            checked.append(replace(series, flags=(*series.flags, "damaged_neighbor")))
    return checked


def read_series(series: Series) -> Volume:
    """The volume of a series: slices sorted by position along their normal, values rescaled slice by slice.

    Raises:
        ReadError: Where the slices make no even grid: ``no_geometry``, ``mixed_orientation``, ``mixed_size``,
            ``duplicate_position``, ``gaps``, ``not_aligned``, ``gantry_tilt``, ``mixed_series``; where they are none:
            ``localizer``, ``remainder``, ``several_patients``, ``incomplete``; where pixels cannot be decoded, as
            ``medcnn.io.read.read_film``. Its message names the series by its pseudonym and files by their names only.
    """
    try:
        if series.code:
            raise ReadError(series.code, series.sentence)
        stack = stacked(series.slices)
        first = stack.slices[0]
        check_voxels((len(stack.slices), first.rows, first.columns))
        voxels, flags = voxels_of(stack.slices)
    except ReadError as error:
        raise ReadError(error.code, f"series {series.name}: {error}") from None
    uids = [one.sop for one in stack.slices if one.sop and not one.frames]
    copies = {"repeated_uid"} if len(set(uids)) < len(uids) else set()
    paths = tuple(one.path for one in stack.slices)
    return Volume(
        voxels,
        stack.affine,
        first.modality,
        first.study,
        first.series,
        first.frame_of_reference,
        tuple(sorted({*flags, *stack.flags, *series.flags, *copies})),
        paths if len(set(paths)) > 1 else paths[:1],
        tuple(one.frame for one in stack.slices) if first.frames else (),
    )
