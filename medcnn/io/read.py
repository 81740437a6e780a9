"""One reader for every kind of film and one for every kind of volume; what a file is, its first bytes say."""

from collections import Counter
from pathlib import Path

from medcnn.errors import ReadError
from medcnn.io.dicom import read_dicom
from medcnn.io.film import Film
from medcnn.io.find import kind_of, refusal
from medcnn.io.raster import read_raster
from medcnn.io.series import find_series, read_series
from medcnn.io.volume import Volume
from medcnn.io.volume_file import VOLUME_FILES, read_volume_file


def read_film(path: Path) -> Film:
    """The image in a DICOM, PNG, JPEG or TIFF file.

    Raises:
        ReadError: With one of ``medcnn.io.find.REASONS``; its message names the file by its name only.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind == "dicom":
        return read_dicom(path)
    if kind in ("png", "jpeg", "tiff"):
        return read_raster(path)
    if kind == "npz":
        raise ReadError("multiframe", f"{path.name}: an npz holds many images; expected a file with one")
    if kind in VOLUME_FILES:
        raise ReadError("volume", f"{path.name}: a {VOLUME_FILES[kind]} volume; expected a film")
    raise refusal(path)


def read_volume(path: Path) -> Volume:
    """The volume in a NIfTI file, a DICOM file or a folder that holds exactly one series.

    A folder that holds one NIfTI file and no series gives that.

    Raises:
        ReadError: With one of ``medcnn.io.find.REASONS``; its message names files by their names only.
    """
    path = Path(path)
    if path.is_dir() or kind_of(path) == "dicom":
        return _one_series(path)
    if kind_of(path) in VOLUME_FILES:
        return read_volume_file(path)
    if kind_of(path) != "unknown":
        raise ReadError("film", f"{path.name}: an image of two dimensions; expected a volume (NIfTI or DICOM)")
    raise refusal(path)


def _one_series(path: Path) -> Volume:
    """The one series at a path, else its one NIfTI file; anything else is told by what is there."""
    found = find_series(path)
    volumes = [one for one in found.series if one.code not in ("localizer", "remainder")] or found.series
    if len(volumes) == 1:
        return read_series(volumes[0])
    files = [one for one, code, _ in found.skipped if code == "not_dicom" and kind_of(one) in VOLUME_FILES]
    if not found.series and len(files) == 1:
        return read_volume_file(files[0])
    if found.series:
        listed = ", ".join(f"{one.name} ({one.modality}, {one.count} slices)" for one in found.series)
        raise ReadError("several_series", f"{path.name}: expected one series, found {len(found.series)}: {listed}")
    if files:
        raise ReadError("several_series", f"{path.name}: {len(files)} volume files, no DICOM series; name one of them")
    reasons = Counter(code for _, code, _ in found.skipped)
    code = reasons.most_common(1)[0][0] if reasons else "empty"
    first = next((f"; {sentence}" for _, one, sentence in found.skipped if one == code), "")
    raise ReadError(code, f"{path.name}: no series of slices among {len(found.skipped)} files{first}")
