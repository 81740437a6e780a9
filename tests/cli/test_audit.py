"""``medcnn audit``: findings are no error, mistakes are told in a line, and the help is light."""

import subprocess
import sys
from pathlib import Path

import pytest

from medcnn.cli.main import main
from medcnn.data.phantom import make_phantom_cohort


def test_an_audit_prints_its_findings_and_ends_with_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = make_phantom_cohort(tmp_path / "cohort", patients=20, size=32, broken=False)
    assert main(["audit", str(manifest), "--out", str(tmp_path / "out"), "--workers", "0"]) == 0
    told = capsys.readouterr().out
    assert "exact copies: 0 pairs" in told
    assert "with several films" in told
    assert (tmp_path / "out" / "audit.json").is_file()
    assert "PHANTOM" not in told


def test_a_wrong_source_ends_with_two(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "medcnn", "audit", str(tmp_path / "gone")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_the_help_imports_no_torch() -> None:
    code = (
        "import sys; from medcnn.cli.main import main\n"
        "try: main(['audit', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(int('torch' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").touch()
    assert main(["audit", str(tmp_path), "--out", str(tmp_path / "taken")]) == 2
    assert "out is taken, which is a file: give a folder with --out" in capsys.readouterr().err
