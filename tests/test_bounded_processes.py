import sys
import time
from pathlib import Path

import bounded_functions
import pytest

from medcnn.bounded_processes import BoundedWorkers, Limits, Lost, memory_per_worker
from medcnn.errors import MedcnnError


def answers(items: list[object], count: int = 2, timeout_s: float = 60.0, memory: int = 0) -> dict[int, object]:
    with BoundedWorkers(bounded_functions.start, (), count, Limits(timeout_s, memory)) as workers:
        found = list(workers.answers(items))
    assert len(found) == len(items)
    return dict(found)


def test_every_item_is_answered_once() -> None:
    assert answers(list(range(100))) == {number: number for number in range(100)}
    assert answers([]) == {}


def test_a_stopped_worker_costs_its_item_alone() -> None:
    found = answers(["a", "stop", "b", "c", "d", "e", "f"], timeout_s=2.0)
    assert [index for index, answer in found.items() if isinstance(answer, Lost)] == [1]
    assert found[1].reason == "timeout"  # type: ignore[attr-defined]


def test_every_worker_may_be_stopped_in_turn() -> None:
    found = answers(["stop", "stop", "stop", "stop", "a"], timeout_s=1.0)
    assert [getattr(found[index], "reason", found[index]) for index in range(5)] == ["timeout"] * 4 + ["a"]


def test_a_crash_is_a_reason_after_a_second_try() -> None:
    found = answers(["a", "crash", "b", "crash"])
    assert found[1] == found[3] == Lost("decoder_crashed", "the process that read it ended with SIGSEGV twice")
    assert (found[0], found[2]) == ("a", "b")


def test_an_item_whose_worker_was_killed_is_tried_again(tmp_path: Path) -> None:
    assert answers([tmp_path / "first", "a", tmp_path / "second"]) == {0: "alive", 1: "a", 2: "alive"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the parent watches the memory")
def test_memory_beyond_the_limit_is_refused() -> None:
    assert answers(["memory", "a"], memory=2 << 30) == {0: "MemoryError", 1: "a"}


def test_a_large_item_and_answer_pass() -> None:
    large = b"x" * (8 << 20)
    assert answers([large, "stop", large, large], timeout_s=2.0)[2] == large


def test_a_worker_that_cannot_start_ends_in_a_line() -> None:
    with BoundedWorkers(_unable, (), 1, Limits(5.0)) as workers, pytest.raises(MedcnnError, match="ZeroDivisionError"):
        list(workers.answers(["a"]))


def _unable() -> None:
    raise ZeroDivisionError


def test_a_pause_of_the_reader_is_not_the_time_of_a_worker() -> None:
    with BoundedWorkers(bounded_functions.start, (), 1, Limits(1.0)) as workers:
        found = []
        for _, answer in workers.answers(list(range(12))):
            time.sleep(1.2 if answer in (0, 5) else 0)
            found.append(answer)
    assert found == list(range(12))


def test_a_share_of_memory_has_bounds() -> None:
    assert memory_per_worker(10**6) == 2 << 30
    assert 2 << 30 <= memory_per_worker(1) <= 16 << 30
