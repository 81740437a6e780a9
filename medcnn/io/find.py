"""Walk a folder and tell images by their first bytes, never by their names."""

import errno
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from medcnn.errors import MedcnnError, ReadError
from medcnn.io.foreign import advice
from medcnn.io.signature import is_itk, is_mgh
from medcnn.printable import printable

#: Why a file was not read: the code that ledgers and audits count by, and what it means.
REASONS: dict[str, str] = {
    "not_an_image": "the first bytes are of no format that is read here",
    "empty": "the file holds no bytes",
    "truncated": "the file ends before its image does",
    "no_pixels": "a DICOM file without pixel data",
    "no_decoder": "no decoder is installed for the transfer syntax",
    "decode_failed": "the decoder refused the encoded image",
    "multiframe": "several frames or pages in one file",
    "bad_header": "a header element that is needed is missing, damaged or contradicts the pixels",
    "unsupported_photometric": "a photometric interpretation that is not read here",
    "unsupported_object": "a DICOM object that is not an image, such as a report or a plan",
    "too_large": "more pixels than any film, or more voxels than any volume has",
    "out_of_memory": "the image needs more memory than there is",
    "bomb": "inflates to far more than its size warrants",
    "link_outside": "a link that leads out of the folder",
    "decoder_crashed": "the process that read the file was ended by it",
    "timeout": "the file took longer than it may",
    "unreadable": "the file system did not hand out the bytes",
    "no_variation": "every pixel has the same value, or none is a number",
    "volume": "a volume where one film was expected",
    "film": "a film where a volume was expected",
    "unsupported_values": "voxels that are no single real numbers, such as color or complex ones",
    "several_volumes": "several volumes in one file, such as a time series",
    "header_and_image_apart": "header and voxels are in two files (.hdr and .img)",
    "no_geometry": "position, orientation or spacing is missing or is no geometry",
    "gaps": "distances between slices differ: a slice is missing, or two series are mixed",
    "duplicate_position": "several slices lie at one position",
    "mixed_orientation": "slices of one series are turned against each other",
    "mixed_size": "slices of one series differ in rows, columns or spacing",
    "not_aligned": "slices of one series are shifted against each other",
    "gantry_tilt": "slices are stacked along a line that is not perpendicular to them",
    "remainder": "slices of a series that fit none of its volumes and make none by themselves",
    "mixed_series": "slices of one series differ in study, frame of reference, echo or kind of values",
    "several_patients": "files of several patients name one series",
    "incomplete": "a file next to the slices of a series cannot be read: some of its slices may be missing",
    "localizer": "a localizer (scout), which is for planning a scan",
    "screenshot": "a secondary capture, such as a dose report or a scanned page",
    "archive": "an archive: unpack it first",
    "convert": "an image in a format that is not read here: convert it first",
    "mosaic": "slices tiled into one image",
    "copy": "the same image again",
    "not_dicom": "an image, but no DICOM file: it belongs to no series",
    "several_series": "several series where one was expected",
}

_MAGIC = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"II*\0", "tiff"), (b"MM\0*", "tiff"),
          (b"II+\0", "tiff"), (b"MM\0+", "tiff"))  # fmt: skip
_NIFTI_1, _NIFTI_2 = (b"n+1\0", b"ni1\0"), (b"n+2\0", b"ni2\0")
_HEAD_BYTES = 1024


class Found(NamedTuple):
    """A file and the format its first bytes speak of."""

    path: Path
    kind: str


def kind_of(path: Path) -> str:
    """Format of a file: ``dicom``, ``nifti``, ``mgh``, ``itk``, ``png``, ``jpeg``, ``tiff``, ``npz`` or ``unknown``.

    A file that cannot be opened, a pipe or a device is ``unknown``; reading it then says why.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            return "unknown"
        with path.open("rb") as stream:
            return kind_of_bytes(stream.read(_HEAD_BYTES))
    except OSError:
        return "unknown"


def kind_of_bytes(head: bytes) -> str:
    """Format by the first 1,024 bytes of a file."""
    # DICOM first: a preamble may legally carry the magic of a TIFF.
    if head[128:132] == b"DICM":
        return "dicom"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    plain = _inflated(head) if head.startswith(b"\x1f\x8b") else head
    if _is_nifti(plain):
        return "nifti"
    if is_mgh(plain):
        return "mgh"
    if is_itk(head):
        return "itk"
    if head.startswith(b"PK\x03\x04") and len(head) > 30:
        name_length = struct.unpack_from("<H", head, 26)[0]
        return "npz" if head[30 : 30 + name_length].endswith(b".npy") else "unknown"
    return "dicom" if _starts_with_an_element(head) else "unknown"


def _is_nifti(head: bytes) -> bool:
    return head[344:348] in _NIFTI_1 or head[4:8] in _NIFTI_2


def _inflated(head: bytes) -> bytes:
    """What the beginning of a gzip holds, as far as it goes."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _HEAD_BYTES)
    except zlib.error:
        return b""


def _starts_with_an_element(head: bytes) -> bool:
    """Whether a file without preamble begins with a plausible element of group 2 or 8."""
    if len(head) < 8:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    for order in "<>":
        group, element = struct.unpack_from(order + "HH", head)
        if group not in (0x0002, 0x0008) or element > 0x0100:
            continue
        if explicit or (order == "<" and struct.unpack_from("<I", head, 4)[0] <= 256):
            return True
    return False


def find_files(root: Path, hidden: list[Path] | None = None) -> Iterator[Found]:
    """Every file under ``root`` in a fixed order, unknown formats too, so that none is lost.

    Names that begin with a dot are skipped. Links are followed, each folder is entered once. A link to a folder outside
    of ``root`` is not followed: it is yielded itself, as ``unknown``, and so is a folder that may not be listed or
    whose path is longer than the system takes. Links to files lead anywhere, as in data sets that keep their files
    elsewhere and show them by links; ``root`` may be a link, too.

    Args:
        root: A folder, or one file.
        hidden: Receives the files and folders that were skipped because their names begin with a dot.

    Raises:
        MedcnnError: If there is nothing at ``root``.
    """
    if not _exists(root):
        raise MedcnnError(f"nothing is at {printable(root)}: expected a file or a folder of images")
    if not root.is_dir():
        yield Found(root, kind_of(root))
        return
    top, seen = os.path.realpath(root), set[tuple[int, int]]()
    waiting = [root]  # not recursive: folders may be nested deeper than Python calls are
    folders = {root}
    while waiting:
        path = waiting.pop()
        if path not in folders:
            yield Found(path, kind_of(path))
            continue
        folders.discard(path)
        try:
            entries = _entries(path, seen)
        except OSError:
            yield Found(path, "unknown")
            continue
        for entry in entries:
            if not entry.name.startswith("."):
                one = path / entry.name
                waiting.append(one)
                if _is_folder_within(entry, top):
                    folders.add(one)
            elif hidden is not None:
                hidden.append(path / entry.name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder above it is closed, or its path is longer than the system takes
        return False


def _entries(folder: Path, seen: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """What is in a folder, last name first; nothing if it was listed already."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return []
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name, reverse=True)


def _is_folder_within(entry: os.DirEntry[str], top: str) -> bool:
    try:
        if not entry.is_dir():
            return False
    except OSError:  # a link to itself, or one to what may not be seen; the entry is listed and its reading refused
        return False
    return not entry.is_symlink() or Path(os.path.realpath(entry.path)).is_relative_to(top)


def refusal(path: Path) -> ReadError:
    """Why a file of unknown kind cannot be read, as the error to raise."""
    head = b""
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            with path.open("rb") as stream:
                head = stream.read(_HEAD_BYTES)
    except OSError as error:
        return ReadError("unreadable", f"{path.name}: {_why_closed(path, error)}")
    if stat.S_ISDIR(status.st_mode) and path.is_symlink() and os.access(path, os.R_OK | os.X_OK):
        return ReadError("link_outside", f"{path.name}: a link that leads out of the folder; give what it leads to")
    if not stat.S_ISREG(status.st_mode):
        return ReadError("unreadable", f"{path.name}: is not a regular file")
    if status.st_size == 0:
        return ReadError("empty", f"{path.name}: the file is empty; copy it again")
    told = advice(path, head)
    if told is not None:
        return ReadError(told[0], f"{path.name}: {told[1]}")
    return ReadError(
        "not_an_image", f"{path.name}: expected DICOM, NIfTI, MGH, NRRD, MetaImage, PNG, JPEG, TIFF or npz, found none"
    )


def _why_closed(path: Path, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "a link to itself"
    if error.errno == errno.ENAMETOOLONG:
        return "its path is longer than the system takes; move the folder up, or give a folder within SOURCE"
    if isinstance(error, FileNotFoundError):
        return "a link to nothing" if path.is_symlink() else "is not there"
    return f"cannot be opened ({type(error).__name__}); check its permissions"
