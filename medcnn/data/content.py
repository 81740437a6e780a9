"""A name for what a picture shows: equal pixels, equal name, whatever file they came in."""

import hashlib

import numpy as np


def content_digest(pixels: np.ndarray) -> str:
    """Digest of an image as displayed: of its shape and its values, not of the type that stores them.

    Args:
        pixels: Decoded pixels, any shape and number type.

    Returns:
        32 hex digits. The same values as uint8, int16 or whole-valued float32 give the same digest.
    """
    values = np.ascontiguousarray(_smallest_type(np.asarray(pixels)))
    digest = hashlib.blake2b(f"{values.shape} {values.dtype.str}".encode(), digest_size=16)
    digest.update(values.data if values.size else b"")
    return digest.hexdigest()


def seen_name(content: str) -> str:
    """Name a case in the record of what a model was trained on: 16 hex digits of a hash of its content digest.

    The same image has the same name on every machine, so a test on it can be refused. Whoever has the image can
    confirm that it is in the record; nobody can derive the image, its file or its patient from the name.
    """
    return hashlib.blake2b(content.encode(), digest_size=8, person=b"medcnn seen").hexdigest()


def _smallest_type(values: np.ndarray) -> np.ndarray:
    if values.size == 0:
        return values.astype(np.uint8)
    if values.dtype.kind == "f":
        whole = np.rint(values)
        if not (np.isfinite(values).all() and np.array_equal(whole, values) and np.abs(whole).max() < 2**31):
            return values.astype("<f4")
        values = whole.astype(np.int64)
    least, most = int(values.min()), int(values.max())
    for kind in ("u1", "<i2", "<i4", "<i8"):
        limits = np.iinfo(np.dtype(kind))
        if limits.min <= least and most <= limits.max:
            return values.astype(kind, copy=False)
    return values
