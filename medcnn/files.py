"""Files written whole or not at all, under names that nobody else on the machine can prepare."""

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

#: Name of every draft begins with this; one that a crash left behind can be removed.
DRAFT_PREFIX = ".medcnn_draft_"


def write_atomic(path: Path, write: Callable[[Path], object], *, private: bool = True) -> None:
    """Write a file that a reader sees whole or not at all, also after a crash or on a full disk.

    The draft is in the same folder, under an unpredictable name that ends like ``path`` (libraries choose a format by
    suffix), and is created exclusively and without following links.

    Args:
        path: The file to write or replace. Its folder exists.
        write: Fills the draft that it is given the path of.
        private: Readable by the owner alone (mode 600); otherwise as the umask allows.

    Raises:
        OSError: The draft could not be created, written or moved; ``path`` is as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder, "findings.csv")
    ...     write_atomic(target, lambda draft: draft.write_text("path,label"))
    ...     target.read_text(), oct(target.stat().st_mode & 0o777)
    ('path,label', '0o600')
    """
    draft = create_draft(path, private=private)
    try:
        write(draft)
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Create a folder with those above it; not recursive, for a folder may be deeper than Python calls can nest.

    Raises:
        OSError: A folder could not be created, or a file has its name.
    """
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = path.parent
    for folder in [path, *reversed(missing)]:
        folder.mkdir(mode, exist_ok=True)


def create_draft(path: Path, *, private: bool = True) -> Path:
    """Create an empty file next to ``path``, exclusively and under an unpredictable name, and return its path."""
    draft = path.with_name(f"{DRAFT_PREFIX}{secrets.token_hex(8)}{''.join(path.suffixes[-2:])}")
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    os.close(os.open(draft, flags, 0o600 if private else 0o666))
    return draft


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some network file systems cannot
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
