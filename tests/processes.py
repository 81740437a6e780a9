"""Child processes of tests: with time enough for a slow machine, and ended together with all that they started."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

#: Ends what hangs, and nothing else: a machine of a tenth of the speed with busy cores stays below it.
TIME_LIMIT_S = float(os.environ.get("MEDCNN_TEST_TIME_LIMIT_S", "1500"))
#: Processes that Python keeps for others to come, and ends with itself.
_OF_PYTHON = ("multiprocessing.forkserver", "multiprocessing.resource_tracker", "from multiprocessing")


@contextmanager
def running(words: Sequence[Any], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """A process in a group of its own; the whole group is killed at the end."""
    with subprocess.Popen([str(word) for word in words], start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError, PermissionError):  # macOS denies what Linux does not find
                os.killpg(process.pid, signal.SIGKILL)


def finished(words: Sequence[Any], check: bool = False, **options: Any) -> "subprocess.CompletedProcess[Any]":
    """What a process said and ended with, as ``subprocess.run`` gives it; output is captured."""
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running(words, **piped | options) as process:
        out, err = process.communicate(timeout=TIME_LIMIT_S)
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check and done.returncode:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{err}")
    return done


def children() -> dict[int, str]:
    """Command lines of the processes that this one started and that still run; none where they cannot be listed."""
    found = {}
    for listing in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            for pid in map(int, listing.read_text().split()):
                with suppress(OSError):
                    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if command and not any(part in command for part in _OF_PYTHON):  # a zombie has no command line
                        found[pid] = command
    return found
