"""MedMNIST archives: six arrays in one npz file."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from medcnn.errors import ReadError

SPLITS = ("train", "val", "test")
_LARGE = 1 << 30
_RATIO = 200


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Images and labels of a MedMNIST file, by the file's own keys such as ``train_images`` and ``train_labels``.

    Returns:
        Images ``(n, rows, columns)``, ``(n, rows, columns, 3)`` or ``(n, z, y, x)``; labels ``(n, 1)`` or ``(n, k)``.

    Raises:
        ReadError: If the file is no such archive, lacks one of the six arrays, or their lengths differ.
    """
    path = Path(path)
    try:
        _refuse_bomb(path)
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in _keys(path, archive.files)}
    except ReadError:
        raise
    except FileNotFoundError:
        raise ReadError("unreadable", f"{path.name}: no such file") from None
    except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise ReadError("decode_failed", f"{path.name}: not a readable npz ({type(error).__name__})") from None
    for split in SPLITS:
        _check(path.name, split, arrays[f"{split}_images"], arrays[f"{split}_labels"])
    return arrays


def _keys(path: Path, found: list[str]) -> list[str]:
    wanted = [f"{split}_{part}" for split in SPLITS for part in ("images", "labels")]
    missing = [key for key in wanted if key not in found]
    if missing:
        raise ReadError("bad_header", f"{path.name}: expected MedMNIST's six arrays, {', '.join(missing)} missing")
    return wanted


def _refuse_bomb(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.file_size > _LARGE and entry.file_size > _RATIO * max(entry.compress_size, 1):
                raise ReadError("bomb", f"{path.name}: an array inflates to more than {_RATIO} times its size")


def _check(name: str, split: str, images: np.ndarray, labels: np.ndarray) -> None:
    if images.ndim not in (3, 4, 5) or images.dtype.kind not in "uif":
        raise ReadError("bad_header", f"{name}: {split}_images has shape {images.shape}; expected images in 2-D or 3-D")
    if labels.ndim not in (1, 2) or labels.dtype.kind not in "uifb":
        raise ReadError("bad_header", f"{name}: {split}_labels has shape {labels.shape}; expected (n, 1) or (n, k)")
    if len(images) != len(labels):
        raise ReadError("bad_header", f"{name}: {split} has {len(images)} images and {len(labels)} labels")
