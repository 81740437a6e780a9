"""Fixtures that every room shares."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from processes import children

# Two workers on two cores: one thread each, and the same sums on every machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def _own_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the key of the pseudonyms and the caches of a test run out of the user's folders."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDCNN_KEY", str(folder / "pseudonyms.key"))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images, beside the checkout or wherever ``MEDCNN_DATA`` says."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MEDCNN_DATA", default))
    if not folder.is_dir():
        pytest.skip("needs the folder of real images: set MEDCNN_DATA to it")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _no_process_is_left_behind() -> Iterator[None]:
    """Kill what the tests of this process left running, and fail for it."""
    before = set(children())
    yield
    left = {pid: command for pid, command in children().items() if pid not in before}
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, f"the tests left processes behind: {left}"
