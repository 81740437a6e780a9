"""FreeSurfer volumes (.mgh, .mgz)."""

import os
import struct
from pathlib import Path

import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader

from medcnn.errors import ReadError
from medcnn.io.inflate import Contents, told_by_name
from medcnn.io.nifti import read_stored, scaled
from medcnn.io.volume import Volume

_HEAD_BYTES, _PLACED_AT = 284, 28
_READ = frozenset((0, 1, 3, 4))  # uint8, int32, float32, int16


def read_mgh(path: Path) -> Volume:
    """The volume in a .mgh or .mgz file, in the order of its own indices.

    Raises:
        ReadError: As ``medcnn.io.nifti.read_nifti``.
    """
    path = Path(path)
    with told_by_name(path), path.open("rb") as file:
        contents = Contents(file)
        head = contents.head(_HEAD_BYTES)
        if len(head) < _HEAD_BYTES:
            raise ReadError("truncated", f"expected a header of {_HEAD_BYTES} bytes, found {len(head)}; copy it again")
        header = MGHHeader(head, check=False)
        if int(header["type"]) not in _READ:
            raise ReadError("unsupported_values", f"voxels of type {int(header['type'])}; expected real numbers")
        sizes = [int(one) for one in header["dims"]]
        if sizes[3] > 1:
            raise ReadError("several_volumes", f"{sizes[3]} volumes in one file; write each into its own")
        shape = sizes[0], sizes[1], sizes[2]
        on_disk = os.fstat(file.fileno()).st_size
        stored = read_stored(contents, shape, header.get_data_dtype(), _HEAD_BYTES, on_disk)
        voxels, flags = scaled(stored, None)
    placed = struct.unpack_from(">h", head, _PLACED_AT)[0] > 0  # nibabel fills in a default and reports it as given
    affine = np.asarray(header.get_affine(), np.float64)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not (np.isfinite(affine).all() and lengths.all() and abs(np.linalg.det(affine[:3, :3] / lengths)) > 1e-3):
        raise ReadError("no_geometry", f"{path.name}: the affine is no geometry")
    flags += (() if placed else ("no_orientation",)) + ("one_slice",) * (1 in shape)
    return Volume(voxels, affine, flags=tuple(sorted(set(flags))), sources=(path,))
