import hashlib
import hmac
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from medcnn.errors import MedcnnError
from medcnn.io.dicom_write import write_film
from medcnn.io.identity import Pseudonyms, key_file, patient_in_dicom

PIXELS = np.zeros((4, 4), np.uint16)


def test_a_name_is_the_keyed_hash_of_the_identifier(tmp_path: Path) -> None:
    names = Pseudonyms(tmp_path / "key")
    key = bytes.fromhex((tmp_path / "key").read_text().strip())
    expected = hmac.new(key, "Müller^Äda".encode(), hashlib.sha256).hexdigest()[:12]
    assert names.name("Müller^Äda") == "p" + expected
    assert names.name("Müller^Äda", "c") == "c" + expected


def test_one_key_gives_the_same_names_and_another_gives_others(tmp_path: Path) -> None:
    first, again, other = (Pseudonyms(tmp_path / name) for name in ("a", "a", "b"))
    assert first.name("1") == again.name("1") != other.name("1")
    assert first.name("1") != first.name("2")


def test_a_new_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Pseudonyms(tmp_path / "deep" / "key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "deep" / "key").stat().st_mode) == 0o600
    assert len((tmp_path / "deep" / "key").read_text().strip()) == 64
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["key"]


def test_many_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: Pseudonyms(tmp_path / "key").name("x"), range(64)))
    assert len(found) == 1


def test_a_key_that_others_could_read_is_closed_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Pseudonyms(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    Pseudonyms(tmp_path / "key")
    assert "open to other users" in caplog.text
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "abc", "é" * 64, "0" * 63])
def test_a_file_that_is_no_key_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(MedcnnError, match="key file key"):
        Pseudonyms(tmp_path / "key")
    assert (tmp_path / "key").read_text() == content


def test_the_key_is_among_the_users_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDCNN_KEY", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_file() == tmp_path / ".local" / "share" / "medcnn" / "pseudonyms.key"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert key_file() == tmp_path / "data" / "medcnn" / "pseudonyms.key"
    monkeypatch.setenv("MEDCNN_KEY", "~/lab.key")
    assert key_file() == tmp_path / "lab.key"


def test_a_key_that_cannot_be_written_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MedcnnError, match="MEDCNN_KEY"):
        Pseudonyms(tmp_path / "file" / "key")


def test_a_patient_is_the_id_within_its_issuer(tmp_path: Path) -> None:
    write_film(tmp_path / "a", PIXELS, patient_id="17 ")
    write_film(tmp_path / "b", PIXELS, patient_id="17", IssuerOfPatientID="Hospital B")
    write_film(tmp_path / "c", PIXELS, patient_id="17", transfer_syntax="1.2.840.10008.1.2.1.99")
    a, b, c = (patient_in_dicom(tmp_path / name) for name in "abc")
    assert a == c != b
    assert a
    assert "17" in a


def test_who_is_not_named_is_nobody(tmp_path: Path) -> None:
    write_film(tmp_path / "a", PIXELS)
    (tmp_path / "b").write_bytes(b"\x08\x00\xff")
    assert [patient_in_dicom(tmp_path / name) for name in ("a", "b", "absent")] == [None, None, None]
