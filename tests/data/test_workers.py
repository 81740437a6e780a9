from pathlib import Path

import bounded_functions
import pytest

from medcnn.bounded_processes import Lost
from medcnn.data.workers import in_workers, read_bounded
from medcnn.errors import ConfigError, ReadError


def reason(item: object, lost: Lost) -> object:
    return f"{item}: {lost.reason}"


def test_an_item_that_ends_its_worker_costs_itself_alone() -> None:
    items = ["a", "crash", "b", "stop", "c"]
    found = list(in_workers(bounded_functions.answer, items, 2, lost=reason, timeout_s=2.0))
    assert found == ["a", "crash: decoder_crashed", "b", "stop: timeout", "c"]


def test_a_lost_item_without_a_reason_for_it_is_an_error() -> None:
    with pytest.raises(ConfigError, match="decoder_crashed"):
        list(in_workers(bounded_functions.answer, ["crash"], 1))


def test_an_error_comes_through_as_it_is() -> None:
    with pytest.raises(ReadError, match="ends early") as error:
        list(in_workers(bounded_functions.fail, ["a"], 1))
    assert error.value.code == "truncated"


def test_a_file_that_ends_its_reader_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    (tmp_path / "good").write_text("words")
    for name, reason in (("crash", "decoder_crashed"), ("memory", "out_of_memory")):
        with pytest.raises(ReadError) as error:
            read_bounded(bounded_functions.read, tmp_path / name)
        assert error.value.code == reason
        assert read_bounded(bounded_functions.read, tmp_path / "good") == "words"
    with pytest.raises(FileNotFoundError):
        read_bounded(bounded_functions.read, tmp_path / "absent")
