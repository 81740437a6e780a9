"""The table of verbs."""

import subprocess
import sys

import pytest

from medcnn import __version__
from medcnn.cli import main as table
from medcnn.cli.main import VERBS, Verb, main
from medcnn.errors import ConfigError


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text and verb.line in text for name, verb in VERBS.items())


def test_no_verb_is_a_mistake_and_shows_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: medcnn VERB" in capsys.readouterr().out


def test_an_unknown_verb_is_refused_in_one_line_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "'train'" in error
    assert "fit" in error


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"medcnn {__version__}\n"


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> dict[str, BaseException]:
    """A verb that raises what the test puts into the dict."""
    what: dict[str, BaseException] = {}

    def call(name: str, words: list[str]) -> int:
        raise what["error"]

    monkeypatch.setitem(VERBS, "fail", Verb("nowhere:Nothing", "fails"))
    monkeypatch.setattr(table, "_call", call)
    return what


def test_what_a_user_can_mend_is_one_line_and_code_2(
    failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing["error"] = ConfigError("expected this, found that: do so")
    assert main(["fail"]) == 2
    assert capsys.readouterr().err == "medcnn fail: expected this, found that: do so\n"


def test_a_stop_from_the_keyboard_is_no_traceback(
    failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing["error"] = KeyboardInterrupt()
    assert main(["fail"]) == 130
    assert main(["segment"]) == 130
    assert capsys.readouterr().err == "medcnn fail: stopped\nmedcnn segment: stopped; the same command goes on\n"


def test_a_bug_stays_a_bug(failing: dict[str, BaseException]) -> None:
    failing["error"] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        main(["fail"])


@pytest.mark.parametrize("verb", [name for name in VERBS if name not in table.LIGHTNING])
def test_a_word_that_a_verb_does_not_know_ends_with_code_2(verb: str) -> None:
    words = [sys.executable, "-m", "medcnn", verb, "--no-such-option", "1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no-such-option" in done.stderr
    assert "Traceback" not in done.stderr
