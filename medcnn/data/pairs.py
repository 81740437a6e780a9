"""Which image belongs to which label: by equal names in two folders, or by the rows of a table."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medcnn.errors import ConfigError, ManifestError
from medcnn.io.manifest import case_table, read_manifest
from medcnn.io.patients import patient_source

_VOLUME = re.compile(r"(?P<stem>[^.].*?)\.nii(\.gz)?", re.IGNORECASE)
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Cases, each of one image of one or several sequences and one label.

    Attributes:
        table: Columns ``case`` and ``patient`` (pseudonyms), ``split`` ("" where none is given), then subgroups.
        root: Folder that all paths are relative to.
        images: Paths of each case's sequences; every case has as many. They stay on this machine.
        labels: Path of each case's label.
        subgroups: Columns that describe groups of cases.
        notes: One line each on what was assumed; without identifiers.
        patients_told: Whether the patient of any case is known; if not, each case has one of its own.
        place: Keyed name of ``root``.
    """

    table: pd.DataFrame
    root: Path
    images: list[tuple[str, ...]]
    labels: list[str]
    subgroups: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    patients_told: bool = True
    place: str = ""


def find_pairs(
    source: Path,
    images: str | Sequence[str] | None = None,
    labels: str | None = None,
    root: Path | None = None,
    patient: str | None = None,
) -> Pairs:
    """Pairs from a folder or from a table.

    Args:
        source: A folder with one folder of images and one of labels, or a manifest (CSV or Parquet).
        images: Name of the folder of images (``images``), or columns of a table, one a sequence (``image``).
        labels: Name of the folder of labels (``labels``), or a column of the table (``mask``).
        root: Folder that the paths of a table are relative to; its own by default.
        patient: Where the patient is told: ``column:NAME``, ``pattern:REGEX`` on the name of the image (its first
            group), or ``dicom``.

    Raises:
        ConfigError: If ``source`` does not exist.
        ManifestError: If an image has no label, a label no image, or a case fewer sequences than others.
    """
    if source.is_dir():
        if not (images is None or isinstance(images, str)):
            raise ConfigError(f"{source.name} is a folder: images is the name of one folder in it, found {images}")
        return _of_folder(source.resolve(), images or "images", labels or "labels", patient)
    if not source.exists():
        raise ConfigError(f"no such file or folder: {source.name}; expected a folder of images and labels, or a table")
    columns = [images or "image"] if images is None or isinstance(images, str) else list(images)
    return _of_table(source, columns, labels or "mask", root, patient)


def count_pairs(root: Path, images: str = "images", labels: str = "labels") -> tuple[int, int, int]:
    """How many cases of a folder have image and label, how many have an image, and how many a label, by names alone.

    Raises:
        ManifestError: If one of the two folders holds no volume, or two files are one case.
    """
    label_of = _by_stem(root, labels)
    image_of = _by_case(_by_stem(root, images), set(label_of), images)
    return len(image_of.keys() & label_of.keys()), len(image_of), len(label_of)


def _of_table(source: Path, images: list[str], label: str, root: Path | None, patient: str | None) -> Pairs:
    read = read_manifest(source, root=root, label=None, images=[*images, label], patient=patient, volumes=True)
    *later, labels = read.further
    sequences = list(zip(read.table["path"], *later, strict=True))
    table = read.table.drop(columns="path")
    return Pairs(table, read.root, sequences, list(labels), read.subgroups, read.notes, read.patients_told, read.place)


def _of_folder(root: Path, images: str, labels: str, patient: str | None) -> Pairs:
    label_of = _by_stem(root, labels)
    image_of = _by_case(_by_stem(root, images), set(label_of), images)
    _refuse_single(image_of, label_of, images, labels)
    first = image_of[min(image_of)]
    for case, channels in image_of.items():
        if set(channels) != set(first):
            raise ManifestError(
                f"{label_of[case]}: its image has the channels {_listed(channels)}, while that of "
                f"{label_of[min(image_of)]} has {_listed(first)}; every case needs the same ones"
            )
    cases = sorted(label_of)
    sequences = [tuple(image_of[case][channel] for channel in sorted(image_of[case])) for case in cases]
    owner = patient_source(patient, pd.DataFrame(), root.name)
    first_paths = [each[0] for each in sequences]
    read = case_table(root, first_paths, [""] * len(cases), {}, owner, pd.DataFrame())
    table, found = read.table.drop(columns="path"), [label_of[case] for case in cases]
    return Pairs(table, root, sequences, found, (), read.notes, read.patients_told, read.place)


def _by_stem(root: Path, folder: str) -> dict[str, str]:
    """Volumes of a folder by name without ending; hidden files, such as a Mac leaves, are passed over."""
    if not (root / folder).is_dir():
        there = ", ".join(sorted(one.name for one in root.iterdir() if one.is_dir())) or "none"
        raise ManifestError(f"{root.name}: expected a folder {folder}, found {there}; name it as images or labels")
    found: dict[str, str] = {}
    for path in sorted((root / folder).iterdir()):
        match = _VOLUME.fullmatch(path.name)
        if match is None:
            continue
        if match["stem"] in found:
            raise ManifestError(f"{folder}: {path.name} and {Path(found[match['stem']]).name} are one case; remove one")
        found[match["stem"]] = f"{folder}/{path.name}"
    if not found:
        raise ManifestError(f"{root.name}/{folder}: no NIfTI file (.nii, .nii.gz)")
    return found


def _by_case(images: dict[str, str], labels: set[str], folder: str) -> dict[str, dict[str, str]]:
    """Case to channel to path: ``x.nii.gz`` is the image of ``x``, ``x_0000.nii.gz`` a channel of it."""
    cases: dict[str, dict[str, str]] = {}
    for stem, path in images.items():
        match = _CHANNEL.fullmatch(stem)
        # A label of that very name decides: four digits may end a case's own name.
        of_channel = match is not None and stem not in labels and match["case"] in labels
        case, channel = (match["case"], match["channel"]) if match and of_channel else (stem, "")
        cases.setdefault(case, {})[channel] = path
    for case, channels in cases.items():
        if "" in channels and len(channels) > 1:
            raise ManifestError(f"{folder}: {case} is there with and without a channel number; remove one")
    return cases


def _refuse_single(
    images: dict[str, dict[str, str]], labels: dict[str, str], image_folder: str, label_folder: str
) -> None:
    if without := sorted(set(labels) - set(images)):
        raise ManifestError(
            f"{labels[without[0]]} has no image{_more(without, 'labels')}: expected {image_folder}/{without[0]}.nii.gz "
            "or one file a channel ending in _0000, _0001; add the image or remove the label"
        )
    if without := sorted(set(images) - set(labels)):
        path = min(images[without[0]].values())
        raise ManifestError(
            f"{path} has no label{_more(without, 'images')}: expected {label_folder}/{without[0]}.nii.gz; add the "
            "label or remove the image"
        )


def _more(names: list[str], what: str) -> str:
    return f" ({len(names)} such {what})" if len(names) > 1 else ""


def _listed(channels: dict[str, str]) -> str:
    return ", ".join(sorted(channel or "(without number)" for channel in channels))
