"""What a user can mend is found inside what libraries make of it; a bug is not."""

import errno
import sqlite3

import pytest
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from medcnn.cli.mendable import as_mendable, refused_arguments
from medcnn.errors import CheckpointError, ConfigError, ManifestError, MedcnnError, TrackingError


def wrapped(inner: Exception, outer: Exception) -> Exception:
    """``outer`` as ``raise outer from inner`` leaves it."""
    outer.__cause__ = inner
    return outer


def test_our_own_word_is_found_however_deep() -> None:
    inner = ManifestError("the table lacks a column path")
    assert as_mendable(wrapped(wrapped(inner, TypeError("tried")), ValueError("Union subtypes ..."))) is inner


def test_what_lightning_refuses_becomes_one_line() -> None:
    found = as_mendable(MisconfigurationException("max_epochs is\n  too low"))
    assert isinstance(found, ConfigError)
    assert str(found) == "max_epochs is too low"


def test_weights_of_another_net_are_a_matter_of_the_checkpoint() -> None:
    assert isinstance(
        as_mendable(RuntimeError("Error(s) in loading state_dict for Net: size mismatch")), CheckpointError
    )


@pytest.mark.parametrize("bug", [ZeroDivisionError(), RuntimeError("shape mismatch"), KeyError("label")])
def test_a_bug_stays_a_bug(bug: Exception) -> None:
    assert as_mendable(bug) is None


class Net:
    """Refuses its argument."""

    def __init__(self, width: int) -> None:
        if width < 1:
            raise ValueError(f"width is\n{width}")


def test_what_a_constructor_refuses_names_its_class() -> None:
    with pytest.raises(ValueError, match="width") as caught:
        Net(0)
    assert str(refused_arguments(caught.value)) == "Net cannot be built from its arguments: width is 0"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/x"), MedcnnError, "No space left on device: /tmp/x"),
        (OSError(errno.EROFS, "Read-only file system"), MedcnnError, "Read-only file system: a file"),
        (sqlite3.OperationalError("database is locked"), TrackingError, "database is locked"),
        (sqlite3.DatabaseError("database disk image is malformed\nmore"), TrackingError, "malformed more"),
    ],
)
def test_a_failing_disk_or_store_is_one_line(error: Exception, kind: type[MedcnnError], words: str) -> None:
    mendable = as_mendable(error)
    assert type(mendable) is kind
    assert words in str(mendable)
    assert "\n" not in str(mendable)


def test_a_bug_of_a_file_stays_a_bug() -> None:
    assert as_mendable(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None
