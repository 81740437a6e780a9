"""MedMNIST: small images of many kinds, 2-D and 3-D, with official splits."""

import hashlib
import logging
import shutil
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medcnn.data.cohort import Cohort
from medcnn.data.images import ArrayImages
from medcnn.data.leaks import OnLeak
from medcnn.data.medmnist_files import COLLECTIONS, RECORD, MedMnist, file_name, parse_name
from medcnn.data.module import CaseDataModule
from medcnn.data.split import SPLITS
from medcnn.errors import ConfigError
from medcnn.io.classes import OPTION
from medcnn.io.medmnist import read_npz
from medcnn.positive import order_classes, positive_of

_log = logging.getLogger("medcnn.data")


class MedMnistDataModule(CaseDataModule):
    """A MedMNIST collection with its official splits.

    Args:
        source: An ``.npz`` file, or the name of a collection such as ``pneumoniamnist`` or ``pneumoniamnist_64``,
            which is fetched once with its official checksum.
        folder: Where fetched files lie; ``~/.medmnist`` by default, as the medmnist package has it.
        on_leak: ``drop`` by default: some official splits repeat images.
        positive: Name of the positive one of two classes. By default it is recognized by what the names mean, and where
            they do not decide it is label 1, as in the collections' own evaluation.
        **common: What every cohort takes; see ``CaseDataModule``.

    Raises:
        ConfigError: If ``source`` is neither a file nor a known name, or ``positive`` is not one of two classes.
    """

    def __init__(
        self,
        source: str | Path,
        folder: Path | None = None,
        on_leak: OnLeak = "drop",
        positive: str | None = None,
        **common: Any,
    ) -> None:
        super().__init__(on_leak=on_leak, **common)
        named = parse_name(str(source))
        if named is None and not Path(source).is_file():
            raise ConfigError(
                f"no file {Path(source).name!r}, and no MedMNIST collection of that name: "
                f"expected an .npz file or one of {', '.join(COLLECTIONS)}"
            )
        self._named = named
        home = Path.home() / ".medmnist" if folder is None else Path(folder)
        self.path = Path(source) if named is None else home / file_name(*named)
        known = named or parse_name(self.path.stem)
        facts = COLLECTIONS[known[0]] if known else _facts_from(self.path)
        self.classes, self.multilabel, self.in_channels = facts.classes, facts.multilabel, facts.channels
        self._published = facts.classes
        if positive is not None or (len(facts.classes) == 2 and not facts.multilabel):
            chosen = positive or positive_of(facts.classes) or facts.classes[1]
            self.classes = order_classes(facts.classes, chosen, OPTION)

    def prepare_data(self) -> None:
        """Fetches the official file where it is absent."""
        if self._named is not None:
            fetch(*self._named, self.path.parent)
        super().prepare_data()

    def cohort(self) -> Cohort:
        """All images of the three official splits, in their order."""
        if not self.path.is_file():
            raise ConfigError(f"{self.path.name} is absent: call prepare_data() first, or let the trainer do it")
        parts = read_npz(self.path)
        images = np.concatenate([parts[f"{split}_images"] for split in SPLITS])
        labels = np.concatenate([parts[f"{split}_labels"] for split in SPLITS])
        splits = [split for split in SPLITS for _ in range(len(parts[f"{split}_images"]))]
        # No patient is named in these files, so each image counts as one.
        names = [f"{self.path.stem}-{split}-{i}" for split in SPLITS for i in range(len(parts[f"{split}_images"]))]
        table = pd.DataFrame({"case": names, "patient": names, "split": splits})
        columns = labels.reshape(len(names), -1)
        if self.multilabel:
            table[list(self.classes)] = columns.astype(np.float32)
        else:
            # The files number the classes as published; here the positive one of two is second.
            place = {at: self.classes.index(name) for at, name in enumerate(self._published)}
            unknown = sorted({int(value) for value in np.unique(columns[:, 0])} - {-1, *place})
            if unknown:
                raise ConfigError(f"{self.path.name} holds the label {unknown[0]}; expected 0 to {len(place) - 1}")
            table["label"] = [place.get(int(value), -1) for value in columns[:, 0]]
        _log.warning("%d of %d cases: MedMNIST tells no patient; each counts as one of its own", len(names), len(names))
        shown = ArrayImages(images, channels_last=self.in_channels == 3, title=f"{self.path.name} image")
        return Cohort(table, shown, patients_told=False)


def fetch(name: str, size: int, folder: Path) -> Path:
    """The official file of a collection, from the folder or from Zenodo; its checksum is compared either way.

    Raises:
        ConfigError: If it cannot be fetched, or is not the official file.
    """
    file, md5 = file_name(name, size), COLLECTIONS[name].md5[size]
    path = folder / file
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _download(f"{RECORD}/{file}?download=1", path, md5)
    if _md5(path) != md5:
        raise ConfigError(
            f"{file} has MD5 {_md5(path)}, the official file has {md5}: remove it from {folder} to fetch it again, "
            "or give its path as source to use it as it is"
        )
    return path


def _download(url: str, path: Path, md5: str) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as partial:
        target = Path(partial) / path.name
        try:
            with urllib.request.urlopen(url, timeout=30) as answer, target.open("wb") as file:  # noqa: S310 (https, from our own table)
                shutil.copyfileobj(answer, file)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise ConfigError(
                f"cannot fetch {path.name} ({getattr(error, 'reason', error)}): put the file from {url} (MD5 {md5}) "
                f"into {path.parent}"
            ) from error
        if _md5(target) != md5:
            raise ConfigError(
                f"{path.name} arrived with MD5 {_md5(target)}, the official file has {md5}: fetch it again"
            )
        target.rename(path)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _facts_from(path: Path) -> MedMnist:
    """Labels by number, several columns as several findings: all that a file outside the collections tells."""
    parts = read_npz(path)
    labels = np.concatenate([parts[f"{split}_labels"] for split in SPLITS])
    images = parts["train_images"]
    multilabel = labels.ndim == 2 and labels.shape[1] > 1
    count = labels.shape[1] if multilabel else int(labels.max()) + 1
    channels = 3 if images.ndim > 3 and images.shape[-1] == 3 else 1
    return MedMnist(tuple(str(k) for k in range(count)), {}, channels, multilabel)
