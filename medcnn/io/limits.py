"""Absolute limits on what is read, each checked before anything is allocated.

| what | at most |
|---|---|
| pixels of a 2-D image | 134 million (``MAX_PIXELS``): a 43 x 35 cm detector at 0.04 mm has 94 million |
| bytes of all its channels, decoded | 4 for each of these pixels |
| bytes of an encoded image or a deflated file | 1 GiB (``MAX_ENCODED_BYTES``) |
| bytes that a deflated file grows to | 1 GiB (``MAX_INFLATED_BYTES``), and 100 times its size |
| bytes of one header element | 64 MiB (``MAX_ELEMENT_BYTES``) |
| tiles, precincts and code blocks of a JPEG 2000 image | 1 million (``MAX_BLOCKS``) |

``MEDCNN_MAX_PIXELS=500000000`` in the environment raises (or lowers) the first two.
"""

import os

from medcnn.errors import ReadError

MAX_PIXELS = 1 << 27
MAX_ENCODED_BYTES = 1 << 30
MAX_INFLATED_BYTES = 1 << 30
MAX_ELEMENT_BYTES = 64 << 20
MAX_BLOCKS = 1 << 20


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
