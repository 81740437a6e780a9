"""Absolute limits on what is read, each checked before anything is allocated.

| what | at most |
|---|---|
| pixels of a 2-D image | 134 million (``MAX_PIXELS``): a 43 x 35 cm detector at 0.04 mm has 94 million |
| bytes of all its channels, decoded | 4 for each of these pixels |
| bytes of an encoded image or a deflated file | 1 GiB (``MAX_ENCODED_BYTES``) |
| bytes that a deflated file grows to | 1 GiB (``MAX_INFLATED_BYTES``), and 100 times its size |
| bytes of one header element | 64 MiB (``MAX_ELEMENT_BYTES``) |
| tiles, precincts and code blocks of a JPEG 2000 image | 1 million (``MAX_BLOCKS``) |
| voxels of a volume | 512 x 512 x 2,048 (``MAX_VOXELS``) |
| bytes of a volume as stored | 2 GiB (``MAX_VOLUME_BYTES``) |
| frames or slices of a volume | 65,536 (``MAX_SLICES``) |
| bytes inflated ahead of what the header announces | 64 MiB (``MAX_SKIPPED_BYTES``) |
| voxels per byte of a compressed volume file above 512 MiB | 200 (``MAX_RATIO``) |

``MEDCNN_MAX_PIXELS=500000000`` in the environment raises (or lowers) the first two.
"""

import os
from collections.abc import Sequence

import numpy as np

from medcnn.errors import ReadError

MAX_PIXELS = 1 << 27
MAX_ENCODED_BYTES = 1 << 30
MAX_INFLATED_BYTES = 1 << 30
MAX_ELEMENT_BYTES = 64 << 20
MAX_BLOCKS = 1 << 20
#: Above any head or trunk.
MAX_VOXELS = 1 << 29
MAX_VOLUME_BYTES = 1 << 31
MAX_SLICES = 1 << 16
MAX_SKIPPED_BYTES = 64 << 20
MAX_RATIO = 200
#: A volume of fewer bytes may be as empty as it likes: a mask compresses a thousandfold.
_FREE_BYTES = 512 << 20


def check_voxels(shape: Sequence[int], itemsize: int = 1, packed_bytes: int | None = None) -> None:
    """Refuse a volume that is larger than any, or that only a compressed file of zeros would announce.

    Args:
        shape: Voxels along each axis.
        itemsize: Bytes of a voxel as it is stored.
        packed_bytes: Size of the compressed file; None for one that is not compressed.

    Raises:
        ReadError: ``too_large`` or ``bomb``.
    """
    size = " x ".join(map(str, shape))
    voxels = float(np.prod(np.asarray(shape, np.float64)))
    if voxels > MAX_VOXELS:
        raise ReadError("too_large", f"{size} voxels; at most {MAX_VOXELS:,} are read")
    if voxels * itemsize > MAX_VOLUME_BYTES:
        raise ReadError("too_large", f"{size} voxels of {itemsize} bytes; at most {MAX_VOLUME_BYTES:,} bytes are read")
    if packed_bytes is not None and voxels * itemsize > max(_FREE_BYTES, MAX_RATIO * packed_bytes):
        raise ReadError(
            "bomb",
            f"{size} voxels of {itemsize} bytes in a compressed file of {packed_bytes:,}; at most {MAX_RATIO} times "
            "its size is read",
        )


def max_pixels() -> int:
    """Most pixels of a 2-D image: ``MEDCNN_MAX_PIXELS`` of the environment, else ``MAX_PIXELS``.

    Raises:
        ReadError: ``too_large`` if the variable holds no whole number, for then no size is known to be allowed.
    """
    given = os.environ.get("MEDCNN_MAX_PIXELS", "").strip()
    if not given:
        return MAX_PIXELS
    if not given.isascii() or not given.isdigit():
        raise ReadError("too_large", "expected a whole number in MEDCNN_MAX_PIXELS; correct or unset it")
    return int(given)


def check_pixels(rows: int, columns: int) -> None:
    """Refuse an image of more pixels than are read.

    Raises:
        ReadError: ``too_large``.
    """
    most = max_pixels()
    if rows * columns > most:
        raise ReadError(
            "too_large", f"{rows} x {columns} pixels; at most {most:,} are read; MEDCNN_MAX_PIXELS raises this limit"
        )


def check_decoded_bytes(size: int) -> None:
    """Refuse an image whose channels take more than four bytes for each of the most pixels.

    Raises:
        ReadError: ``too_large``.
    """
    most = 4 * max_pixels()
    if size > most:
        raise ReadError(
            "too_large", f"{size:,} bytes of pixels; at most {most:,} are read; MEDCNN_MAX_PIXELS raises this limit"
        )
