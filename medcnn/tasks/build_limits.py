"""Limits of memory and processor time while a model is built: its description alone decides how large it gets."""

import contextlib
import itertools
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.nn.parameter import is_lazy

from medcnn.errors import CheckpointError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

#: Numbers that a model may learn, where its weights do not say how many there are; and modules.
PARAMETERS, MODULES = 1 << 28, 10_000
#: Bytes beyond four for each of these numbers, and seconds on the processor, however loaded it is.
MEMORY, SECONDS = 1 << 30, 120.0


@contextlib.contextmanager
def build_limits(parameters: int = PARAMETERS, seconds: float = SECONDS) -> Iterator[None]:
    """Limit parameters, modules, memory and (in the main thread) processor time until the block ends.

    A parameter is counted before it is filled, so that one of gigabytes costs nothing. All memory is limited where the
    system has ``RLIMIT_DATA`` and ``/proc``, which is Linux; an allocation beyond it is an exception, and not the end
    of the process.

    Raises:
        CheckpointError: A limit was reached.
    """
    memory = MEMORY + 8 * parameters
    try:
        with _size_limit(parameters), _one_thread(), _unfilled(), _memory_limit(memory), _time_limit(seconds):
            yield
    except (MemoryError, SystemError, RecursionError) as error:  # CPython may lose a MemoryError: SystemError
        raise CheckpointError(
            f"the model takes more than {memory >> 20:,} MB to build ({type(error).__name__}); medcnn did not write it"
        ) from error


@contextlib.contextmanager
def _size_limit(parameters: int) -> Iterator[None]:
    modules, numbers = itertools.count(1), 0

    def count_module(*_: Any) -> None:
        if next(modules) > MODULES:
            raise CheckpointError(f"the model has more than {MODULES:,} modules; medcnn did not write it")

    def count_numbers(_module: Any, _name: str, parameter: Any) -> None:
        nonlocal numbers
        numbers += 0 if parameter is None or is_lazy(parameter) else parameter.numel()
        if numbers > parameters:
            raise CheckpointError(
                f"the weights do not fit the model's description: it has more than {parameters:,} parameters"
            )

    hooks = (
        register_module_module_registration_hook(count_module),
        register_module_parameter_registration_hook(count_numbers),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Start no thread: where there is no memory for its stack, OpenMP ends the process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _unfilled() -> Iterator[None]:
    """Leave new parameters unfilled until they are counted; deterministic algorithms would fill them with NaN."""
    settings: Any = torch.utils.deterministic
    before = settings.fill_uninitialized_memory
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        settings.fill_uninitialized_memory = before


@contextlib.contextmanager
def _memory_limit(memory: int) -> Iterator[None]:
    taken = _taken()
    if taken is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    ceilings = [limit for limit in before if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([taken + memory, *ceilings]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _taken() -> int | None:
    """Bytes of data that the process has; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    except (OSError, ValueError, IndexError):
        return None
    return None if resource is None else pages * resource.getpagesize()


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise CheckpointError(f"the model took more than {seconds:g} s to build; medcnn did not write it")

    # Time on the processor, not on the clock: a loaded machine refuses no model.
    before = signal.signal(signal.SIGVTALRM, stop)
    timer = signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, *timer)
        signal.signal(signal.SIGVTALRM, before)
