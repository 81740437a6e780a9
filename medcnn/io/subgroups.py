"""Which further columns of a manifest describe groups of cases, and which could name a person."""

import re

import pandas as pd

from medcnn.io.dialect import NO_NUMBER

_IDENTIFYING = re.compile(
    r"name|patient|person|subject|mrn|ssn|accession|birth|dob|address|street|city|zip|postal|phone|fax|mail|insur|"
    r"physician|doctor|operator|radiologist|referr|uid|guid|"
    # As they are called in German, French, Spanish, Italian and Dutch.
    r"geburt|geboren|geboorte|versicher|adress|strasse|anschrift|telefon|arzt|naissance|nacimiento|nascita|"
    r"apellido|cognome|paciente|naam|(^|_)(nom|prenom|prénom|nombre|rue|calle|dni|nif|iban)($|_)|"
    r"(^|_)(id|ids|nr|no|number|key|file|date|time|datetime|comment|comments|note|notes|report|text|findings_text|"
    r"url|path|case)($|_)|[a-z]ID$|[a-z]Date$|[a-z]Time$",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}[-/.]?\d{2}[-/.]?\d{2}([ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}")
_LONG_NUMBER = re.compile(r"\d{5,}")
# A place on a machine, a DICOM UID, or a title that stands before a person's name.
_PLACE = re.compile(r"(/|~/|\\\\|[A-Za-z]:[\\/]|file:).*|.*[\\/].*[\\/].*")
_UID = re.compile(r"\d+(\.\d+){4,}")
# As they are written, for DR, MR and MS stand for other things.
_TITLE = re.compile(r"\b(Dr|Prof|Mrs|Herr|Frau|Mme|Mlle)\b\.?\s*[A-Z]|\b(Mr|Ms|Sr|Sra)\.\s*[A-Z]")
_LONG_TEXT = 60
_MOST_GROUPS = 50


def describing_columns(columns: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Columns to keep as subgroups, numbers as float64, and the names of those dropped as possibly identifying."""
    dropped = tuple(str(name) for name in columns if _may_identify(str(name), list(columns[name])))
    return pd.DataFrame({name: _typed(columns[name]) for name in columns if name not in dropped}), dropped


def _may_identify(name: str, values: list[str]) -> bool:
    known = [value for value in values if value.lower() not in NO_NUMBER]
    # Kaggle's and DICOM's own spellings (PatientAge, Patient Sex) describe a group, not a person.
    plain = re.sub(r"^patient[ _']*s?[ _]*", "", name.strip(), flags=re.IGNORECASE).replace(" ", "_").replace("-", "_")
    if plain.lower() not in ("age", "sex", "gender") and _IDENTIFYING.search(name.replace(" ", "_").replace("-", "_")):
        return True
    if not known:
        return False
    if any("^" in value or "@" in value or len(value) > _LONG_TEXT for value in known):
        return True
    if any(_PLACE.fullmatch(value) or _UID.fullmatch(value) or _TITLE.search(value) for value in known):
        return True
    if sum(bool(_DATE.fullmatch(value) or _LONG_NUMBER.fullmatch(value)) for value in known) > len(known) / 10:
        return True
    groups = len(set(known))
    return not _are_numbers(known) and (groups > _MOST_GROUPS or (groups > 10 and groups > len(known) / 2))


def _are_numbers(values: list[str]) -> bool:
    return bool(pd.to_numeric(pd.Series(values), errors="coerce").notna().all())


def _typed(column: pd.Series) -> pd.Series:
    known = [value for value in column if value.lower() not in NO_NUMBER]
    return pd.to_numeric(column, errors="coerce").astype("float64") if known and _are_numbers(known) else column
