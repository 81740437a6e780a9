"""Limits of memory and processor time while a model is built: its description alone decides how large it gets."""

import contextlib
import itertools
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch.nn.modules.module import register_module_module_registration_hook

from medcnn.errors import CheckpointError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

#: Bytes beyond what the process has, seconds on the processor, however loaded it is, and modules.
MEMORY, SECONDS, MODULES = 1 << 30, 120.0, 20_000


@contextlib.contextmanager
def build_limits(memory: int = MEMORY, seconds: float = SECONDS) -> Iterator[None]:
    """Limit memory, modules and (in the main thread) processor time until the block ends.

    Memory is limited where the system has ``RLIMIT_AS`` and ``/proc``, which is Linux; an allocation beyond it is an
    exception, and not the end of the process.

    Raises:
        CheckpointError: A limit was reached.
    """
    try:
        with _module_limit(), _memory_limit(memory), _time_limit(seconds):
            yield
    except (MemoryError, SystemError, RecursionError) as error:  # CPython may lose a MemoryError: SystemError
        raise CheckpointError(
            f"the model takes more than {memory >> 20:,} MB to build ({type(error).__name__}); medcnn did not write it"
        ) from error


@contextlib.contextmanager
def _module_limit() -> Iterator[None]:
    joined = itertools.count(1)

    def count(*_: Any) -> None:
        if next(joined) > MODULES:
            raise CheckpointError(f"the model has more than {MODULES:,} modules; medcnn did not write it")

    hook = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


@contextlib.contextmanager
def _memory_limit(memory: int) -> Iterator[None]:
    taken = _address_space()
    if resource is None or taken is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    ceilings = [limit for limit in before if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([taken + memory, *ceilings]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _address_space() -> int | None:
    """Bytes of address space that the process has; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize() if resource is not None else None


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
