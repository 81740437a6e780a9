"""NIfTI files to volumes, and back without losing where they lie."""

import os
from pathlib import Path
from typing import BinaryIO

import nibabel
import numpy as np
from isal import igzip

from medcnn.errors import MedcnnError, ReadError
from medcnn.files import write_atomic
from medcnn.io.inflate import Contents, told_by_name
from medcnn.io.limits import MAX_SKIPPED_BYTES, check_voxels
from medcnn.io.nifti_header import HEAD_BYTES, Described, NiftiHeader, describe, mm_per_unit
from medcnn.io.volume import Volume
from medcnn.io.voxels import narrowed, turned_around

_PLACE = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z",
          "srow_x", "srow_y", "srow_z", "xyzt_units")  # fmt: skip
_SCANNER = 1
_PLANES = 16


def read_nifti(path: Path) -> Volume:
    """The one volume in a .nii or .nii.gz file, in the order of its own indices.

    The place is that of the sform where there is one, else of the qform; where both are there and put a corner more
    than a tenth of a voxel apart, the flag ``qform_sform_disagree`` says so. Voxels that are no number are kept, with
    the flag ``non_finite``; an axis of one voxel is flagged ``one_slice``.

    Raises:
        ReadError: With one of ``medcnn.io.find.REASONS``; its message names the file by its name only.
    """
    path = Path(path)
    with told_by_name(path), path.open("rb") as file:
        contents = Contents(file)
        described = describe(contents.head(HEAD_BYTES))
        on_disk = os.fstat(file.fileno()).st_size
        stored = read_stored(contents, described.shape, described.dtype, described.offset, on_disk)
        voxels, flags = scaled(stored, described.scale)
    flags += ("one_slice",) * (1 in voxels.shape)
    return Volume(voxels, described.affine, flags=tuple(sorted({*flags, *described.flags})), sources=(path,))


def read_nifti_header(path: Path) -> Described:
    """What the header of a NIfTI file says, its voxels unread.

    Raises:
        ReadError: As ``read_nifti``.
    """
    path = Path(path)
    with told_by_name(path), path.open("rb") as file:
        return describe(Contents(file).head(HEAD_BYTES))


def read_stored(
    contents: Contents, shape: tuple[int, int, int], dtype: np.dtype, offset: int, on_disk: int
) -> np.ndarray:
    """The voxels as they lie in the file, ``(third, second, first)`` index.

    Args:
        contents: Of the file, its header read.
        shape: Voxels along each index.
        dtype: As stored.
        offset: Byte at which they begin.
        on_disk: Bytes of the file.

    Raises:
        ReadError: ``too_large``, ``bomb`` or ``truncated``, each before anything is allocated where that is known.
    """
    size = int(np.prod(shape)) * dtype.itemsize
    check_voxels(shape, dtype.itemsize, on_disk if contents.packed else None)
    if not contents.packed and offset + size > on_disk:  # before anything is allocated
        raise ReadError(
            "truncated", f"expected {size} bytes of voxels, found {max(0, on_disk - offset)}; copy it again"
        )
    if offset > MAX_SKIPPED_BYTES:
        raise ReadError("too_large", f"voxels begin at byte {offset:,}; at most {MAX_SKIPPED_BYTES:,} is read")
    raw = np.empty(size, np.uint8)
    count = contents.read_from(offset, raw)
    if count < size:
        raise ReadError("truncated", f"expected {size} bytes of voxels, found {count}; copy the file again")
    if not contents.is_whole():
        raise ReadError("truncated", f"the gzip ends before its checksum, after {size} bytes of voxels; copy it again")
    values = raw.view(dtype).reshape(shape[::-1])
    return values if dtype.isnative else values.astype(dtype.newbyteorder("="))


def scaled(stored: np.ndarray, scale: tuple[float, float] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Scaled where the header asks for it, in a dtype of volumes, ``(first, second, third)`` index."""
    if scale is None:
        voxels, flags = narrowed(stored)
        return turned_around(voxels), flags
    slope, inter = scale
    values = np.empty(stored.shape, np.float32)
    for plane, out in zip(stored, values, strict=True):
        out[...] = plane * np.float64(slope) + inter  # in double: single precision would round twice
    return turned_around(values), (() if np.isfinite(values).all() else ("non_finite",))


def write_nifti(path: Path, voxels: np.ndarray, affine: np.ndarray, *, like: Path | None = None) -> None:
    """Write a volume so that the file appears whole or not at all; what was there before is replaced.

    Both forms are written with a code. With ``like`` they are those of that file to the bit, codes and units too.

    Args:
        path: File to write; its name ends in .nii or .nii.gz.
        voxels: 3-D. Its dtype is kept; bool and 64-bit whole numbers become the narrowest that holds them.
        affine: ``(4, 4)`` from indices to mm, RAS+.
        like: The NIfTI file on whose grid the voxels lie.

    Raises:
        ValueError: If voxels and affine are no volume, or the name ends otherwise.
        MedcnnError: If ``like`` has another shape or another place, or the file cannot be written.
    """
    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"expected a name that ends in .nii or .nii.gz, got {path.name}")
    voxels, affine = _storable(np.asarray(voxels)), np.asarray(affine, np.float64)
    if voxels.ndim != 3 or voxels.size == 0 or affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise ValueError(f"expected 3-D voxels and a finite (4, 4) affine, got {voxels.shape} and {affine.shape}")
    header = _new_header(voxels, affine) if like is None else _header_like(Path(like), voxels, affine)
    header.set_data_dtype(voxels.dtype)
    header["scl_slope"], header["scl_inter"] = 1, 0
    of_two = int(header["sizeof_hdr"]) == HEAD_BYTES
    header["vox_offset"], header["magic"] = (544, b"n+2") if of_two else (352, b"n+1")
    _save(path, header.binaryblock + bytes(4), voxels)


def _storable(voxels: np.ndarray) -> np.ndarray:
    if voxels.dtype == bool:
        return voxels.astype(np.uint8)
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize == 8 and voxels.size:
        for dtype in (np.uint8, np.int16, np.int32):
            if np.iinfo(dtype).min <= voxels.min() and voxels.max() <= np.iinfo(dtype).max:
                return voxels.astype(dtype)
    if voxels.dtype.kind not in "iuf" or voxels.dtype.itemsize > 8 or voxels.dtype == np.float16:
        raise ValueError(f"expected whole or floating-point voxels, got {voxels.dtype}")
    return voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)


def _new_header(voxels: np.ndarray, affine: np.ndarray) -> NiftiHeader:
    kind = nibabel.Nifti1Header if max(voxels.shape) < 1 << 15 else nibabel.Nifti2Header
    header = kind(endianness="<")
    header.set_data_shape(voxels.shape)
    header.set_xyzt_units("mm")
    header.set_sform(affine, _SCANNER)
    # A quaternion cannot shear: where the affine does, the qform would say another place.
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    straight = np.allclose(directions.T @ directions, np.eye(3), atol=1e-4)
    header.set_qform(affine, _SCANNER if straight else 0, strip_shears=True)
    return header


def _header_like(like: Path, voxels: np.ndarray, affine: np.ndarray) -> NiftiHeader:
    described = read_nifti_header(like)
    if described.shape != voxels.shape:
        raise MedcnnError(f"{like.name}: expected voxels {described.shape} as in that file, got {voxels.shape}")
    if not np.allclose(described.affine, affine, rtol=1e-4, atol=1e-3):
        raise MedcnnError(f"{like.name}: the voxels lie elsewhere than in that file; resample them onto it first")
    header = type(described.header)(endianness="<")
    header.set_data_shape(voxels.shape)
    for name in _PLACE:
        header[name] = described.header[name]
    header["pixdim"][:4] = described.header["pixdim"][:4]
    if mm_per_unit(header) != 1.0:  # most readers take every length for millimeters
        header.set_xyzt_units("mm")
        header["pixdim"][1:4] *= mm_per_unit(described.header)
        for code in ("qform", "sform"):
            if int(header[f"{code}_code"]) > 0:
                _scale_form(header, code, mm_per_unit(described.header))
    return header


def _scale_form(header: NiftiHeader, form: str, factor: float) -> None:
    names = ("qoffset_x", "qoffset_y", "qoffset_z") if form == "qform" else ("srow_x", "srow_y", "srow_z")
    for name in names:
        header[name] = header[name] * factor


def _save(path: Path, head: bytes, voxels: np.ndarray) -> None:
    def write(draft: Path) -> None:
        with draft.open("wb") as file:
            if path.name.endswith(".gz"):
                # No name and no time in it: the same volume is the same file.
                with igzip.IGzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                    _write(packed, head, voxels)  # type: ignore[arg-type]
            else:
                _write(file, head, voxels)

    try:
        write_atomic(path, write)
    except OSError as error:
        raise MedcnnError(f"{path.name}: cannot be written ({error.strerror}); check the folder") from None


def _write(stream: BinaryIO, head: bytes, voxels: np.ndarray) -> None:
    stream.write(head)
    for start in range(0, voxels.shape[2], _PLANES):
        stream.write(voxels[:, :, start : start + _PLANES].tobytes(order="F"))
