"""A checkpoint is whole under its name at every moment."""

import logging
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from medcnn.errors import CheckpointError
from medcnn.tasks.checkpoint_io import AtomicCheckpointIO


@contextmanager
def full_disk(room: int = 1000) -> Iterator[None]:
    """Let the system refuse every file above ``room`` bytes, as a full disk does in the middle of a write."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def checkpoint(epoch: int) -> dict[str, object]:
    return {"epoch": epoch, "state_dict": {"weight": torch.full((5000,), float(epoch))}}


def epoch_of(path: Path) -> int:
    return int(torch.load(path, weights_only=True)["epoch"])


def test_a_full_disk_leaves_the_former_checkpoint_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, writer = tmp_path / "last.ckpt", AtomicCheckpointIO()
    writer.save_checkpoint(checkpoint(3), path)
    with full_disk():
        writer.save_checkpoint(checkpoint(4), path)
    assert epoch_of(path) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    (message,) = caplog.messages
    assert "last.ckpt of epoch 4 was not written; it still holds epoch 3" in message
    writer.save_checkpoint(checkpoint(5), path)
    assert epoch_of(path) == 5


def test_a_first_checkpoint_that_fails_names_what_to_resume_from(tmp_path: Path) -> None:
    best, last, writer = tmp_path / "best.ckpt", tmp_path / "last.ckpt", AtomicCheckpointIO()
    writer.save_checkpoint(checkpoint(0), best)
    with (
        full_disk(),
        pytest.raises(CheckpointError, match=r"best.ckpt holds epoch 0; .*--ckpt_path .*best.ckpt") as caught,
    ):
        writer.save_checkpoint(checkpoint(0), last)
    assert "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["best.ckpt"]


def test_the_folder_for_temporary_files_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    AtomicCheckpointIO().save_checkpoint(checkpoint(1), tmp_path / "last.ckpt")
    assert epoch_of(tmp_path / "last.ckpt") == 1


def test_a_folder_deleted_in_mid_training_is_made_again(tmp_path: Path) -> None:
    path, writer = tmp_path / "run" / "last.ckpt", AtomicCheckpointIO()
    writer.save_checkpoint(checkpoint(0), path)
    shutil.rmtree(path.parent)
    writer.save_checkpoint(checkpoint(1), path)
    assert epoch_of(path) == 1


def test_a_folder_that_is_a_file_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(CheckpointError, match=r"last.ckpt of epoch 0 was not written; no other checkpoint is left"):
        AtomicCheckpointIO().save_checkpoint(checkpoint(0), tmp_path / "run" / "last.ckpt")


def test_a_link_is_replaced_and_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    (tmp_path / "else").write_text("mine")
    (tmp_path / "last.ckpt").symlink_to(tmp_path / "else")
    AtomicCheckpointIO().save_checkpoint(checkpoint(2), tmp_path / "last.ckpt")
    assert (tmp_path / "else").read_text() == "mine"
    assert (tmp_path / "last.ckpt").stat().st_mode & 0o777 == 0o600
