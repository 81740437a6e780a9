"""Work in other processes: never forked, so that threads and devices of this one are left alone."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from medcnn.bounded_processes import CONTEXT, BoundedWorkers, Limits, Lost, memory_per_worker
from medcnn.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")
#: Seconds that reading and preparing one image may take.
TIMEOUT_S = 300.0


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


def _result(answer: Any, item: Item, lost: Callable[[Item, Lost], Result] | None) -> Result:
    if isinstance(answer, Lost):
        if lost is None:
            raise ConfigError(f"an image could not be read ({answer.reason}): {answer.sentence}; leave it out")
        return lost(item, answer)
    result, error = answer
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _start(
    function: Callable[[Any], Any], begin: Callable[..., None] | None, given: tuple[Any, ...]
) -> Callable[[Any], Any]:
    if begin is not None:
        begin(*given)
    return partial(_attempt, function)


def _attempt(function: Callable[[Any], Any], item: Any) -> tuple[Any, Exception | None]:
    try:
        return function(item), None
    except Exception as error:  # noqa: BLE001  # the parent raises it
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
        except Exception:  # noqa: BLE001
            return None, RuntimeError(f"{type(error).__name__} in a worker")
        return None, error
