"""The case table: one row per case, patients by pseudonym."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd

from medcnn.errors import ManifestError
from medcnn.io.classes import labels, ordered, spellings
from medcnn.io.columns import candidates, find_column
from medcnn.io.find import find_files
from medcnn.io.find_volumes import find_volumes
from medcnn.io.identity import Pseudonyms, key_file
from medcnn.io.patients import PatientSource, patient_source, patients
from medcnn.io.subgroups import describing_columns
from medcnn.io.table import finding, is_split_name, read_table, split_name, split_names
from medcnn.positive import EITHER
from medcnn.printable import printable

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
        place: Keyed name of ``root``.
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
    place: str = ""


class CaseTable(NamedTuple):
    """Cases by pseudonym.

    Attributes:
        table: ``case``, ``path``, ``patient``, ``split`` and targets.
        notes: What was assumed, a line each.
        patients_told: Whether the patient of any case is known.
        place: Keyed name of the folder.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]
    patients_told: bool
    place: str


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
    positive: str | None = None,
) -> Manifest:
    """The cases of a CSV or Parquet table with a column of paths, or several.

    Args:
        path: The table.
        root: Folder that paths are relative to; the table's own if None.
        label: Column of class names or numbers, used where ``findings`` is None; None where cases have no label.
        findings: Columns of findings for multi-label cases.
        classes: Class names in order; those found if None.
        patient: ``column:NAME``, ``pattern:REGEX`` on the file name (its first group), ``dicom``, or None for the
            column whose name means a patient, such as ``patient`` or ``Subject ID``, where there is one.
        images: Columns of paths, one for each image of a case; ``path`` in the result is the first of them. In place of
            a default (``path``, ``image``, ``mask``, and ``label`` above) the one column of such a meaning is taken.
        volumes: Whether a path may be a folder, which then holds a DICOM series.
        positive: The positive class of two; by what the names mean if None.

    Raises:
        ManifestError: If a column, a file or a value is missing, unknown or double; says which and in what rows.
        ConfigError: If of two classes nothing says which is the positive one.
    """
    path = Path(path)
    given = read_table(path)
    root = (Path(root) if root is not None else path.parent).resolve()
    columns, notes = _columns(given, images, None if findings is not None else label, path.name)
    missing = [name for name in findings or () if name not in given.columns]
    if missing:
        found = ", ".join(printable(name, 40) for name in given.columns[:12])
        raise ManifestError(f"manifest {path.name}: column {', '.join(missing)} is missing; found {found}")
    paths, *further = _paths_of_columns(given, columns.images, root, path.name, volumes)
    targets, names, on_labels = _targets(given, columns.label, findings, classes, positive)
    splits = split_names(given[columns.split]) if columns.split else [""] * len(paths)
    source = patient_source(patient, given, path.name)
    used = [*columns.images, columns.label, *(findings or ()), columns.split, source.column]
    subgroups, dropped = describing_columns(given.drop(columns=[name for name in used if name], errors="ignore"))
    cases = case_table(root, paths, splits, targets, source, given)
    notes = (*given.attrs["notes"], *notes, *cases.notes, *on_labels)
    if dropped:
        shown = ", ".join(printable(name, 40) for name in dropped[:8])
        more = f" and {len(dropped) - 8} more" if dropped[8:] else ""
        notes = (*notes, f"columns that may name a person are no subgroups and are left out: {shown}{more}")
    kept = tuple(str(name) for name in subgroups.columns)
    words = [name for name in kept if subgroups[name].dtype == object]
    alike = [spellings(filter(None, subgroups[name]), f"column {printable(name, 40)}", "group") for name in words]
    notes = (*notes, *(line for line in alike if line))
    table = cases.table.assign(**{name: subgroups[name].to_numpy() for name in kept})
    return Manifest(
        table, root, names, findings is not None, kept, dropped, notes, tuple(map(tuple, further)),
        cases.patients_told, cases.place,
    )  # fmt: skip


class _Columns(NamedTuple):
    images: list[str]
    label: str | None
    split: str | None


def _columns(
    given: pd.DataFrame, images: Sequence[str], label: str | None, name: str
) -> tuple[_Columns, tuple[str, ...]]:
    """The columns of images, label and split; and a note for each that has another name than its role."""
    columns = list(given.columns)
    found = [
        find_column(columns, wanted, wanted if wanted in ("image", "mask") else "path", name, "rename the one meant")
        for wanted in images
    ]
    target = label
    if label is not None:
        option = "name the one meant, as --data.init_args.label NAME"
        others = [one for one in columns if one not in found]
        target = find_column(others if label not in columns else columns, label, "label", name, option)
    splits = [one for one in candidates(columns, "split") if one == "split" or _holds_splits(given[one])]
    if len(splits) > 1:
        shown = ", ".join(printable(one, 40) for one in splits)
        raise ManifestError(f"manifest {name}: columns {shown} could hold the split; rename the one meant to split")
    split = splits[0] if splits else None
    roles = [*zip(images, found, strict=True), (label, target), ("split", split)]
    notes = tuple(
        f"column {printable(column, 40)} is read as {role}" for role, column in roles if column and column != role
    )
    return _Columns(found, target, split), notes


def _holds_splits(column: "pd.Series[str]") -> bool:
    words = {value for value in column if value}
    return bool(words) and all(is_split_name(value) for value in words)


def folder_manifest(
    root: Path,
    *,
    classes: Sequence[str] | None = None,
    patient: str | None = None,
    volumes: bool = False,
    positive: str | None = None,
) -> Manifest:
    """The cases of a folder with one folder a class, or of such folders under ``train``, ``val`` and ``test``.

    Args:
        root: The folder.
        classes: Class folders in order; all of them if None.
        patient: ``pattern:REGEX`` on the file name, ``dicom``, or None: each file its own patient.
        volumes: Whether NIfTI files and folders of DICOM series are looked for, instead of films.
        positive: The positive class of two; by what the names mean if None.

    Raises:
        ManifestError: If there are fewer than two classes, or one of them is missing or empty.
        ConfigError: If of two classes nothing says which is the positive one.
    """
    root = Path(root).resolve()
    if not root.is_dir():
        raise ManifestError(f"no folder {root.name}: expected one with a folder for each class")
    source = patient_source(patient, pd.DataFrame(), root.name)
    bases = _split_folders(root)
    folders = sorted({name for base in bases for name in _subfolders(root / base)}) if classes is None else classes
    if len(folders) < 2:
        raise ManifestError(f"folder {root.name}: expected two or more class folders, found {len(folders)}")
    rows, others = [], 0
    for base, split in bases.items():
        for name in folders:
            images, unknown = _found_in(root / base / name, volumes)
            rows += [(image.relative_to(root).as_posix(), split, str(name)) for image in images]
            others += unknown
    _refuse_empty_classes({row[2] for row in rows}, folders, root.name)
    alike = spellings(folders, f"class folders of {root.name}") if classes is None else ""
    if alike and positive != EITHER:
        raise ManifestError(alike)
    classes, on_labels = ordered([str(name) for name in folders], positive, found=classes is None)
    paths = [row[0] for row in rows]
    target = {"label": np.array([classes.index(row[2]) for row in rows], np.int64)}
    cases = case_table(root, paths, [row[1] for row in rows], target, source, pd.DataFrame())
    notes = (*cases.notes, *on_labels, *([alike] if alike else []))
    if others:
        notes = (*notes, f"{others} files under the class folders are no images and were left out")
    return Manifest(
        cases.table, root, classes, False, notes=notes, patients_told=cases.patients_told, place=cases.place
    )


def _paths_of_columns(
    given: pd.DataFrame, columns: Sequence[str], root: Path, name: str, volumes: bool
) -> list[list[str]]:
    """The paths of every column of images; an image stands in one place of the table only."""
    found = [_relative_paths(given[column], root, name, volumes) for column in columns]
    for number, paths in enumerate(found):
        for other, earlier in zip(columns, found[:number], strict=False):
            if shared := sorted(set(paths) & set(earlier)):
                raise ManifestError(
                    f"manifest {name}: {printable(shared[0])} is in column {other} and in column {columns[number]}; "
                    "expected an image of its own in each"
                )
    return found


def _relative_paths(column: "pd.Series[str]", root: Path, name: str, volumes: bool) -> list[str]:
    """Paths relative to ``root``, each once, each a file that is there."""
    paths = [_relative(text, root, f"manifest {name}, row {row}") for row, text in enumerate(column, 2)]
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        rows = [row for row, path in enumerate(paths, 2) if path == twice[0]]
        raise ManifestError(
            f"manifest {name}: {len(twice)} files are named twice, first {printable(twice[0])} in rows {rows[:3]}"
        )
    there = Path.exists if volumes else Path.is_file
    missing = [(row, path) for row, path in enumerate(paths, 2) if not there(root / path)]
    if missing:
        shown = ", ".join(f"{printable(path)} (row {row})" for row, path in missing[:3])
        raise ManifestError(f"manifest {name}: {len(missing)} of {len(paths)} files are not under {root.name}: {shown}")
    return paths


def _relative(text: str, root: Path, where: str) -> str:
    """One path as the user wrote it, relative to ``root``; ``..`` may not lead out of it, a link may."""
    if not text:
        raise ManifestError(f"{where}: no path")
    full = os.path.normpath(root / _as_written_here(text, root))
    if os.path.commonpath([full, root]) != str(root):
        raise ManifestError(f"{where}: the path leads out of {root.name}; give the folder of all files as root")
    return PurePosixPath(full).relative_to(PurePosixPath(root)).as_posix()


def _as_written_here(text: str, root: Path) -> str:
    """A path with the slashes and the form of Unicode that the file has on this machine."""
    slashes = text.replace("\\", "/")
    forms = [text, slashes, unicodedata.normalize("NFC", slashes), unicodedata.normalize("NFD", slashes)]
    return next((form for form in forms if os.path.lexists(root / form)), slashes)


def _targets(
    given: pd.DataFrame,
    label: str | None,
    findings: Sequence[str] | None,
    classes: Sequence[str] | None,
    positive: str | None,
) -> tuple[dict[str, np.ndarray], tuple[str, ...], tuple[str, ...]]:
    if findings is None and label is None:
        return {}, tuple(classes or ()), ()
    if findings is None:
        numbers, names, notes = labels(given[label], classes, positive)
        return {"label": numbers}, names, notes
    if positive:
        raise ManifestError(
            "positive is for two classes that exclude each other; of findings each is positive: leave it out"
        )
    taken = sorted(set(findings) & set(_RESERVED))
    if not findings or taken or len(set(findings)) < len(findings):
        raise ManifestError(f"findings: expected columns, each once, none called {', '.join(taken or _RESERVED)}")
    if classes is not None and list(classes) != list(findings):
        raise ManifestError("classes differ from findings; name one of them")
    found = {name: finding(given[name]) for name in findings}
    blank = {name: int(np.isnan(values).sum()) for name, values in found.items() if np.isnan(values).any()}
    shown = ", ".join(f"{printable(name, 40)} {count}" for name, count in list(blank.items())[:20])
    notes = (f"unknown, of {len(given)} cases: {shown}",) if blank else ()
    return found, tuple(findings), notes


def case_table(
    root: Path,
    paths: list[str],
    splits: list[str],
    targets: dict[str, np.ndarray],
    source: PatientSource,
    given: pd.DataFrame,
) -> CaseTable:
    """Name cases and patients by pseudonyms."""
    names = Pseudonyms(key_file())
    owners = patients(source, given, paths, root, names)
    # With the folder's name: two cohorts of one user often have files of equal names.
    cases = [names.name(f"case:{root.name}/{path}", "c") for path in paths]
    if len(set(cases)) < len(cases):
        raise ManifestError("two cases got the same pseudonym; move the key file away and start again")
    table = pd.DataFrame({"case": cases, "path": paths, "patient": owners.names, "split": splits, **targets})
    return CaseTable(table, owners.notes, owners.known, names.name(f"folder:{root}", "k"))


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


def _refuse_empty_classes(filled: set[str], classes: Sequence[str], name: str) -> None:
    empty = [str(one) for one in classes if str(one) not in filled]
    if empty:
        raise ManifestError(f"folder {name}: no image for class {', '.join(empty)}; expected a folder of that name")
