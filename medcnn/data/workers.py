"""Work in other processes: never forked, so that threads and devices of this one are left alone."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from medcnn.errors import ConfigError
from medcnn.library_output import quiet_worker

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_workers(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    begin: Callable[..., None] | None = None,
    given: tuple[Any, ...] = (),
    preload: Sequence[str] = (),
) -> Iterator[Result]:
    """Results in the order of the items; errors come through as they are.

    Args:
        function: What to do; importable by name.
        items: What to do it with.
        workers: Number of processes.
        begin: Called once in each worker with ``given``.
        given: Its arguments; picklable.
        preload: Modules that the workers share, imported once where the platform allows it.

    Raises:
        ConfigError: If a worker dies.
    """
    if not items:
        return
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if hasattr(context, "set_forkserver_preload"):
        context.set_forkserver_preload(list(preload))
    chunk = max(1, min(16, len(items) // (4 * workers)))
    try:
        with ProcessPoolExecutor(workers, context, _begin, (begin, given)) as pool:
            try:
                yield from pool.map(function, items, chunksize=chunk)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
    except BrokenProcessPool as error:
        raise ConfigError(
            "a decoding worker died: no memory left, a broken decoder, or a script without "
            "`if __name__ == '__main__':`; set workers to 0 to decode in this process"
        ) from error


def _begin(begin: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    quiet_worker()
    if begin is not None:
        begin(*given)
