"""The case table: one row a case, patients by pseudonym, and its digest."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

from medcnn.errors import ManifestError
from medcnn.io.find import find_files
from medcnn.io.find_volumes import find_volumes
from medcnn.io.identity import Pseudonyms, key_file_for
from medcnn.io.patients import PatientSource, patient_source, patients
from medcnn.io.subgroups import describing_columns
from medcnn.io.table import finding, is_split_name, labels, read_table, split_name, split_names

_RESERVED = ("case", "path", "patient", "split")
_IMAGES = ("dicom", "png", "jpeg", "tiff")


@dataclass(frozen=True, eq=False)
class Manifest:
    """Cases, their labels and whose they are.

    Attributes:
        table: Columns ``case`` (pseudonym), ``path`` (relative to ``root``; stays on this machine), ``patient``
            (pseudonym, its own for each case where unknown), ``split`` (empty, train, val or test), then ``label``
            int64 (-1 unknown) or one float32 column a finding (NaN unknown), then ``subgroups``.
        root: Folder that ``path`` is relative to.
        classes: Class names in order of their numbers, or the findings.
        multilabel: Whether each finding has a column of its own.
        subgroups: Columns that describe groups of cases.
        dropped: Columns left out because they may identify a person.
        notes: One line each on what was assumed; without identifiers.
        further: Paths of each case's further images, a tuple for each image column after the first.
        patients_told: Whether the patient of any case is known; if not, each case has one of its own.
    """

    table: pd.DataFrame
    root: Path
    classes: tuple[str, ...]
    multilabel: bool
    subgroups: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    further: tuple[tuple[str, ...], ...] = ()
    patients_told: bool = True

    @cached_property
    def digest(self) -> str:
        """SHA-256 over cases, patients, splits and labels, whatever their order; no path enters it."""
        columns = ["case", "patient", "split", *(self.classes if self.multilabel else ["label"])]
        rows = sorted("\x1f".join(str(cell) for cell in row) for row in self.table[columns].itertuples(index=False))
        return hashlib.sha256("\x1e".join([*self.classes, *rows]).encode()).hexdigest()


def read_manifest(
    path: Path,
    *,
    root: Path | None = None,
    label: str | None = "label",
    findings: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    patient: str | None = None,
    images: Sequence[str] = ("path",),
    volumes: bool = False,
) -> Manifest:
    """The cases of a CSV or Parquet table with a column of paths, or several.

    Args:
        path: The table.
        root: Folder that paths are relative to; the table's own if None.
        label: Column of class names or numbers, used where ``findings`` is None; None where cases have no label.
        findings: Columns of findings for multi-label cases.
        classes: Class names in order; those found, sorted, if None.
        patient: ``column:NAME``, ``pattern:REGEX`` on the file name (its first group), ``dicom``, or None for the
            column ``patient`` where there is one.
        images: Columns of paths, one for each image of a case; ``path`` in the result is the first of them.
        volumes: Whether a path may be a folder, which then holds a DICOM series.

    Raises:
        ManifestError: If a column, a file or a value is missing, unknown or double; says which and in what rows.
    """
    path = Path(path)
    given = read_table(path)
    root = (Path(root) if root is not None else path.parent).resolve()
    wanted = [*images, *(findings if findings is not None else [label] if label is not None else [])]
    missing = [name for name in wanted if name not in given.columns]
    if missing:
        found = ", ".join(given.columns[:12])
        raise ManifestError(f"manifest {path.name}: column {', '.join(missing)} is missing; found {found}")
    paths, *further = _paths_of_columns(given, images, root, path.name, volumes)
    targets, names = _targets(given, label, findings, classes)
    splits = split_names(given["split"]) if "split" in given.columns else [""] * len(paths)
    source = patient_source(patient, list(given.columns), path.name)
    used = [*wanted, "split", source.column or "split"]
    subgroups, dropped = describing_columns(given.drop(columns=used, errors="ignore"))
    table, notes, told = case_table(root, paths, splits, targets, source, given)
    if dropped:
        shown = ", ".join(name[:40] for name in dropped[:8]) + (f" and {len(dropped) - 8} more" if dropped[8:] else "")
        notes = (*notes, f"columns that may name a person are no subgroups and are left out: {shown}")
    kept = tuple(str(name) for name in subgroups.columns)
    for name in kept:
        table[name] = subgroups[name].to_numpy()
    columns = tuple(map(tuple, further))
    return Manifest(table, root, names, findings is not None, kept, dropped, notes, columns, told)


def folder_manifest(
    root: Path, *, classes: Sequence[str] | None = None, patient: str | None = None, volumes: bool = False
) -> Manifest:
    """The cases of a folder with one folder a class, or of such folders under ``train``, ``val`` and ``test``.

    Args:
        root: The folder.
        classes: Class folders in order; all of them, sorted, if None.
        patient: ``pattern:REGEX`` on the file name, ``dicom``, or None: each file its own patient.
        volumes: Whether NIfTI files and folders of DICOM series are looked for, instead of films.

    Raises:
        ManifestError: If there are fewer than two classes, or one of them is missing or empty.
    """
    root = Path(root).resolve()
    if not root.is_dir():
        raise ManifestError(f"no folder {root.name}: expected one with a folder for each class")
    source = patient_source(patient, [], root.name)
    bases = _split_folders(root)
    if classes is None:
        classes = sorted({name for base in bases for name in _subfolders(root / base)})
    if len(classes) < 2:
        raise ManifestError(f"folder {root.name}: expected two or more class folders, found {len(classes)}")
    rows, others = [], 0
    for base, split in bases.items():
        for number, name in enumerate(classes):
            images, unknown = _found_in(root / base / name, volumes)
            rows += [(image.relative_to(root).as_posix(), split, number) for image in images]
            others += unknown
    _refuse_empty_classes([row[2] for row in rows], classes, root.name)
    paths = [row[0] for row in rows]
    target = {"label": np.array([row[2] for row in rows], np.int64)}
    table, notes, told = case_table(root, paths, [row[1] for row in rows], target, source, pd.DataFrame())
    if others:
        notes = (*notes, f"{others} files under the class folders are no images and were left out")
    return Manifest(table, root, tuple(classes), False, notes=notes, patients_told=told)


def _paths_of_columns(
    given: pd.DataFrame, columns: Sequence[str], root: Path, name: str, volumes: bool
) -> list[list[str]]:
    """The paths of every column of images; an image stands in one place of the table only."""
    found = [_relative_paths(given[column], root, name, volumes) for column in columns]
    for number, paths in enumerate(found):
        for other, earlier in zip(columns, found[:number], strict=False):
            if shared := sorted(set(paths) & set(earlier)):
                raise ManifestError(
                    f"manifest {name}: {shared[0]} stands in column {other} and in column {columns[number]}; expected "
                    "an image of its own in each"
                )
    return found


def _relative_paths(column: "pd.Series[str]", root: Path, name: str, volumes: bool) -> list[str]:
    """Paths relative to ``root``, each once, each a file that is there."""
    paths = [_relative(text, root, f"manifest {name}, row {row}") for row, text in enumerate(column, 2)]
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        rows = [row for row, path in enumerate(paths, 2) if path == twice[0]]
        raise ManifestError(f"manifest {name}: {len(twice)} files are named twice, first {twice[0]} in rows {rows[:3]}")
    there = Path.exists if volumes else Path.is_file
    missing = [(row, path) for row, path in enumerate(paths, 2) if not there(root / path)]
    if missing:
        shown = ", ".join(f"{path} (row {row})" for row, path in missing[:3])
        raise ManifestError(f"manifest {name}: {len(missing)} of {len(paths)} files are not under {root.name}: {shown}")
    return paths


def _relative(text: str, root: Path, where: str) -> str:
    """One path as the user wrote it, relative to ``root``; ``..`` may not lead out of it, a link may."""
    if not text:
        raise ManifestError(f"{where}: no path")
    if "\\" in text and "/" not in text:
        text = PureWindowsPath(text).as_posix()
    full = os.path.normpath(root / text)
    if os.path.commonpath([full, root]) != str(root):
        raise ManifestError(f"{where}: the path leads out of {root.name}; give the folder of all files as root")
    return PurePosixPath(full).relative_to(PurePosixPath(root)).as_posix()


def _targets(
    given: pd.DataFrame, label: str | None, findings: Sequence[str] | None, classes: Sequence[str] | None
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    if findings is None and label is None:
        return {}, tuple(classes or ())
    if findings is None:
        numbers, names = labels(given[label], classes)
        return {"label": numbers}, names
    taken = sorted(set(findings) & set(_RESERVED))
    if not findings or taken or len(set(findings)) < len(findings):
        raise ManifestError(f"findings: expected columns, each once, none called {', '.join(taken or _RESERVED)}")
    if classes is not None and list(classes) != list(findings):
        raise ManifestError("classes differ from findings; name one of them")
    return {name: finding(given[name]) for name in findings}, tuple(findings)


def case_table(
    root: Path,
    paths: list[str],
    splits: list[str],
    targets: dict[str, np.ndarray],
    source: PatientSource,
    given: pd.DataFrame,
) -> tuple[pd.DataFrame, tuple[str, ...], bool]:
    """Cases by pseudonym, ``case``, ``path``, ``patient``, ``split`` and targets; a note on what was assumed; and
    whether the patient of any case is known.
    """
    names = Pseudonyms(key_file_for(root))
    who, notes, told = patients(source, given, paths, root, names)
    cases = [names.name(f"case:{path}", "c") for path in paths]
    if len(set(cases)) < len(cases):
        raise ManifestError("two cases got the same pseudonym; move the key file away and start again")
    return pd.DataFrame({"case": cases, "path": paths, "patient": who, "split": splits, **targets}), notes, told


def _split_folders(root: Path) -> dict[str, str]:
    """Folders of splits with the split of each, where there are no others; else the root itself, without a split."""
    folders = _subfolders(root)
    if not folders or not all(is_split_name(name) for name in folders):
        return {"": ""}
    order = ("train", "val", "test")
    return dict(sorted(((name, split_name(name)) for name in folders), key=lambda pair: order.index(pair[1])))


def _subfolders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _found_in(folder: Path, volumes: bool) -> tuple[list[Path], int]:
    """Images under a class folder, and how many files are none."""
    if volumes:
        return find_volumes(folder) if folder.is_dir() else ([], 0)
    found = list(find_files(folder)) if folder.is_dir() else []
    images = [one.path for one in found if one.kind in _IMAGES]
    return images, len(found) - len(images)


def _refuse_empty_classes(numbers: list[int], classes: Sequence[str], name: str) -> None:
    empty = [str(one) for at, one in enumerate(classes) if at not in set(numbers)]
    if empty:
        raise ManifestError(f"folder {name}: no image for class {', '.join(empty)}; expected a folder of that name")
