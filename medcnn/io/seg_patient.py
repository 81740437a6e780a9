"""Who an image is of and which study it belongs to, as far as the standard allows the values to be passed on."""

import re
from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from pydicom.charset import python_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

_UNICODE = "ISO_IR 192"
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_AGE = re.compile(r"\d{3}[DWMY]")
_REPLACED = "\ufffd"
#: Switches to GB 2312, which pydicom decodes by and leaves in the text.
_TO_CHINESE = "\x1b$)A"


def _is_text(most: int) -> Callable[[str], bool]:
    return lambda value: len(value) <= most and "\\" not in value


def _is_name(value: str) -> bool:
    groups = value.split("=")
    return "\\" not in value and len(groups) <= 3 and all(len(one) <= 64 and one.count("^") <= 4 for one in groups)


def _is_date(value: str) -> bool:
    try:
        return bool(re.fullmatch(r"[0-9]{8}", value)) and bool(date(int(value[:4]), int(value[4:6]), int(value[6:])))
    except ValueError:
        return False


#: Elements that a segmentation takes over, and what makes a value of each valid.
_RULES: dict[str, Callable[[str], bool]] = {
    "PatientID": _is_text(64),
    "PatientName": _is_name,
    "PatientBirthDate": _is_date,
    "PatientSex": lambda value: value in ("M", "F", "O"),
    "IssuerOfPatientID": _is_text(64),
    "PatientAge": lambda value: bool(_AGE.fullmatch(value)),
    "AccessionNumber": _is_text(16),
    "StudyID": _is_text(16),
    "StudyDate": _is_date,
    "StudyTime": lambda value: bool(_TIME.fullmatch(value)),
    "ReferringPhysicianName": _is_name,
}
#: Those that are present in every object, be they empty.
_ALWAYS = frozenset(_RULES) - {"IssuerOfPatientID", "PatientAge"}


class PatientModule(NamedTuple):
    """Valid values by keyword, and the keywords whose values were left out because the standard forbids them."""

    values: dict[str, str]
    left_out: tuple[str, ...]

    def put_into(self, made: Dataset) -> None:
        """Set the values in an object, encoded as UTF-8, which holds the text of every character set."""
        made.SpecificCharacterSet = _UNICODE
        for keyword in _RULES:
            if keyword in self.values:
                setattr(made, keyword, self.values[keyword])
            elif keyword in _ALWAYS:
                setattr(made, keyword, "")


def patient_module(header: Dataset) -> PatientModule:
    """Patient and study of a header; the values are never part of a message."""
    values: dict[str, str] = {}
    left_out = []
    for keyword, is_valid in _RULES.items():
        value = _text(header, keyword)
        if value is None or (value and not (_is_plain(value) and is_valid(value))):
            left_out.append(keyword)
        elif value:
            values[keyword] = value
    return PatientModule(values, tuple(left_out))


def _text(header: Dataset, keyword: str) -> str | None:
    """The text of an element, empty where there is none, None where it cannot be decoded."""
    if keyword not in header:
        return ""
    try:
        raw = header.get_item(keyword)
        stored = raw.value if isinstance(raw, RawDataElement) else None
        value = header[keyword].value
        text = "\\".join(map(str, value)) if isinstance(value, MultiValue) else str("" if value is None else value)
        if isinstance(stored, bytes) and not stored.isascii() and not _declares_encoding(header):
            text = stored.decode("utf-8")
    except Exception:  # noqa: BLE001  # pydicom raises what its converters raise; its words would quote the value
        return None
    return text.replace(_TO_CHINESE, "").strip(" \0")


def _declares_encoding(header: Dataset) -> bool:
    declared = header.get("SpecificCharacterSet") or ""
    names = [declared] if isinstance(declared, str) else list(declared)
    return any(names) and all(name in python_encoding for name in names)


def _is_plain(value: str) -> bool:
    """Whether text was decoded whole and holds no control character."""
    return _REPLACED not in value and not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in value)
