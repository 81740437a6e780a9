"""Volumes that are one file each: NIfTI, FreeSurfer, NRRD and MetaImage."""

from pathlib import Path

from medcnn.io.find import kind_of, refusal
from medcnn.io.nifti import read_nifti
from medcnn.io.volume import Volume

#: Kinds of ``medcnn.io.find.kind_of`` that hold one volume, and what they are called.
VOLUME_FILES = {"nifti": "NIfTI", "mgh": "FreeSurfer (MGH)", "itk": "NRRD or MetaImage"}


def read_volume_file(path: Path) -> Volume:
    """The volume in a file, in the order of its own indices.

    Raises:
        ReadError: With one of ``medcnn.io.find.REASONS``; its message names the file by its name only.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind == "nifti":
        return read_nifti(path)
    if kind == "mgh":
        from medcnn.io.mgh import read_mgh

        return read_mgh(path)
    if kind == "itk":
        from medcnn.io.itk import read_itk

        return read_itk(path)
    raise refusal(path)


def like_file(volume: Volume) -> Path | None:
    """The NIfTI file whose header a mask of the volume takes over; None for a volume of another format."""
    return volume.sources[0] if kind_of(volume.sources[0]) == "nifti" else None
