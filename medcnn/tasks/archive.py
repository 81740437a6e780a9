"""Reading and amending a training checkpoint without running anything it might hold."""

import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from medcnn.errors import CheckpointError
from medcnn.files import write_atomic
from medcnn.tasks.archive_limits import check_archive, check_content

# What torch's restricted reader raises for a file that is damaged, hostile or something else altogether.
UNREADABLE = (
    pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, TypeError, KeyError, IndexError,
    AttributeError, AssertionError, MemoryError, OverflowError, struct.error,
)  # fmt: skip
ARCHIVE = b"PK\x03\x04"
NEEDED = ("state_dict", "hyper_parameters", "medcnn")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint as plain data and tensors on the CPU.

    Raises:
        CheckpointError: Not there, not a checkpoint of medcnn, damaged, or it would have run code.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}; `medcnn fit` prints where it wrote one")
    with path.open("rb") as stream:
        magic = stream.read(len(ARCHIVE))
    # Anything else would go to torch's older formats, of which medcnn never wrote one.
    if magic != ARCHIVE:
        raise CheckpointError(
            f"{path.name} is not a checkpoint of medcnn: it is no archive as torch writes them; "
            "take the file that `medcnn fit` names"
        )
    check_archive(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise CheckpointError(_why_unreadable(path.name, error)) from error
    check_content(found, path.name, path.stat().st_size)
    missing = [name for name in NEEDED if not isinstance(found, dict) or not isinstance(found.get(name), dict)]
    if missing:
        raise CheckpointError(
            f"{path.name} holds no {', '.join(missing)}: it was not written by medcnn, or by a version before "
            "the checkpoint was the product; fit again, or convert it with that version"
        )
    return found


def amend_checkpoint(path: Path, **entries: Any) -> None:
    """Set entries of a checkpoint; the file is the old one or the new one at every moment.

    Raises:
        CheckpointError: The checkpoint does not read.
    """
    path = Path(path)
    checkpoint = read_checkpoint(path) | entries
    write_atomic(path, lambda draft: torch.save(checkpoint, draft))


def _why_unreadable(name: str, error: BaseException) -> str:
    text = str(error)
    if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in text:
        wanted = text.partition("GLOBAL ")[2].split()[0][:80]
        return f"{name} would run code when loaded ({wanted}); it was refused, and nothing was run"
    if isinstance(error, pickle.UnpicklingError):
        return f"{name} holds more than data and tensors; it was refused and nothing was run"
    first = (text.splitlines() or [""])[0][:160]
    return f"{name} is damaged ({type(error).__name__}: {first}); copy it again, or take another checkpoint"
