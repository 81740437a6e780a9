"""Whose each case is: by a column, by the file's name or by the DICOM header, as pseudonyms."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from medcnn.errors import ManifestError
from medcnn.io.columns import SYNONYMS, plain
from medcnn.io.identity import Pseudonyms, patient_in_dicom
from medcnn.io.table import BLANK, same_text, without_point
from medcnn.printable import printable

#: Words for a patient that is not known, in small letters.
NO_PATIENT = BLANK | {"unknown", "-", "?"}

#: Fewer cases than this may all be of one patient.
_FEW = 10
#: First letter of the pseudonym of a patient, and of a case whose patient is not known.
_KNOWN, _OWN = "p", "u"


class PatientSource(NamedTuple):
    """Where patients are read from.

    Attributes:
        words: The source, for messages.
        column: The column that holds them, or None.
        find: From a file to its patient, or None.
        assumed: Whether a column of another name than ``patient`` was recognized.
    """

    words: str
    column: str | None
    find: Callable[[Path], str | None] | None
    assumed: bool = False

    @property
    def lacking(self) -> str:
        """Reason why the patient of a case is not known."""
        if self.column is None and self.find is None:
            return "the patient is not known (set patient to column:NAME, pattern:REGEX or dicom)"
        return f"no patient by {self.words}"


class Owners(NamedTuple):
    """Whose the cases are.

    Attributes:
        names: A pseudonym for each case's patient, one of its own where none is known.
        notes: What was assumed, a line each, without identifiers.
        known: Whether the patient of any case is known.
    """

    names: list[str]
    notes: tuple[str, ...]
    known: bool


def is_known_patient(pseudonym: str) -> bool:
    """Check whether a pseudonym is that of a patient, not of a case whose patient is not known."""
    return pseudonym.startswith(_KNOWN)


def patient_source(
    spec: str | None, given: pd.DataFrame, name: str, remedy: str = "set patient to column:NAME"
) -> PatientSource:
    """The source that ``column:NAME``, ``pattern:REGEX``, ``pairs:REGEX``, ``dicom`` or None asks for.

    Args:
        spec: As the user gave it; None takes the column whose name means a patient, where there is one.
        given: The manifest, empty for a folder.
        name: The manifest's or folder's name, for messages.
        remedy: What to do where several columns could be meant.

    Raises:
        ManifestError: If the column is not there, the pattern is none, or several columns could be meant.
    """
    columns = list(given.columns)
    if spec is None:
        column = _recognized(given, name, remedy)
        return PatientSource(f"column {column}" if column else "", column, None, column not in (None, "patient"))
    kind, _, value = spec.partition(":")
    if kind == "column":
        value = value if value in columns else next((one for one in columns if plain(one) == plain(value)), value)
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


def _recognized(given: pd.DataFrame, name: str, remedy: str) -> str | None:
    """The column whose name means a patient; the first of several that group the cases alike."""
    found = [
        column for column in given.columns if plain(column) in SYNONYMS["patient"] and _may_name(column, given[column])
    ]
    groups = [tuple(pd.factorize(given[column].map(identifier))[0].tolist()) for column in found]
    if len(set(groups)) > 1:
        shown = " and ".join(printable(column, 40) for column in found[:4])
        raise ManifestError(
            f"manifest {name}: columns {shown} could name the patient and group the cases differently: {remedy}"
        )
    return next((column for column in found if plain(column) == "patient"), found[0] if found else None)


def _may_name(name: str, column: "pd.Series[str]") -> bool:
    """Check whether a column of such a name can hold patients: it is not empty, nor alike for all of many cases."""
    distinct = {identifier(value) for value in column} - {None}
    return len(distinct) > (0 if plain(name) == "patient" or len(column) < _FEW else 1)


def identifier(text: str) -> str | None:
    """Return an identifier in one spelling, as 7 for 7.0; None where it is a word for unknown."""
    value = without_point(same_text(text))
    return None if value.lower() in NO_PATIENT else value


def patients(source: PatientSource, given: pd.DataFrame, paths: Sequence[str], root: Path, names: Pseudonyms) -> Owners:
    """Read the patient of each case.

    Raises:
        ManifestError: If no case has a patient by what was asked for, and a column names them.
    """
    notes: list[str] = []
    if source.column is not None:
        found = [identifier(value) for value in given[source.column]]
    elif source.find is not None:
        found = [source.find(root / path) for path in paths]
        notes += _unused(source, given, found)
    else:
        found = [None] * len(paths)
    # A prefix keeps a file's path from ever meaning a patient's number.
    known = [
        names.name(f"file:{path}", _OWN) if who is None else names.name(f"patient:{who}", _KNOWN)
        for who, path in zip(found, paths, strict=True)
    ]
    missing = found.count(None)
    if source.assumed:
        notes.append(f"{source.words} is read as patient: {len(set(found) - {None})} patients")
    if missing:
        notes.append(f"{missing} of {len(paths)} cases: {source.lacking}; each counts as a patient of its own")
    if alike := _written_alike(found):
        notes.append(f"{alike} patients differ from another in capitals or leading zeros alone and count as different")
    return Owners(known, tuple(notes), missing < len(paths))


def _unused(source: PatientSource, given: pd.DataFrame, found: Sequence[str | None]) -> list[str]:
    """A note where a column names the patients too, and groups the cases in another way than the names or headers."""
    column = next(
        (one for one in given.columns if plain(one) in SYNONYMS["patient"] and _may_name(one, given[one])), None
    )
    if column is None:
        return []
    shown = printable(column, 40)
    if set(found) == {None}:
        raise ManifestError(
            f"no case has a patient by {source.words}, and column {shown} names them: set patient to column:{shown}"
        )
    if _groups(found) == _groups([identifier(value) for value in given[column]]):
        return []
    return [f"column {shown} groups the cases in another way than {source.words}, and is not used for the patient"]


def _groups(found: Sequence[str | None]) -> list[int]:
    """The first case of the same patient for each case; of a case whose patient is not known, the case itself."""
    first: dict[str, int] = {}
    return [at if who is None else first.setdefault(who, at) for at, who in enumerate(found)]


def _written_alike(found: Sequence[str | None]) -> int:
    """Count the identifiers that differ from another one in capitals or leading zeros alone."""
    distinct = {who for who in found if who is not None}
    return len(distinct) - len({who.casefold().lstrip("0") for who in distinct})
