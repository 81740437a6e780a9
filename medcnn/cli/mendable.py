"""What a user can mend, found inside what libraries make of it."""

from collections.abc import Iterator

import yaml
from jsonargparse import ArgumentError
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from medcnn.errors import CheckpointError, ConfigError, MedcnnError


def as_mendable(error: BaseException) -> MedcnnError | None:
    """The error as one line for the user; None where it is a bug of ours and should show where it happened.

    jsonargparse wraps what a constructor says into an account of all types it tried; ours is somewhere in that chain.
    """
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, MedcnnError):
            return link
    for link in chain:
        if isinstance(link, ArgumentError | MisconfigurationException | yaml.YAMLError):
            return ConfigError(_one_line(link))
        if isinstance(link, RuntimeError) and "loading state_dict" in str(link):
            return CheckpointError(f"the checkpoint is of another net than the config names: {_one_line(link)}")
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
