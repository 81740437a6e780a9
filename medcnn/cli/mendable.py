"""What a user can mend, found inside what libraries make of it."""

import errno
from collections.abc import Iterator

import yaml
from jsonargparse import ArgumentError
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from medcnn.errors import CheckpointError, ConfigError, MedcnnError, TrackingError
from medcnn.printable import printable

_DISK = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def as_mendable(error: BaseException) -> MedcnnError | None:
    """The error as one line for the user; None where it is a bug of ours and should show where it happened.

    jsonargparse wraps what a constructor says into an account of all types it tried; ours is somewhere in that chain.
    """
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, MedcnnError):
            return link
    for link in chain:
        if (unusable := _of_the_machine(link)) is not None:
            return unusable
    for link in chain:
        if isinstance(link, ArgumentError | MisconfigurationException | yaml.YAMLError):
            return ConfigError(_one_line(link))
        if isinstance(link, RuntimeError) and "loading state_dict" in str(link):
            return CheckpointError(f"the checkpoint is of another net than the config names: {_one_line(link)}")
    return None


def _of_the_machine(error: BaseException) -> MedcnnError | None:
    """A store or a disk that fails; None where the error is something else."""
    if isinstance(error, OSError) and error.errno in _DISK:
        return MedcnnError(
            f"{error.strerror}: {printable(error.filename or 'a file')}; make room or allow writing there"
        )
    # By module: tracking alone imports them.
    if type(error).__module__.partition(".")[0] in ("mlflow", "sqlalchemy", "sqlite3"):
        return TrackingError(
            f"the store does not answer as expected: {printable(_one_line(error), 300)}; MLFLOW_TRACKING_URI names the "
            "store"
        )
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, the outermost first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 600 else f"{text[:600]} ..."
