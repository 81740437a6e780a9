"""Identifiers in, pseudonyms out: the only module that sees who a patient is."""

import contextlib
import hashlib
import hmac
import logging
import os
import re
import secrets
from pathlib import Path

from pydicom.tag import Tag

from medcnn.errors import MedcnnError
from medcnn.files import create_draft
from medcnn.io.header import open_header, text

_log = logging.getLogger("medcnn.io")

_TAGS = [Tag(keyword) for keyword in ("SpecificCharacterSet", "PatientID", "IssuerOfPatientID")]


class Pseudonyms:
    """Names that only the holder of a key file can link to identifiers.

    Args:
        key_file: 32 random bytes as hex, created with mode 600 if missing. Share it with nobody; with another key the
            same patients get other names, and nothing else changes.

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
            raise MedcnnError(
                f"the key file {key_file.name} cannot be used ({type(error).__name__}): set MEDCNN_KEY to a file in a "
                "folder of yours"
            ) from None
        if not re.fullmatch("[0-9a-f]{64}", written):
            raise MedcnnError(f"the key file {key_file.name}: expected 64 hex digits; move it, or set MEDCNN_KEY")
        self._key = bytes.fromhex(written)

    def name(self, identifier: str, prefix: str = "p") -> str:
        """``prefix`` and 12 hex digits: HMAC-SHA256 of ``identifier`` under the key, shortened."""
        digest = hmac.new(self._key, identifier.encode("utf-8", "surrogateescape"), hashlib.sha256)
        return prefix + digest.hexdigest()[:12]


def key_file() -> Path:
    """Return where the key of the pseudonyms is: the file that ``MEDCNN_KEY`` names, else among the user's data.

    It is never in the folder of a cohort, where it would travel, or stay behind, with the images.

    Raises:
        MedcnnError: The user has no home folder.
    """
    if named := os.environ.get("MEDCNN_KEY"):
        return Path(named).expanduser()
    if data := os.environ.get("XDG_DATA_HOME"):
        return Path(data) / "medcnn" / "pseudonyms.key"
    try:
        return Path.home() / ".local" / "share" / "medcnn" / "pseudonyms.key"
    except RuntimeError:
        raise MedcnnError(
            "this user has no home folder for the key of the pseudonyms: set MEDCNN_KEY to a file"
        ) from None


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
    """Write a new key so that it appears whole or not at all; of two processes the second takes the first one's."""
    key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = create_draft(key_file)
    try:
        with draft.open("w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, key_file)
    finally:
        draft.unlink()


def _close_to_others(key_file: Path) -> None:
    if key_file.stat().st_mode & 0o077:
        key_file.chmod(0o600)
        _log.warning("the key file %s was open to other users; it is closed now", key_file.name)
