"""What a file or a folder holds: series, NIfTI volumes, films, and what nothing here would read."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np
from pydicom.config import IGNORE
from pydicom.tag import Tag
from pydicom.uid import UID, AllTransferSyntaxes

from medcnn.bounded_processes import BoundedWorkers, Limits, Lost, memory_per_worker
from medcnn.errors import ReadError
from medcnn.io.dicom import read_errors
from medcnn.io.find import Found, find_files
from medcnn.io.header import open_header, text
from medcnn.io.nifti import read_nifti_header
from medcnn.io.nifti_header import agreement
from medcnn.io.read import read_film
from medcnn.io.series import Series, read_series, series_among
from medcnn.io.volume import Volume
from medcnn.io.volume_file import VOLUME_FILES, read_volume_file

_PLANES = ("sagittal", "coronal", "axial")
_OBLIQUE_DEGREES = 1.0
#: Reasons for which a DICOM file is in no series and may be an image by itself.
PICTURES = ("film", "screenshot")
#: Seconds that one file or series may take.
TIMEOUT_S = 60.0
#: A large volume takes gigabytes, and its memory is bounded by the share of each.
_WORKERS = 2
_PHOTOMETRIC = [Tag("PhotometricInterpretation")]


@dataclass(frozen=True)
class Image:
    """One image that can be read. Sizes and spacing are in the order of its indices; texts are empty where unknown.

    Attributes:
        kind: ``series``, ``nifti``, ``mgh``, ``itk`` or ``film``.
        name: Pseudonym of a series, else the path of the file from the folder that was asked about.
        path: Path from the folder that was asked about; of a series its file, or the folder of its files.
        study: Study instance UID, empty outside DICOM; likewise ``series``.
        place: For a NIfTI, what its qform and sform say of each other.
        orientation: Where each index grows to, of R L A P S I; for a series its plane before it.
    """

    kind: str
    name: str
    modality: str = ""
    files: int = 1
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    orientation: str = ""
    place: str = ""
    dtype: str = ""
    low: float = 0.0
    high: float = 0.0
    photometric: str = ""
    syntax: str = ""
    flags: tuple[str, ...] = ()
    path: str = ""
    study: str = ""
    series: str = ""


@dataclass(frozen=True)
class Refused:
    """A file or a series that is not read: a code of ``medcnn.io.find.REASONS`` and a sentence that says why."""

    name: str
    code: str
    sentence: str
    files: int = 1
    path: str = ""


def contents(root: Path, hidden: list[Path] | None = None) -> Iterator[Image | Refused]:
    """Look at every file under a folder, or at one file, pixels too; each file is part of one of these.

    Pixels are read in worker processes: what crashes or hangs a decoder, or takes more memory than a worker may have,
    is refused like any other file.

    Args:
        root: A folder, searched recursively, or one file.
        hidden: Receives the files and folders that were left out because their names begin with a dot.

    Raises:
        MedcnnError: If there is nothing at ``root``.
    """
    root = Path(root)
    base = root if root.is_dir() else root.parent
    files = list(find_files(root, hidden))
    found = series_among(one for one in files if one.kind == "dicom")
    skipped = [(_place(path, base), code, sentence) for path, code, sentence in found.skipped if code not in PICTURES]
    films = [Found(path, "dicom") for path, code, _ in found.skipped if code in PICTURES]
    tasks: list[Series | Found] = [*found.series, *films, *(file for file in files if file.kind != "dicom")]
    yield from (Refused(place, code, sentence, path=place) for place, code, sentence in skipped)
    for task, answer in zip(tasks, _answers(tasks), strict=True):
        path = _common(task.paths) if isinstance(task, Series) else task.path
        if isinstance(answer, Lost):
            count = len(task.paths) if isinstance(task, Series) else 1
            answer = Refused(path.name, answer.reason, f"{path.name}: {answer.sentence}", count)
        name = task.name if isinstance(task, Series) else _place(path, base)
        yield replace(answer, name=name, path=_place(path, base))


def _answers(tasks: Sequence[Series | Found]) -> Iterator[Image | Refused | Lost]:
    """Answer every task in order, in workers; what needs no decoder is answered here."""
    easy = {index for index, task in enumerate(tasks) if isinstance(task, Found) and task.kind == "unknown"}
    hard = [index for index in range(len(tasks)) if index not in easy]
    answers: dict[int, Image | Refused | Lost] = {index: _film(tasks[index]) for index in easy}  # type: ignore[arg-type]
    count = min(len(hard), _WORKERS)
    if hard:
        with BoundedWorkers(_look, (), count, Limits(TIMEOUT_S, memory_per_worker(count))) as workers:
            for number, answer in workers.answers([tasks[index] for index in hard]):
                answers[hard[number]] = answer
    yield from (answers[index] for index in range(len(tasks)))


def _look() -> Callable[[Series | Found], Image | Refused]:
    return _answer


def _answer(task: Series | Found) -> Image | Refused:
    try:
        if isinstance(task, Series):
            return _series(task)
        return _volume_file(task) if task.kind in VOLUME_FILES else _film(task)
    except MemoryError:
        name = task.name if isinstance(task, Series) else task.path.name
        return Refused(name, "out_of_memory", f"{name}: it needs more memory than a worker may have")


def _common(paths: Sequence[Path]) -> Path:
    return paths[0] if len(paths) == 1 else Path(os.path.commonpath([path.parent for path in paths]))


def _place(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix()


def _series(series: Series) -> Image | Refused:
    try:
        volume = read_series(series)
        photometric, syntax = _encoding(volume.sources[0])
    except ReadError as error:
        return Refused(series.name, error.code, str(error), len(series.paths))
    image = _volume("series", series.name, volume)
    plane = plane_of(volume.affine)
    return replace(
        image,
        modality=volume.modality,
        files=len(series.paths),
        orientation=f"{plane} {image.orientation}",
        photometric=photometric,
        syntax=syntax,
    )


def _volume_file(file: Found) -> Image | Refused:
    path = file.path
    try:
        image = _volume(file.kind, path.name, read_volume_file(path))
        return replace(image, place=agreement(read_nifti_header(path))) if file.kind == "nifti" else image
    except ReadError as error:
        return Refused(path.name, error.code, str(error))


def _volume(kind: str, name: str, volume: Volume) -> Image:
    low, high = _range(volume.voxels)
    return Image(
        kind,
        name,
        shape=volume.voxels.shape,
        spacing_mm=volume.spacing_mm,
        orientation="".join(nibabel.aff2axcodes(volume.affine)),
        dtype=volume.voxels.dtype.name,
        low=low,
        high=high,
        flags=volume.flags,
        study=safe_uid(volume.study),
        series=safe_uid(volume.series),
    )


def _film(file: Found) -> Image | Refused:
    try:
        film = read_film(file.path)
        photometric, syntax = _encoding(file.path) if file.kind == "dicom" else ("", file.kind)
    except ReadError as error:
        return Refused(file.path.name, error.code, str(error))
    low, high = _range(film.pixels)
    return Image(
        "film",
        file.path.name,
        film.modality,
        shape=film.pixels.shape,
        spacing_mm=() if "no_spacing" in film.flags else tuple(np.diag(film.affine)[:2].tolist()),
        dtype=film.pixels.dtype.name,
        low=low,
        high=high,
        photometric=photometric,
        syntax=syntax,
        flags=film.flags,
        study=safe_uid(film.study),
        series=safe_uid(film.series),
    )


def safe_uid(text: str) -> str:
    """Return a UID, or nothing: an element that should hold one can hold a name in a damaged header."""
    return text if re.fullmatch(r"[0-9.]{1,64}", text) else ""


def _range(values: np.ndarray) -> tuple[float, float]:
    """Least and greatest finite value."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (np.nan, np.nan)


def _encoding(path: Path) -> tuple[str, str]:
    """Photometric interpretation and transfer syntax; only names of the standard, for a header may hold anything."""
    with read_errors(path), path.open("rb") as stream:
        opened = open_header(stream, _PHOTOMETRIC)
        syntax = UID(opened.syntax, IGNORE)
        return text(opened.header, "PhotometricInterpretation"), syntax.name if syntax in AllTransferSyntaxes else ""


def plane_of(affine: np.ndarray) -> str:
    """The plane in which index 1 and index 2 run, and by how many degrees it is turned off the nearest one."""
    normal = np.cross(affine[:3, 1], affine[:3, 2])
    share = np.abs(normal) / np.linalg.norm(normal)
    degrees = float(np.degrees(np.arccos(min(1.0, share.max()))))
    return _PLANES[int(share.argmax())] + (f" oblique by {degrees:.0f}" if degrees > _OBLIQUE_DEGREES else "")
