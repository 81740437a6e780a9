"""A minute of coverage-guided fuzzing; ``make fuzz`` takes an hour."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz_readers.py")
#: No limit of libFuzzer on memory: it counts what the process that started it held. The fuzzer sets its own.
LIMITS = ("-rss_limit_mb=0", "-timeout=60", "-len_control=0")
SECONDS = int(os.environ.get("MEDCNN_FUZZ_SECONDS", "60"))
TARGETS = ("radiograph", "nifti", "series", "table")


@pytest.mark.slow
@pytest.mark.timeout(60 * SECONDS + 600)
@pytest.mark.parametrize("target", TARGETS)
def test_no_bytes_break_the_reader_of_a(target: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("needs atheris, which has wheels for Linux on x86-64 only: pip install atheris")
    seconds = max(1, SECONDS // len(TARGETS))
    command = [sys.executable, str(FUZZER), target, str(tmp_path / "corpus"), f"-max_total_time={seconds}", "-seed=1"]
    done = subprocess.run(
        [*command, *LIMITS], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    report = done.stdout.decode(errors="replace")
    assert done.returncode == 0, report[-4000:]
    assert "Done " in report, "the fuzzer did not run"
