"""A mistake on the command line is told in one line, in words that are not Python's."""

from pathlib import Path

import pytest

from medcnn.cli.main import main


def test_a_key_without_a_value_is_named_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "score.yaml").write_text("model: a\nsource: b\nout: c\nworkers:\n")
    assert main(["score", "--config", str(tmp_path / "score.yaml")]) == 2
    assert "workers has no value (score.yaml, line 4)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "x.csv", "--prevalence", "10%"], "prevalence is 10%: expected a number;"),
        (["report", "x.csv", "--classes", "neg,pos"], "classes is neg,pos: expected a list, as [one, other];"),
        (["report", "x.csv", "--split", "nosuch"], "split is nosuch: expected test or val;"),
        (["score", "a", "b", "c", "--workers", "x"], "workers is x: expected a whole number;"),
        (["explain", "a", "b", "--nosuch", "3"], "unrecognized arguments: --nosuch 3;"),
        (["skullstrip"], "the following arguments are required: source, out;"),
    ],
)
def test_what_was_typed_what_was_expected_and_where_to_look(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert line.startswith(f"medcnn {words[0]}: ")
    assert line.endswith(f"medcnn {words[0]} --help tells what it takes")
