"""Work in other processes: never forked, so that threads and devices of this one are left alone."""

import copy
import multiprocessing
import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from medcnn.bounded_processes import CONTEXT, BoundedWorkers, Limits, Lost, memory_per_worker
from medcnn.errors import ConfigError, ReadError

Item = TypeVar("Item")
Result = TypeVar("Result")
#: Seconds that reading and preparing one image may take.
TIMEOUT_S = 300.0
#: The worker of ``read_bounded``, started with the first file.
_readers: list[BoundedWorkers] = []


def in_workers(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    begin: Callable[..., None] | None = None,
    given: tuple[Any, ...] = (),
    preload: Sequence[str] = (),
    lost: Callable[[Item, Lost], Result] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[Result]:
    """Yield results in the order of the items; errors come through as they are.

    Args:
        function: What to do; importable by name.
        items: What to do it with.
        workers: Number of processes.
        begin: Called once in each worker with ``given``.
        given: Its arguments; picklable.
        preload: Modules that the workers share, imported once where the platform allows it.
        lost: Gives the result of an item that crashed its worker, or took more time or memory than it may.
        timeout_s: Seconds for one item.

    Raises:
        ConfigError: If an item is lost and ``lost`` is not given.
    """
    if not items:
        return
    if hasattr(CONTEXT, "set_forkserver_preload"):
        CONTEXT.set_forkserver_preload(list(preload))
    count = min(workers, len(items))
    limits = Limits(timeout_s, memory_per_worker(count))
    early: dict[int, Any] = {}
    following = 0
    with BoundedWorkers(_start, (function, begin, given), count, limits) as pool:
        for index, answer in pool.answers(items):
            early[index] = answer
            while following in early:
                yield _result(early.pop(following), items[following], lost)
                following += 1


def read_bounded(read: Callable[[Path], Result], path: Path) -> Result:
    """Read a file in a worker process that stays for the next one; inside of a worker, read it here.

    Raises:
        ReadError: As ``read`` raises it, or if the file crashed the worker, or took more time or memory than it may.
    """
    if multiprocessing.parent_process() is not None:
        return read(path)
    if not _readers:
        limits, context = Limits(TIMEOUT_S, memory_per_worker(1)), multiprocessing.get_context("spawn")
        _readers.append(BoundedWorkers(_start, (_read, None, ()), 1, limits, context))
    # Absolute: the worker keeps the folder that was current when it started.
    ((_, answer),) = _readers[0].answers([(read, Path(path).absolute())])
    if isinstance(answer, Lost):
        raise ReadError(answer.reason, f"{path.name}: {answer.sentence}")
    return _result(answer, path, None)


def _read(item: tuple[Callable[[Path], Any], Path]) -> Any:
    read, path = item
    return read(path)


def _result(answer: Any, item: Item, lost: Callable[[Item, Lost], Result] | None) -> Result:
    if isinstance(answer, Lost):
        if lost is None:
            raise ConfigError(f"an image could not be read ({answer.reason}): {answer.sentence}; leave it out")
        return lost(item, answer)
    result, error = answer
    if error is not None:
        raise error
    return result


def _start(
    function: Callable[[Any], Any], begin: Callable[..., None] | None, given: tuple[Any, ...]
) -> Callable[[Any], Any]:
    if begin is not None:
        begin(*given)
    return partial(_attempt, function)


def _attempt(function: Callable[[Any], Any], item: Any) -> tuple[Any, Exception | None]:
    try:
        return function(item), None
    except MemoryError:
        raise  # a reason, like a crash
    except Exception as error:  # noqa: BLE001  # the parent raises it
        try:
            pickle.dumps(copy.copy(error))  # copying builds it afresh, as the parent will
        except Exception:  # noqa: BLE001
            return None, RuntimeError(f"{type(error).__name__} in a worker")
        return None, error
