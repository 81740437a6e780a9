"""One reader for every kind of film; what a file is, its first bytes say."""

from pathlib import Path

from medcnn.errors import ReadError
from medcnn.io.dicom import read_dicom
from medcnn.io.film import Film
from medcnn.io.find import kind_of, refusal
from medcnn.io.raster import read_raster


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
    raise refusal(path)
