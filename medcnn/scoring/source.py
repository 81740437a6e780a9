"""What lies under the source of a run, and what of it has no row yet."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from medcnn.errors import MedcnnError
from medcnn.io.find import find_files
from medcnn.io.series import Series, find_series, read_series
from medcnn.io.volume import Volume
from medcnn.io.volume_file import VOLUME_FILES, read_volume_file
from medcnn.scoring.ledger import Stamp
from medcnn.scoring.preparation import Refusal


class Listed(NamedTuple):
    """What gets one row, as it was when the folder was walked: a file, or a DICOM series.

    Attributes:
        path: What its reader takes.
        name: Path from the root, as bytes; a series adds its own name to that of its folder or file.
        stamp: Size and time of change, of a series those of all its files.
        refusal: Why it is not read at all, where walking the folder showed that already.
    """

    path: Path | Series
    name: bytes
    stamp: Stamp
    refusal: Refusal | None = None


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


def list_files(source: Path, root: Path, out: Path, hidden: list[Path] | None = None) -> Iterator[Listed]:
    """Every file of the source in a fixed order, less what lies under ``out``; ``hidden`` receives what is hidden."""
    foreign = _Foreign(source, out)
    for found in find_files(source, hidden):
        if not foreign.holds(found.path):
            yield Listed(found.path, _name(found.path, root), _stamp([found.path]))


def list_volumes(source: Path, root: Path, out: Path, hidden: list[Path] | None = None) -> Iterator[Listed]:
    """Every NIfTI file and DICOM series of the source, then every other file with the reason why it is neither.

    ``hidden`` receives what is hidden.
    """
    foreign = _Foreign(source, out)
    kinds = {found.path: found.kind for found in find_files(source, hidden) if not foreign.holds(found.path)}
    for path, kind in kinds.items():
        if kind in VOLUME_FILES:
            yield Listed(path, _name(path, root), _stamp([path]))
    series = find_series(source)
    for one in series.series:
        place = one.paths[0] if len(one.paths) == 1 else Path(os.path.commonpath([path.parent for path in one.paths]))
        yield Listed(one, _name(place / one.name, root), _stamp(one.paths))
    for path, code, sentence in series.skipped:
        if kinds.get(path, "nifti") in ("png", "jpeg", "tiff"):
            code, sentence = "film", f"{path.name}: a film, and this model was trained on volumes"
        if kinds.get(path, "nifti") not in VOLUME_FILES:
            yield Listed(path, _name(path, root), _stamp([path]), Refusal(code, sentence))


def read_listed(item: Path | Series) -> Volume:
    """The volume that ``list_volumes`` found; importable, for it runs in the workers."""
    return read_series(item) if isinstance(item, Series) else read_volume_file(item)


class _Foreign:
    """What lies in the folder of the findings, where that is part of the source."""

    def __init__(self, source: Path, out: Path) -> None:
        self.source, self.out = source, out.resolve()
        self.known: dict[Path, bool] = {}

    def holds(self, path: Path) -> bool:
        """Whether a file is one of ours; a source that is one file is not."""
        folder = path.parent
        if folder not in self.known:
            self.known[folder] = folder.resolve().is_relative_to(self.out)
        return self.known[folder] and path != self.source


def _name(path: Path, root: Path) -> bytes:
    return os.fsencode(path.relative_to(root))


def _stamp(paths: Sequence[Path]) -> Stamp:
    """Sizes summed and the latest change; a broken link, or a file gone already, has its own stamp."""
    try:
        states = [path.stat() for path in paths]
    except OSError:  # reading it will say so
        return Stamp(-1, -1)
    return Stamp(
        sum(state.st_size for state in states),
        max(state.st_mtime_ns for state in states),
        max(state.st_ctime_ns for state in states),
    )
