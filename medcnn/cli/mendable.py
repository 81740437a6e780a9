"""What a user can mend, found inside what libraries make of it."""

import errno
from collections.abc import Iterator

import yaml
from jsonargparse import ArgumentError
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from medcnn.errors import CheckpointError, ConfigError, MedcnnError, TrackingError
from medcnn.printable import printable

#: What constructors raise for arguments that they do not take.
REFUSALS = (ValueError, TypeError, LookupError, ArithmeticError, AssertionError, AttributeError, RuntimeError)
#: Modules of Lightning that check what a Trainer is given.
_TRAINER = "pytorch_lightning.trainer.connectors."
_RESTORING = "pytorch_lightning.trainer.connectors.checkpoint_connector"
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
        if isinstance(link, ValueError | TypeError) and _raised_in(link).startswith(_TRAINER) and not _restores(error):
            return ConfigError(f"trainer: {_one_line(link)}")
        if isinstance(link, RuntimeError) and "loading state_dict" in str(link):
            return CheckpointError(f"the checkpoint is of another net than the config names: {_one_line(link)}")
    if _restores(error):
        return CheckpointError(
            f"the training in the checkpoint cannot be resumed ({type(error).__name__}: {_one_line(error)}); take "
            "another checkpoint, or fit from the start"
        )
    return None


def refused_arguments(error: BaseException) -> ConfigError:
    """Return what a constructor refuses as one line that names its class."""
    # jsonargparse wraps the error in an account of all types that it tried.
    error = next((link for link in _chain(error) if "Does not validate against any" not in str(link)), error)
    builder, trace = "a part of the configuration", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "__init__" and "self" in trace.tb_frame.f_locals:
            builder = type(trace.tb_frame.f_locals["self"]).__name__
        trace = trace.tb_next
    return ConfigError(f"{builder} cannot be built from its arguments: {_one_line(error) or type(error).__name__}")


def _restores(error: BaseException) -> bool:
    """Return whether an error came up while Lightning took a training's state from a checkpoint."""
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_name.lstrip("_")
        if trace.tb_frame.f_globals.get("__name__") == _RESTORING and name.startswith(("restore", "resume")):
            return True
        trace = trace.tb_next
    return False


def _raised_in(error: BaseException) -> str:
    """Return the name of the module that raised an error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))


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
    return printable(" ".join(str(error).split()), 300)
