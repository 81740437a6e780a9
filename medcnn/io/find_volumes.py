"""Walk a folder and tell which of it are volumes: NIfTI files, and folders that hold a DICOM series."""

from pathlib import Path

from medcnn.io.find import find_files
from medcnn.io.volume_file import VOLUME_FILES


def find_volumes(root: Path) -> tuple[list[Path], int]:
    """Every NIfTI file and DICOM series under a folder, and how many files are neither.

    A folder that holds DICOM files is one series. DICOM files in ``root`` itself are volumes each, as multi-frame files
    are; whether one of them is a lone slice is told when it is read.

    Args:
        root: The folder, searched recursively.

    Returns:
        Files and folders in a fixed order, and the number of other files.
    """
    volumes: dict[Path, None] = {}
    others = 0
    for found in find_files(root):
        if found.kind in VOLUME_FILES:
            volumes[found.path] = None
        elif found.kind == "dicom":
            volumes[found.path if found.path.parent == root else found.path.parent] = None
        else:
            others += 1
    return list(volumes), others
