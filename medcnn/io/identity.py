"""Identifiers in, pseudonyms out: the only module that sees who a patient is."""

import hashlib
import hmac
import logging
import os
import re
import secrets
import tempfile
from pathlib import Path

from pydicom.tag import Tag

from medcnn.errors import MedcnnError
from medcnn.io.header import open_header, text

_log = logging.getLogger("medcnn.io")

KEY_NAME = ".medcnn_key"
_TAGS = [Tag(keyword) for keyword in ("SpecificCharacterSet", "PatientID", "IssuerOfPatientID")]


class Pseudonyms:
    """Names that only the holder of a key file can link to identifiers.

    Args:
        key_file: 32 random bytes as hex, created with mode 600 if missing. Keep it beside the cohort and share it
            with nobody; with another key the same patients get other names.

    Raises:
        MedcnnError: If the file cannot be made or read, or holds something else.
    """

    def __init__(self, key_file: Path) -> None:
        key_file = Path(key_file)
        try:
            if not key_file.exists():
                _create(key_file)
            _close_to_others(key_file)
            written = key_file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise MedcnnError(f"the key file {key_file.name} cannot be used ({type(error).__name__})") from None
        if not re.fullmatch("[0-9a-f]{64}", written):
            raise MedcnnError(f"the key file {key_file.name}: expected 64 hex digits; move it away")
        self._key = bytes.fromhex(written)

    def name(self, identifier: str, prefix: str = "p") -> str:
        """``prefix`` and 12 hex digits: HMAC-SHA256 of ``identifier`` under the key, shortened."""
        digest = hmac.new(self._key, identifier.encode("utf-8", "surrogateescape"), hashlib.sha256)
        return prefix + digest.hexdigest()[:12]


def key_file_for(root: Path) -> Path:
    """Where the key of a cohort lies: beside it where that can be written, else in the user's configuration."""
    root = Path(root)
    beside = root / KEY_NAME
    if beside.exists() or _may_write(root):
        return beside
    place = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return Path.home() / ".config" / "medcnn" / f"{place}.key"


def _may_write(folder: Path) -> bool:
    # The administrator may write everywhere; a folder without a write bit is still meant to stay as it is.
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & 0o222)


def patient_in_dicom(path: Path) -> str | None:
    """Whose image a DICOM file holds: patient ID and its issuer, or None where there is none. Never show it."""
    try:
        with Path(path).open("rb") as stream:
            header = open_header(stream, _TAGS).header
            patient, issuer = text(header, "PatientID"), text(header, "IssuerOfPatientID")
    except Exception:  # noqa: BLE001  # a damaged header names nobody; reading its pixels says what is wrong with it
        return None
    return f"{issuer}\x1f{patient}" if patient else None


def patient_digest(patient_id: str, issuer: str, name: str, birth_date: str) -> str:
    """Digest to compare whom two headers name: by ID, or by name and date of birth where there is no ID."""
    who = (patient_id, issuer) if patient_id.strip() else (name.rstrip(" ^=").casefold(), birth_date)
    joined = "\x1f".join(one.strip() for one in who)
    if not joined.strip("\x1f"):
        return ""
    return hashlib.sha256(joined.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _create(key_file: Path) -> None:
    """Write a new key so that it appears whole or not at all; whoever comes second takes the first one's."""
    key_file.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=key_file.parent, prefix=".medcnn_draft")  # mode 600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, key_file)
        except FileExistsError:
            return
    finally:
        Path(draft).unlink()


def _close_to_others(key_file: Path) -> None:
    if key_file.stat().st_mode & 0o077:
        key_file.chmod(0o600)
        _log.warning("the key file %s was open to other users; it is closed now", key_file.name)
