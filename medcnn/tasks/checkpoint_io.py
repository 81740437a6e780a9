"""Checkpoints that are whole under their name at every moment, also on a full disk."""

import io
import logging
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from medcnn.errors import CheckpointError
from medcnn.files import write_atomic

_log = logging.getLogger("medcnn.tasks")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint next to the former one and then replaces it.

    Where that fails the former one stays and the training continues; without a former one the training ends with a
    line that names what is left to resume from. Lightning writes into the folder for temporary files and copies from
    there over the former checkpoint, which a full disk or a kill leaves cut short.
    """

    def __init__(self) -> None:
        super().__init__()
        self._epochs: dict[Path, int] = {}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint whole, or leave the former one.

        Raises:
            CheckpointError: If it cannot be written and there is no former one.
        """
        if "://" in str(path):  # not a file of this machine
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        path = Path(path)
        # In memory first: torch's writer reports a full disk as a damaged archive.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, lambda draft: draft.write_bytes(buffer.getbuffer()))
        except OSError as error:
            self._report(path, error, checkpoint.get("epoch"))
        else:
            self._epochs[path] = int(checkpoint.get("epoch", 0))

    def _report(self, path: Path, error: OSError, epoch: object) -> None:
        reason = error.strerror or type(error).__name__
        if path.is_file():
            _log.warning("%s: %s of epoch %s was not written; it still holds %s", reason, path, epoch, self._held(path))
            return
        whole = [other for other in self._epochs if other.is_file()]
        left = f"{whole[0]} holds {self._held(whole[0])}" if whole else "no other checkpoint is left"
        resume = f"resume with --ckpt_path {whole[0]}" if whole else "start again"
        raise CheckpointError(
            f"{reason}: {path} of epoch {epoch} was not written; {left}; make room or name another folder in "
            f"--checkpoint.dirpath and --last.dirpath, and {resume}"
        ) from error

    def _held(self, path: Path) -> str:
        return f"epoch {self._epochs[path]}" if path in self._epochs else "what an earlier training wrote"
