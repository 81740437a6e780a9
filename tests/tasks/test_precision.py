"""The number type is what was measured; processes of one training agree."""

import pytest
import torch

from medcnn.tasks.precision import CHOSEN, choose_precision, time_step


@pytest.fixture(autouse=True)
def undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (CHOSEN, "WORLD_SIZE", "SLURM_NTASKS"):
        monkeypatch.setenv(name, "")  # set first, so that what the choice sets is taken back
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("full", "half", "name", "reason"),
    [
        (1.15, 11.7, "32-true", "bf16 is 10.2 times slower on this processor"),
        (1.0, 0.5, "bf16-mixed", "2.0 times faster than float32 on this processor"),
        (1.0, 0.95, "32-true", "bf16 is only 1.1 times faster on this processor"),
    ],
)
def test_a_cpu_trains_in_the_type_that_is_faster(full: float, half: float, name: str, reason: str) -> None:
    seconds = {torch.float32: full, torch.bfloat16: half}
    assert choose_precision("cpu", 2, lambda dtype, _: seconds[dtype]) == (name, reason)


def test_the_choice_is_made_once_for_all_processes() -> None:
    first = choose_precision("cpu", 2, lambda dtype, _: 1.0 if dtype == torch.float32 else 0.1)
    assert choose_precision("cpu", 2, lambda dtype, _: 0.1 if dtype == torch.float32 else 1.0) == first
    other = choose_precision("cpu", 3, lambda dtype, _: 0.1 if dtype == torch.float32 else 1.0)
    assert other.name == "32-true"


def test_processes_that_others_launched_do_not_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")

    def never(*_: object) -> float:
        raise AssertionError

    assert "not measured" in choose_precision("cpu", 2, never).reason


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_step_is_timed_and_leaves_chance_alone(dimensions: int) -> None:
    state = torch.random.get_rng_state()
    assert time_step(torch.float32, dimensions) > 0
    assert torch.equal(torch.random.get_rng_state(), state)
