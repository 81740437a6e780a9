"""What a model's description asks for is limited while it is built, and the limits are gone afterwards."""

import itertools
import signal
import sys
import threading

import pytest
import torch

from medcnn.errors import CheckpointError
from medcnn.tasks.build import build
from medcnn.tasks.build_limits import build_limits

resource = pytest.importorskip("resource")


def net(**init_args: object) -> dict[str, object]:
    return {"class_path": "medcnn.nets.resnet.ResNet", "init_args": init_args}


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize(
    "spec",
    [
        {"class_path": "torch.nn.Linear", "init_args": {"in_features": 10**6, "out_features": 10**6}},
        {"class_path": "torch.nn.Linear", "init_args": {"in_features": 40_000, "out_features": 20_000}},
        {"class_path": "torch.nn.Linear", "init_args": {"in_features": 2**70, "out_features": 2}},
        net(widths=[4, 8], depths=[10**9, 1]),
        net(widths=[10**6, 8], depths=[1, 1]),
    ],
    ids=str,
)
def test_a_description_of_a_giant_is_refused_before_it_is_made(spec: dict[str, object], deterministic: bool) -> None:
    before, was = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(deterministic)
    try:
        with pytest.raises(CheckpointError) as caught:
            build(spec)
    finally:
        torch.use_deterministic_algorithms(was)
    assert "\n" not in str(caught.value)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 1_500_000 * (1024 if sys.platform == "darwin" else 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_DATA")
def test_memory_is_limited_and_free_again_afterwards() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(CheckpointError, match="MB to build"), build_limits():
        bytearray(64 << 30)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert len(bytearray(4 << 20)) == 4 << 20


def test_time_on_the_processor_is_limited() -> None:
    before, timer = signal.getsignal(signal.SIGVTALRM), signal.getitimer(signal.ITIMER_VIRTUAL)
    with pytest.raises(CheckpointError, match=r"more than 0\.2 s"), build_limits(seconds=0.2):
        sum(1 for _ in itertools.count())
    assert signal.getsignal(signal.SIGVTALRM) is before
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == pytest.approx(timer[0], abs=1)


def test_another_thread_builds_without_signals() -> None:
    built = []
    thread = threading.Thread(target=lambda: built.append(build({"class_path": "torch.nn.ReLU"})))
    thread.start()
    thread.join()
    assert isinstance(built[0], torch.nn.ReLU)


def test_threads_and_hooks_are_as_they_were() -> None:
    threads = torch.get_num_threads()
    with pytest.raises(CheckpointError, match="parameters"), build_limits(parameters=10):
        torch.nn.Linear(10, 10)
    assert torch.get_num_threads() == threads
    assert torch.nn.Linear(10, 10).weight.numel() == 100
