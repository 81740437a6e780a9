"""What a NIfTI header says, checked before anything is allocated for it."""

from typing import NamedTuple

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from medcnn.errors import ReadError
from medcnn.io.limits import check_voxels

HEAD_BYTES = 540

_AGREEMENT_VOXELS = 0.1
_SHEAR = 0.01
#: Unit codes of the format, and millimeters in each; 0 is an unknown unit, and millimeters by custom.
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
#: A voxel of a patient's image is between these, in mm; where the unit is unknown, other sizes are no millimeters.
_PLAUSIBLE_MM = (0.005, 100.0)
_READ = frozenset((2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280))  # whole numbers to 64 bits, float32 and float64

NiftiHeader = nibabel.Nifti1Header | nibabel.Nifti2Header


class Described(NamedTuple):
    """A header that can be read.

    ``shape`` is of three dimensions, ``dtype`` in the byte order of the file, ``offset`` the first byte of the voxels.
    """

    header: NiftiHeader
    shape: tuple[int, int, int]
    dtype: np.dtype
    offset: int
    scale: tuple[float, float] | None
    affine: np.ndarray
    flags: tuple[str, ...]


def describe(head: bytes) -> Described:
    """The first 540 bytes of a NIfTI file.

    Raises:
        ReadError: ``not_an_image``, ``truncated``, ``header_and_image_apart``, ``bad_header``, ``unsupported_values``,
            ``several_volumes``, ``too_large`` or ``no_geometry``.
    """
    header = _parsed(head)
    shape = _shape(header)
    code = int(header["datatype"])
    if code not in _READ:
        raise ReadError("unsupported_values", f"voxels of type {_type_name(code)}; expected one real number a voxel")
    check_voxels(shape, header.get_data_dtype().itemsize)
    affine, flags = _place(header, shape)
    offset = max(float(header["vox_offset"]), 544.0 if int(header["sizeof_hdr"]) == 540 else 352.0)
    if not offset < 1 << 31:
        raise ReadError("bad_header", f"the voxels begin at byte {offset:g}; the header is damaged")
    return Described(header, shape, header.get_data_dtype(), int(offset), _scale(header), affine, flags)


def _parsed(head: bytes) -> NiftiHeader:
    if head[344:348] == b"ni1\0" or head[4:8] == b"ni2\0":
        raise ReadError(
            "header_and_image_apart", "the voxels are in a second file (.img); join both into one .nii with your viewer"
        )
    kind = nibabel.Nifti2Header if head[4:8] == b"n+2\0" else nibabel.Nifti1Header
    if kind is nibabel.Nifti1Header and head[344:348] != b"n+1\0":
        raise ReadError("not_an_image", "expected a NIfTI file, found another kind of file")
    size = kind.sizeof_hdr
    if len(head) < size:
        raise ReadError("truncated", f"expected a header of {size} bytes, found {len(head)}; copy the file again")
    return kind(head[:size], check=False)


def _shape(header: NiftiHeader) -> tuple[int, int, int]:
    count = int(header["dim"][0])
    if not 1 <= count <= 7:
        raise ReadError("bad_header", f"the header says {count} dimensions; expected 3")
    sizes = [int(one) for one in header["dim"][1 : count + 1]]
    if min(sizes) < 1:
        raise ReadError("bad_header", f"the header says {_times(sizes)} voxels; expected at least 1 in each direction")
    several = int(np.prod(sizes[3:], dtype=np.float64)) if sizes[3:] else 1
    if several > 1:
        raise ReadError(
            "several_volumes", f"{_times(sizes)} voxels are {several} volumes in one file; write each into its own"
        )
    first, second, third = [*sizes, 1, 1][:3]
    return first, second, third


def _times(sizes: tuple[int, ...] | list[int]) -> str:
    return " x ".join(str(one) for one in sizes)


def _type_name(code: int) -> str:
    try:
        return str(nibabel.nifti1.data_type_codes.label[code])
    except KeyError:
        return f"code {code}"


def _scale(header: NiftiHeader) -> tuple[float, float] | None:
    """Slope and intercept, or None where values are stored as they are: a slope of 0 says so, and so does NaN."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite(slope) or slope == 0:
        return None
    inter = inter if np.isfinite(inter) else 0.0
    return None if (slope, inter) == (1.0, 0.0) else (slope, inter)


def _place(header: NiftiHeader, shape: tuple[int, int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The affine by the rules of the format (sform, else qform, else spacing alone) and what to know about it."""
    qform = _qform(header)
    sform = header.get_sform() if int(header["sform_code"]) > 0 else None
    affine = sform if sform is not None else qform
    flags = set()
    if affine is None:
        affine = _by_spacing(header, shape)
        flags.add("no_orientation")
    _refuse_no_geometry(affine)
    if sform is not None and qform is not None and _apart_voxels(sform, qform, shape) > _AGREEMENT_VOXELS:
        flags.add("qform_sform_disagree")
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(directions.T @ directions - np.eye(3)).max() > _SHEAR:
        flags.add("sheared")
    affine = np.asarray(affine, np.float64).copy()
    affine[:3] *= mm_per_unit(header)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if sizes.min() < _PLAUSIBLE_MM[0] or sizes.max() > _PLAUSIBLE_MM[1]:
        flags.add("implausible_spacing")
    return affine, tuple(sorted(flags))


def mm_per_unit(header: NiftiHeader) -> float:
    """Millimeters in the unit of length of a header.

    Raises:
        ReadError: ``bad_header`` for a unit that is none of length.
    """
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MM_PER_UNIT:
        raise ReadError("bad_header", f"xyzt_units gives unit {unit} for lengths; expected meter, mm, micron or none")
    return _MM_PER_UNIT[unit]


def _qform(header: NiftiHeader) -> np.ndarray | None:
    if int(header["qform_code"]) <= 0:
        return None
    try:
        return np.asarray(header.get_qform())
    except (HeaderDataError, ValueError):
        raise ReadError("no_geometry", "the qform is no rotation; write the file again from its source") from None


def _by_spacing(header: NiftiHeader, shape: tuple[int, int, int]) -> np.ndarray:
    spacing = np.abs(header["pixdim"][1:4].astype(np.float64))
    spacing[int(header["dim"][0]) :] = 1.0  # a file of two dimensions says nothing of the third
    if not (np.isfinite(spacing).all() and spacing.all()):
        raise ReadError("no_geometry", "neither sform, qform nor voxel sizes; give the file its geometry")
    # As every reader of the format does for lack of better: the first index runs to the left.
    steps = spacing * (-1, 1, 1)
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = -steps * (np.array(shape) - 1) / 2
    return affine


def _refuse_no_geometry(affine: np.ndarray) -> None:
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not (np.isfinite(affine).all() and lengths.all() and abs(np.linalg.det(affine[:3, :3] / lengths)) > 1e-3):
        raise ReadError("no_geometry", "the affine is no geometry (an axis of no length or two that are one)")


def _apart_voxels(one: np.ndarray, other: np.ndarray, shape: tuple[int, int, int]) -> float:
    """The farthest that the two put a corner of the volume apart, in steps of the finest spacing."""
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape])).reshape(3, -1)
    moved = (one - other)[:3, :3] @ corners + (one - other)[:3, 3:]
    return float(np.linalg.norm(moved, axis=0).max() / np.linalg.norm(one[:3, :3], axis=0).min())


def agreement(described: Described) -> str:
    """What the two forms of a header say of each other, in a few words."""
    codes = int(described.header["qform_code"]) > 0, int(described.header["sform_code"]) > 0
    if codes == (True, True):
        disagree = "qform_sform_disagree" in described.flags
        return "qform and sform disagree, sform is used" if disagree else "qform and sform agree"
    return {(True, False): "qform alone", (False, True): "sform alone"}.get(codes, "neither qform nor sform")
