"""Volumes of a cohort as files: one a case, or several sequences that are brought onto the first."""

import hashlib
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from monai.transforms import Orientation

from medcnn.data.content import content_digest
from medcnn.data.images import Opened
from medcnn.data.workers import read_bounded
from medcnn.errors import ReadError
from medcnn.io.read import read_volume
from medcnn.io.volume import Volume, volume_as_image
from medcnn.transforms.carrier import pixels_of
from medcnn.transforms.volume import ChannelsJoined


class VolumeFiles:
    """NIfTI files, multi-frame DICOM files and folders that hold one DICOM series.

    Args:
        root: Folder that all paths are relative to.
        paths: Paths of each case, one a sequence; every case has as many.
    """

    def __init__(self, root: Path, paths: Sequence[Sequence[str]]) -> None:
        self.root, self.paths = Path(root), [tuple(each) for each in paths]

    def __len__(self) -> int:
        return len(self.paths)

    def open(self, row: int) -> Opened:
        """Reads the volumes of a case; later sequences are resampled onto the grid of the first, as channels."""
        volumes = [read_bounded(read_volume, self.root / path) for path in self.paths[row]]
        content = "+".join(map(_content, volumes))
        flags = tuple(dict.fromkeys(flag for volume in volumes for flag in volume.flags))
        if len(volumes) == 1:
            return Opened(volume_as_image(volumes[0]), content, flags)
        case: dict[Hashable, Any] = {"flags": list(flags)}
        case.update(zip(self.paths[row], map(volume_as_image, volumes), strict=True))
        try:
            joined = ChannelsJoined(self.paths[row], into="image")(case)
        except ValueError as error:  # their fields of view do not meet: this case has no image, and others do
            raise ReadError("no_geometry", str(error)) from error
        return Opened(joined["image"], content, tuple(joined["flags"]))

    def name(self, row: int) -> str:
        """Path of a case's first volume relative to the folder."""
        return self.paths[row][0]

    def state(self) -> list[str]:
        """Path, size and time of change of every file of every case; what is missing has its own line."""
        return [" ".join(f"{path} {_stamp(self.root / path)}" for path in paths) for paths in self.paths]


def _content(volume: Volume) -> str:
    """Digest of the voxels as they lie in the patient: formats and their writers turn the axes about."""
    upright = Orientation("RAS", labels=None)(volume_as_image(volume))
    return content_digest(pixels_of(upright))


def _stamp(path: Path) -> str:
    """What changes when a file does, or any file of a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            return "missing"
        digest.update(f"{file.name} {stat.st_size} {stat.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
