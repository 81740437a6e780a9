"""A file is data or it is refused: one line, nothing run."""

import contextlib
import os
import pickle
import zipfile

import pytest
import torch

from medcnn.errors import CheckpointError
from medcnn.tasks.archive import amend_checkpoint, read_checkpoint

GOOD = {"state_dict": {"net.weight": torch.arange(3.0)}, "hyper_parameters": {"classes": ["a", "b"]}, "medcnn": {}}


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return os.system, (f"touch {self.witness}",)


@pytest.fixture
def good(tmp_path):
    torch.save(GOOD, tmp_path / "good.ckpt")
    return tmp_path / "good.ckpt"


def refused(path):
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_checkpoint_reads(good):
    assert torch.equal(read_checkpoint(good)["state_dict"]["net.weight"], torch.arange(3.0))


@pytest.mark.parametrize("place", ["state_dict", "callbacks", "hyper_parameters"])
def test_a_pickle_with_a_payload_is_refused_and_not_run(tmp_path, place):
    witness, path = tmp_path / "ran", tmp_path / "hostile.ckpt"
    torch.save(GOOD | {place: {"x": Payload(witness)}}, path)
    assert "would run code" in refused(path)
    assert not witness.exists()
    torch.load(path, weights_only=False)  # the payload does work
    assert witness.exists()


@pytest.mark.parametrize("save", [
    lambda path, content: path.write_bytes(pickle.dumps(content)),
    lambda path, content: torch.save(content, path, _use_new_zipfile_serialization=False),
])  # fmt: skip
def test_a_payload_outside_an_archive_is_refused_and_not_run(tmp_path, save):
    witness, path = tmp_path / "ran", tmp_path / "hostile.ckpt"
    save(path, GOOD | {"x": Payload(witness)})
    assert "no archive" in refused(path)
    assert not witness.exists()


def test_an_archive_that_holds_a_program_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(1, 1)).save(tmp_path / "script.ckpt")
    refused(tmp_path / "script.ckpt")


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(good, share):
    content = good.read_bytes()
    good.write_bytes(content[: int(len(content) * share)])
    assert ("damaged" if share else "no archive") in refused(good)


def test_no_flipped_byte_ends_in_a_traceback(good):
    content = bytearray(good.read_bytes())
    for at in range(0, len(content), 7):
        changed = content.copy()
        changed[at] ^= 0xFF
        good.write_bytes(changed)
        with contextlib.suppress(CheckpointError):
            read_checkpoint(good)


def test_a_text_a_zip_and_a_folder_are_refused(tmp_path):
    (tmp_path / "notes.ckpt").write_text("not a checkpoint")
    refused(tmp_path / "notes.ckpt")
    with zipfile.ZipFile(tmp_path / "films.ckpt", "w") as archive:
        archive.writestr("film.dcm", b"DICM")
    refused(tmp_path / "films.ckpt")
    refused(tmp_path)
    assert "no checkpoint" in refused(tmp_path / "absent.ckpt")


@pytest.mark.parametrize(
    "content", [[1, 2], {"state_dict": {}}, {"state_dict": {}, "hyper_parameters": {}}, torch.ones(2)]
)
def test_a_checkpoint_of_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.ckpt")
    assert "medcnn" in refused(tmp_path / "other.ckpt")


def test_amending_sets_entries_and_leaves_the_rest(good):
    amend_checkpoint(good, decision={"temperature": 2.0})
    found = read_checkpoint(good)
    assert found["decision"] == {"temperature": 2.0}
    assert torch.equal(found["state_dict"]["net.weight"], torch.arange(3.0))
    assert [path.name for path in good.parent.iterdir()] == ["good.ckpt"]


def test_an_amendment_that_fails_leaves_the_file_as_it_was(good, monkeypatch):
    before = good.read_bytes()

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="disk full"):
        amend_checkpoint(good, decision=None)
    assert good.read_bytes() == before
    assert [path.name for path in good.parent.iterdir()] == ["good.ckpt"]
