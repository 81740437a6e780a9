"""What a file or a folder holds: series, NIfTI volumes, films, and what nothing here would read."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np
from pydicom.config import IGNORE
from pydicom.tag import Tag
from pydicom.uid import UID, AllTransferSyntaxes

from medcnn.errors import ReadError
from medcnn.io.find import Found, find_files
from medcnn.io.header import open_header, text
from medcnn.io.nifti import read_nifti_header
from medcnn.io.nifti_header import agreement
from medcnn.io.read import read_film
from medcnn.io.series import Series, read_series, series_among
from medcnn.io.slice_header import told_by_name
from medcnn.io.volume import Volume
from medcnn.io.volume_file import VOLUME_FILES, read_volume_file

_PLANES = ("sagittal", "coronal", "axial")
_OBLIQUE_DEGREES = 1.0
_PHOTOMETRIC = [Tag("PhotometricInterpretation")]


@dataclass(frozen=True)
class Image:
    """One image that can be read. Sizes and spacing are in the order of its indices; texts are empty where unknown.

    Attributes:
        kind: ``series``, ``nifti``, ``mgh``, ``itk`` or ``film``.
        name: Pseudonym of a series, else the path of the file from the folder that was asked about.
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


@dataclass(frozen=True)
class Refused:
    """A file or a series that is not read: a code of ``medcnn.io.find.REASONS`` and a sentence that says why."""

    name: str
    code: str
    sentence: str
    files: int = 1


def contents(root: Path) -> Iterator[Image | Refused]:
    """Look at every file under a folder, or at one file, pixels too; each file is part of one of these.

    Raises:
        MedcnnError: If there is nothing at ``root``.
    """
    root = Path(root)
    base = root if root.is_dir() else root.parent
    files = list(find_files(root))
    found = series_among(one for one in files if one.kind == "dicom")
    for series in found.series:
        yield _series(series)
    for path, code, sentence in found.skipped:
        one = _film(Found(path, "dicom")) if code in ("film", "screenshot") else Refused(path.name, code, sentence)
        yield replace(one, name=path.relative_to(base).as_posix())
    for file in files:
        if file.kind != "dicom":
            one = _volume_file(file) if file.kind in VOLUME_FILES else _film(file)
            yield replace(one, name=file.path.relative_to(base).as_posix())


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
    )


def _range(values: np.ndarray) -> tuple[float, float]:
    """Least and greatest finite value."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (np.nan, np.nan)


def _encoding(path: Path) -> tuple[str, str]:
    """Photometric interpretation and transfer syntax; only names of the standard, for a header may hold anything."""
    with told_by_name(path), path.open("rb") as stream:
        opened = open_header(stream, _PHOTOMETRIC)
        syntax = UID(opened.syntax, IGNORE)
        return text(opened.header, "PhotometricInterpretation"), syntax.name if syntax in AllTransferSyntaxes else ""


def plane_of(affine: np.ndarray) -> str:
    """The plane in which index 1 and index 2 run, and by how many degrees it is turned off the nearest one."""
    normal = np.cross(affine[:3, 1], affine[:3, 2])
    share = np.abs(normal) / np.linalg.norm(normal)
    degrees = float(np.degrees(np.arccos(min(1.0, share.max()))))
    return _PLANES[int(share.argmax())] + (f" oblique by {degrees:.0f}" if degrees > _OBLIQUE_DEGREES else "")
