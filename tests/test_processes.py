"""The tests' own processes: none outlives its test."""

import subprocess
import sys
import time

from processes import TIME_LIMIT_S, children, finished, running


def test_a_child_of_a_child_ends_with_the_group() -> None:
    nested = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    with running([sys.executable, "-c", nested], stdout=subprocess.PIPE, text=True) as process:
        grandchild = int(process.stdout.readline())
        assert process.pid in children()
    assert process.pid not in children()
    end = time.monotonic() + TIME_LIMIT_S
    while subprocess.run(["ps", "-o", "stat=", "-p", str(grandchild)], capture_output=True).stdout.strip()[:1] not in (
        b"",
        b"Z",
    ):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_a_process_said_comes_back() -> None:
    done = finished([sys.executable, "-c", "print(1); raise SystemExit(3)"], text=True)
    assert (done.stdout, done.returncode) == ("1\n", 3)
