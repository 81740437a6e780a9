import json
import subprocess
import sys
from pathlib import Path

import pytest

from medcnn.cli.main import main
from medcnn.cli.score import Score
from medcnn.scoring.tally import Tally

LIGHT = """
import sys
sys.argv = ["medcnn", "score", "--help"]
try:
    from medcnn.cli.main import run
    run()
except SystemExit as end:
    heavy = [name for name in ("torch", "monai", "mlflow", "pytorch_lightning", "pydicom") if name in sys.modules]
    sys.exit(f"{end.code}: {heavy}" if heavy or end.code else 0)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    sys.path.insert(0, str(Path(__file__).parents[1] / "scoring"))
    from scoring_product import make_product

    make_product().to_folder(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    from scoring_product import film

    from medcnn.io.dicom_write import write_film

    folder = tmp_path / "source" / "DOE^JANE"
    folder.mkdir(parents=True)
    for number in range(3):
        write_film(folder / f"DOE {number}.dcm", film(number), patient_id="4711-DOE")
    return tmp_path / "source"


def test_help_is_light_and_tells_every_argument() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    for words in ("models:/name@alias", "searched recursively", "Folder for the findings", "--timeout_s", "given up"):
        assert words in text


def test_a_folder_is_scored_and_no_name_is_printed(
    model: Path, source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["score", str(model), str(source), str(out), "--workers", "1"]
    assert main(words) == 0
    (source / "DOE lost.dcm").write_text("no image")
    (source / "README").write_text("no image")
    assert main(words) == 3
    printed = capfd.readouterr()
    assert "3 files found: 3 scored, 0 skipped, 0 failed" in printed.out
    assert "5 files found: 3 scored, 1 skipped, 1 failed" in printed.out
    assert "2 not_an_image" in printed.out
    assert "DOE" not in printed.out + printed.err
    assert str(tmp_path) not in printed.out + printed.err
    summary = json.loads((out / "summary.json").read_text())
    assert summary["found"] == summary["scored"] + summary["skipped"] + summary["failed"] == 5
    assert all("4711" not in path.read_text("latin-1") for path in out.iterdir())


def test_mistakes_end_with_code_2_and_one_line(
    model: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "void").mkdir()
    (tmp_path / "file").touch()
    out = str(tmp_path / "out")
    for words in (
        [str(model), str(tmp_path / "missing"), out],
        [str(model), str(tmp_path / "void"), out],
        [str(model), str(source), str(tmp_path / "file")],
        [str(tmp_path / "missing"), str(source), out],
        [str(tmp_path / "file"), str(source), out],
        [str(model), str(source), out, "--timeout_s", "0"],
        [str(model), str(source), out, "--device", "abacus"],
    ):
        assert main(["score", *words]) == 2, words
        error = capsys.readouterr().err
        assert error.startswith("medcnn score: ")
        assert error.count("\n") == 1


def test_an_unfinished_run_is_not_reported_as_complete() -> None:
    assert Tally(found=2).exit_code == 3
    assert Score("m", Path(), Path()).device == "auto"
