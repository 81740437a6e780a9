"""What lies under the source of a run, and what of it has no row yet."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from medcnn.errors import MedcnnError
from medcnn.io.find import find_files
from medcnn.scoring.ledger import Stamp


class Listed(NamedTuple):
    """A file of the source as it was when the folder was walked; ``name`` is its path from the root, as bytes."""

    path: Path
    name: bytes
    stamp: Stamp


def checked_root(source: Path, out: Path) -> Path:
    """The folder that names in the ledger start from: ``source``, or the folder of a single file.

    Raises:
        MedcnnError: If there is nothing at ``source``, or it is ``out`` itself.
    """
    try:
        exists, single = source.exists(), source.is_file()
    except OSError as error:
        raise MedcnnError(f"SOURCE cannot be opened ({error.strerror}): check its permissions") from error
    if not exists:
        raise MedcnnError("nothing is at SOURCE: give a folder of images, or one image")
    root = source.parent if single else source
    if not single and out.resolve() == root.resolve():
        raise MedcnnError("OUT is SOURCE itself: findings would lie among the images; give another folder")
    return root


def list_files(source: Path, root: Path, out: Path) -> Iterator[Listed]:
    """Every file of the source in a fixed order, less what lies under ``out``."""
    own: dict[Path, bool] = {}
    for found in find_files(source):
        folder = found.path.parent
        if folder not in own:
            own[folder] = folder.resolve().is_relative_to(out.resolve())
        if own[folder] and found.path != source:
            continue
        try:
            status = found.path.stat()
            stamp = Stamp(status.st_size, status.st_mtime_ns)
        except OSError:  # a broken link, or gone already: reading it will say so
            stamp = Stamp(-1, -1)
        yield Listed(found.path, os.fsencode(found.path.relative_to(root)), stamp)
