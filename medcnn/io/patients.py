"""Whose each case is: by a column, by the file's name or by the DICOM header, as pseudonyms."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from medcnn.errors import ManifestError
from medcnn.io.identity import Pseudonyms, patient_in_dicom

_DEFAULT_COLUMNS = ("patient", "patient_id", "patientid")


class PatientSource(NamedTuple):
    """Where patients are read from: a way to ask for them, and the column that holds them or None."""

    words: str
    column: str | None
    find: Callable[[Path], str | None] | None

    @property
    def lacking(self) -> str:
        """What to say of a case whose patient is not known."""
        if self.column is None and self.find is None:
            return "the patient is not told (patient says where it is: column:NAME, pattern:REGEX or dicom)"
        return f"no patient by {self.words}"


def patient_source(spec: str | None, columns: Sequence[str], name: str) -> PatientSource:
    """The source that ``column:NAME``, ``pattern:REGEX``, ``pairs:REGEX``, ``dicom`` or None asks for.

    Args:
        spec: As the user gave it; None takes the column ``patient`` where there is one.
        columns: The manifest's columns, empty for a folder.
        name: The manifest's or folder's name, for messages.

    Raises:
        ManifestError: If the column is not there or the pattern is none.
    """
    if spec is None:
        column = next((found for want in _DEFAULT_COLUMNS for found in columns if found.lower() == want), None)
        return PatientSource(f"column {column}" if column else "", column, None)
    kind, _, value = spec.partition(":")
    if kind == "column":
        if value not in columns:
            raise ManifestError(f"{name}: no column {value} for the patient; found {', '.join(columns) or 'none'}")
        return PatientSource(f"column {value}", value, None)
    if kind == "pattern":
        return PatientSource("the pattern", None, _by_pattern(value))
    if kind == "pairs":
        return PatientSource("the pairs of numbers", None, _by_pairs(_by_pattern(value)))
    if spec == "dicom":
        return PatientSource("the DICOM header", None, _in_dicom)
    raise ManifestError(f"{name}: patient is {kind!r}; expected column:NAME, pattern:REGEX, pairs:REGEX or dicom")


def _in_dicom(path: Path) -> str | None:
    """Whose a DICOM file is, or the series in a folder: by the first of its files that tells."""
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    return next((found for one in files if (found := patient_in_dicom(one))), None)


def _by_pattern(pattern: str) -> Callable[[Path], str | None]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ManifestError(f"patient pattern {pattern!r} is no regular expression: {error}") from None
    if not compiled.groups:
        raise ManifestError(f"patient pattern {pattern!r} has no group; put the patient's part in brackets")

    def find(path: Path) -> str | None:
        match = compiled.search(path.name)
        return next((group for group in match.groups() if group), None) if match else None

    return find


def _by_pairs(find: Callable[[Path], str | None]) -> Callable[[Path], str | None]:
    """Of numbered files 1 and 2 are one patient, 3 and 4 the next: the two sides of each, one after the other."""

    def find_pair(path: Path) -> str | None:
        found = find(path)
        return f"pair {(int(found) + 1) // 2}" if found is not None and found.isdecimal() else None

    return find_pair


def patients(
    source: PatientSource, given: pd.DataFrame, paths: Sequence[str], root: Path, names: Pseudonyms
) -> tuple[list[str], tuple[str, ...], bool]:
    """A pseudonym for each case's patient, its own where none is known, a note on how many those are, and whether
    any is known.
    """
    if source.column is not None:
        found: list[str | None] = [value or None for value in given[source.column]]
    elif source.find is not None:
        found = [source.find(root / path) for path in paths]
    else:
        found = [None] * len(paths)
    # A prefix keeps a file's path from ever meaning a patient's number.
    known = [f"file:{path}" if who is None else f"patient:{who}" for who, path in zip(found, paths, strict=True)]
    missing = found.count(None)
    note = f"{missing} of {len(paths)} cases: {source.lacking}; each counts as a patient of its own"
    return [names.name(who) for who in known], (note,) if missing else (), missing < len(paths)
