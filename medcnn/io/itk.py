"""NRRD and MetaImage volumes (.nrrd, .nhdr, .mha, .mhd), by SimpleITK."""

import re
from pathlib import Path

import numpy as np

from medcnn.errors import ReadError
from medcnn.io.inflate import told_by_name
from medcnn.io.limits import check_voxels
from medcnn.io.volume import Volume
from medcnn.io.voxels import narrowed, turned_around

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_HEAD_BYTES = 1 << 16
_DATA_FILE = re.compile(rb"^(?:ElementDataFile\s*=|data ?file:)[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_PACKED = re.compile(
    rb"^(?:CompressedData\s*=\s*True|encoding:\s*(?:gz|gzip|bz2|bzip2)\s*$)", re.IGNORECASE | re.MULTILINE
)
_PACKED_SIZE = re.compile(rb"^CompressedDataSize\s*=\s*(\d+)", re.IGNORECASE | re.MULTILINE)
_ITEM_BYTES = {"8-bit": 1, "16-bit": 2, "32-bit": 4, "64-bit": 8}


def read_itk(path: Path) -> Volume:
    """The volume in an NRRD or a MetaImage file, in the order of its own indices.

    A header may name a data file next to it, and no other file.

    Raises:
        ReadError: With one of ``medcnn.io.find.REASONS``; its message names the file by its name only.
    """
    path = Path(path)
    with told_by_name(path):
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        data = _data_file(path, head)
        return _read(path, head, data)


def _data_file(path: Path, head: bytes) -> Path:
    """The file with the voxels: the same, or one next to it."""
    named = _DATA_FILE.search(head)
    name = named[1].strip().decode("utf-8", "surrogateescape") if named else ""
    if not named or (head[:4] != b"NRRD" and name.upper() == "LOCAL"):
        return path
    data = path.parent / name
    if Path(name).name != name or not name or "%" in name or name.upper().startswith("LIST") or not data.is_file():
        raise ReadError("header_and_image_apart", "the header names no data file next to it; write both into one file")
    if data.is_symlink() or data.resolve().parent != path.resolve().parent:
        raise ReadError("link_outside", "the data file is a link; expected a file next to the header")
    return data


def _read(path: Path, head: bytes, data: Path) -> Volume:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # its warnings quote paths and headers
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("NrrdImageIO" if head[:4] == b"NRRD" else "MetaImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        shape = _checked_shape(reader, SimpleITK.GetPixelIDValueAsString(reader.GetPixelID()))
        item = next(
            size for name, size in _ITEM_BYTES.items() if name in SimpleITK.GetPixelIDValueAsString(reader.GetPixelID())
        )
        _check_bytes(shape, item, head, data, data == path)
        image = reader.Execute()
    except (RuntimeError, StopIteration):  # its text quotes the path
        raise ReadError("bad_header", "SimpleITK cannot read it: the file is damaged or of an unusual kind") from None
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    voxels, flags = narrowed(SimpleITK.GetArrayViewFromImage(image))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    affine = _LPS_TO_RAS @ affine
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not (np.isfinite(affine).all() and lengths.all() and abs(np.linalg.det(affine[:3, :3] / lengths)) > 1e-3):
        raise ReadError("no_geometry", "directions or spacings are no geometry")
    flags += ("one_slice",) * (1 in voxels.shape)
    return Volume(turned_around(voxels), affine, flags=tuple(sorted(set(flags))), sources=(path,))


def _checked_shape(reader: object, kind: str) -> tuple[int, ...]:
    shape = tuple(int(one) for one in reader.GetSize())  # type: ignore[attr-defined]
    if reader.GetNumberOfComponents() != 1 or "complex" in kind or "vector" in kind:  # type: ignore[attr-defined]
        raise ReadError("unsupported_values", f"voxels of type {kind}; expected one real number per voxel")
    if len(shape) > 3 and int(np.prod(shape[3:], dtype=np.float64)) == 1 and len(shape) == 4:
        return shape
    if len(shape) > 3:
        raise ReadError("several_volumes", f"{shape} voxels are several volumes; write each into its own file")
    if len(shape) < 3:
        raise ReadError("film", "an image of two dimensions; expected a volume")
    return shape


def _check_bytes(shape: tuple[int, ...], item: int, head: bytes, data: Path, is_inside: bool) -> None:
    """Refuse what is too large, and what is shorter than its header announces."""
    on_disk, packed = data.stat().st_size, bool(_PACKED.search(head))
    check_voxels(shape[:3], item, on_disk if packed else None)
    announced = _PACKED_SIZE.search(head)
    size = int(announced[1]) if packed and announced else 0 if packed else int(np.prod(shape)) * item
    text = b"encoding: ascii" in head or b"encoding: text" in head or b"encoding: hex" in head
    start = (_DATA_FILE.search(head).end() if _DATA_FILE.search(head) else 0) if is_inside else 0  # type: ignore[union-attr]
    if not text and size > on_disk - start:
        raise ReadError("truncated", f"expected {size} bytes of voxels, found {on_disk - start}; copy the file again")
