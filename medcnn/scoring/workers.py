"""Processes that read and prepare files ahead of the net; one that dies takes a single file with it.

Nothing heavy is imported here, so that :func:`warm_up` can be the first thing a verb does.
"""

from collections.abc import Callable, Iterator, Sequence
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Any, NamedTuple

from medcnn.bounded_processes import CONTEXT, BoundedWorkers, Limits, Lost, memory_per_worker

if TYPE_CHECKING:
    from medcnn.scoring.preparation import Prepared, Reader, Refusal


def warm_up() -> None:
    """Start the process that workers are forked from; it imports torch and MONAI while the caller continues.

    A new worker is then a fork of a few milliseconds, also when it replaces one that died.
    """
    CONTEXT.set_forkserver_preload(["medcnn.scoring.preload"])
    forkserver.ensure_running()


class Setup(NamedTuple):
    """What a worker is given at its start: plain data and one function that it can import.

    Attributes:
        read: Reads an image from a path, or from what else it is given for one.
        preprocess: The steps of the model as plain data.
        timeout_s: Seconds that one file may take.
        prepare: Reads and prepares one, ``(item, read, transforms)`` to what is sent back; ``prepare_file`` where None.
        memory_bytes: Memory that one worker may allocate; 0 for its share of the machine's.
    """

    read: "Reader"
    preprocess: Sequence[dict[str, Any]]
    timeout_s: float
    prepare: Callable[..., Any] | None = None
    memory_bytes: int = 0


class Workers(BoundedWorkers):
    """A fixed number of workers, each replaced when a file ends it.

    Args:
        setup: What each of them is given.
        count: How many.
    """

    def __init__(self, setup: Setup, count: int) -> None:
        limits = Limits(setup.timeout_s, setup.memory_bytes or memory_per_worker(count))
        super().__init__(_preparer, (setup,), count, limits)

    def prepared(self, paths: Sequence[Any]) -> Iterator[tuple[int, "Prepared | Refusal"]]:
        """Prepare every path, or what else the reader takes; each index comes back once, in the order they are done."""
        from medcnn.scoring.preparation import Refusal

        for index, answer in self.answers(paths):
            yield index, Refusal(*answer) if isinstance(answer, Lost) else answer


def _preparer(setup: Setup) -> Callable[[Any], Any]:
    import torch

    from medcnn.scoring.preparation import prepare_file
    from medcnn.tasks.build import build

    torch.set_num_threads(1)  # the parallel work is the number of workers
    transforms = [build(step) for step in setup.preprocess]
    prepare = setup.prepare or prepare_file
    return lambda item: prepare(item, setup.read, transforms)
