"""``medcnn demo`` goes the whole way, and never over somebody's files."""

import csv
import sys
from pathlib import Path
from types import ModuleType

import pytest

from medcnn.cli.demo import MARK, Demo, claim, closing_words
from medcnn.cli.main import main
from medcnn.errors import ConfigError, MedcnnError


def write(path: Path, *rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as table:
        csv.writer(table).writerows(rows)


def write_tables(folder: Path) -> None:
    """What phantom and score would have left: three films of which two are called right, and one broken file."""
    write(
        folder / "incoming_truth.csv",
        ["path", "label"],
        ["incoming/a.dcm", "normal"],
        ["incoming/b.dcm", "opacity"],
        ["incoming/c.dcm", "opacity"],
    )
    calls = (["a.dcm", "normal"], ["b.dcm", "opacity"], ["c.dcm", "normal"])
    write(folder / "findings" / "findings.csv", ["path", "call"], *calls)
    broken = ["d.dcm", "failed", "truncated", "the file is cut short"]
    write(folder / "findings" / "skipped.csv", ["path", "state", "reason", "sentence"], broken)


def test_a_folder_with_files_of_somebody_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="--folder"):
        claim(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    assert not (tmp_path / MARK).exists()


def test_a_folder_named_like_one_of_its_own_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    with pytest.raises(ConfigError):
        claim(tmp_path)
    assert (tmp_path / "films").is_dir()


def test_a_file_in_place_of_the_folder_is_a_mistake_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "demo").touch()
    assert main(["demo", "--folder", str(tmp_path / "demo")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_its_own_folder_is_made_anew_and_notes_in_it_stay(tmp_path: Path) -> None:
    claim(tmp_path / "demo")
    write_tables(tmp_path / "demo")
    (tmp_path / "demo" / "notes.txt").write_text("mine")
    claim(tmp_path / "demo")
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {MARK, "notes.txt"}


def test_the_closing_words_count_what_the_tables_hold(tmp_path: Path) -> None:
    write_tables(tmp_path)
    words = closing_words(tmp_path, 61.7)
    assert "62 s" in words
    assert "Of 3 incoming films 2 were called as they were drawn" in words
    assert "the file is cut short" in words
    assert "exit code 3" in words
    assert "medcnn ui" in words


def test_a_whole_film_without_a_finding_is_a_failure_and_not_a_broken_file(tmp_path: Path) -> None:
    write_tables(tmp_path)
    write(tmp_path / "findings" / "findings.csv", ["path", "call"], ["a.dcm", "normal"], ["c.dcm", "normal"])
    with pytest.raises(MedcnnError, match=r"1 whole films have no finding, b\.dcm"):
        closing_words(tmp_path, 1)


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Verbs and the drawing of films stand still; the words of each verb are kept."""
    called: list[list[str]] = []
    phantom = ModuleType("medcnn.data.phantom")
    phantom.make_phantom_cohort = lambda folder, **_: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "medcnn.data.phantom", phantom)

    def pretend(words: list[str]) -> int:
        called.append(words)
        if words[0] != "score":
            return 0
        write_tables(Path(words[-1]).parent)
        return 3

    monkeypatch.setattr("medcnn.cli.main.main", pretend)
    return called


def test_it_fits_tests_reports_and_scores_what_it_fitted(tmp_path: Path, pretended: list[list[str]]) -> None:
    assert Demo(folder=tmp_path / "demo")() == 0
    assert [words[0] for words in pretended] == ["fit", "test", "report", "score"]
    fit, test, report, score = pretended
    model = f"models:/{fit[fit.index('--register') + 1]}@champion"
    assert test[-1] == model
    assert report[1] == score[1] == model
    assert fit[fit.index("--config") + 1] == test[test.index("--config") + 1]
    assert "--trainer.max_epochs" not in fit


def test_a_step_that_ends_badly_ends_the_demo(
    tmp_path: Path, pretended: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medcnn.cli.main.main", lambda words: 1)
    with pytest.raises(MedcnnError, match="fit ended with 1"):
        Demo(folder=tmp_path / "demo")()


@pytest.mark.slow
def test_the_quick_demo_goes_the_whole_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(["demo", "--quick", "true"]) == 0, capsys.readouterr().err
    with Path("demo/findings/findings.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert rows
    assert all(Path("demo/incoming", row["path"]).is_file() for row in rows)
    assert Path("mlflow.db").is_file()
    assert Path("demo/report/report.html").is_file()
    assert "broken on purpose" in capsys.readouterr().out
