"""Columns of a user's table by the names that people give them."""

import re
from collections.abc import Callable, Sequence

from medcnn.errors import ManifestError
from medcnn.printable import printable

#: Role to the names that stand for it in tables of the field, in small letters without blanks and punctuation.
SYNONYMS = {
    "path": frozenset((
        "path", "image", "img", "file", "filename", "filepath", "imagepath", "imagefile", "imagefilename", "imagename",
        "imgpath", "dicom", "dicompath", "dicomfile", "scan", "scanpath", "imageindex",
    )),
    "image": frozenset((
        "image", "img", "path", "file", "filename", "filepath", "imagepath", "imagefile", "imgpath", "scan", "scanpath",
        "volume", "volumepath",
    )),
    "mask": frozenset((
        "mask", "maskpath", "maskfile", "seg", "segmentation", "segmentationpath", "segpath", "label", "labelpath",
        "labels", "labelmap", "annotation", "groundtruth",
    )),
    "label": frozenset((
        "label", "labels", "class", "classname", "target", "diagnosis", "dx", "category", "outcome", "groundtruth",
    )),
    "split": frozenset(("split", "set", "subset", "partition", "dataset", "usage", "phase", "fold")),
    "patient": frozenset((
        "patient", "patientid", "patientidentifier", "patientnumber", "patientno", "patientnr", "patientcode",
        "patientkey", "patientuid", "patid", "patno", "patnr", "pid", "subject", "subjectid", "subjectidentifier",
        "subjectnumber", "subj", "subjid", "sub", "participant", "participantid", "person", "personid", "mrn",
        "medicalrecordnumber", "ptid", "rid", "anonid", "patientpseudonym", "pseudonym", "paciente",
        "patientennummer", "patientenid",
    )),
}  # fmt: skip


def plain(name: str) -> str:
    """Return a column's name in small letters, without blanks and punctuation.

    >>> plain("Patient ID"), plain("patient_id"), plain("PatientID")
    ('patientid', 'patientid', 'patientid')
    """
    return re.sub(r"[\W_]+", "", name).casefold()


def candidates(columns: Sequence[str], role: str) -> list[str]:
    """List the columns whose name means a role: the one with the role's own name, else all that people use for it."""
    own = [name for name in columns if name == role] or [name for name in columns if plain(name) == role]
    return own if len(own) == 1 else [name for name in columns if plain(name) in SYNONYMS[role]]


def find_column(
    columns: Sequence[str], wanted: str, role: str, table: str, option: str, accept: Callable[[str], bool] | None = None
) -> str:
    """Find the column that a user means: the one named, or the only one whose name means the role.

    Args:
        columns: Names of the table's columns.
        wanted: The name that was asked for; another is taken only where this is the default, the role's own name.
        role: A key of ``SYNONYMS``.
        table: Name of the table, for messages.
        option: What to do about it, for messages.
        accept: Whether a column of another name can have the role.

    Raises:
        ManifestError: There is no such column, or several could be meant.
    """
    if wanted in columns:
        return wanted
    found = candidates(columns, role) if wanted == role else []
    found = [name for name in found if accept is None or accept(name)]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(printable(name, 40) for name in (found or columns)[:12])
    if found:
        raise ManifestError(
            f"manifest {table}: column {wanted} is missing and several could be meant ({shown}); {option}"
        )
    raise ManifestError(f"manifest {table}: column {printable(wanted, 40)} is missing; found {shown}; {option}")
