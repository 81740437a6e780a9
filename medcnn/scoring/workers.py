"""Processes that read and prepare files ahead of the net; one that dies takes a single file with it.

Nothing heavy is imported here, so that :func:`warm_up` can be the first thing a verb does.
"""

import contextlib
import multiprocessing as mp
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from medcnn.errors import MedcnnError
from medcnn.library_output import quiet_worker

if TYPE_CHECKING:
    from medcnn.scoring.preparation import Prepared, Reader, Refusal

_CONTEXT = mp.get_context("forkserver")
#: Files sent ahead to each worker, so that it never waits for the parent between two.
_AHEAD = 4
#: What a worker says of itself, where an answer has the index of a file.
_READY, _UNABLE = -1, -2


def warm_up() -> None:
    """Start the process that workers are forked from; it imports torch and MONAI while the caller goes on.

    A new worker is then a fork of a few milliseconds, also when it replaces one that died.
    """
    _CONTEXT.set_forkserver_preload(["medcnn.scoring.preload"])
    forkserver.ensure_running()


class Setup(NamedTuple):
    """What a worker is given at its start: plain data and one function that it can import.

    Attributes:
        read: Reads an image from a path, or from what else it is given for one.
        preprocess: The steps of the model as plain data.
        timeout_s: Seconds that one file may take.
        prepare: Reads and prepares one, ``(item, read, transforms)`` to what is sent back; ``prepare_file`` where None.
    """

    read: "Reader"
    preprocess: Sequence[dict[str, Any]]
    timeout_s: float
    prepare: Callable[..., Any] | None = None


@dataclass
class _Worker:
    process: ForkServerProcess
    pipe: Connection
    ready: bool = False
    sent: deque[int] = field(default_factory=deque)  # answered in the order sent: the first is the one at work


class Workers:
    """A fixed number of workers, each replaced when a file ends it.

    Args:
        setup: What each of them is given.
        count: How many.
    """

    def __init__(self, setup: Setup, count: int) -> None:
        self._setup = setup
        self._workers = [self._start() for _ in range(count)]

    def _start(self) -> _Worker:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_work, args=(theirs, self._setup), daemon=True)
        process.start()
        theirs.close()  # ours reads the end of the pipe once the worker is gone
        return _Worker(process, ours)

    def prepared(self, paths: Sequence[Any]) -> Iterator[tuple[int, "Prepared | Refusal"]]:
        """Prepare every path, or what else the reader takes; each index comes back once, in the order they are done."""
        waiting = deque(range(len(paths)))
        remaining = len(paths)
        while remaining:
            for worker in self._workers:
                self._feed(worker, waiting, paths)
            ready = set(wait([worker.pipe for worker in self._workers]))
            for place, worker in enumerate(self._workers):
                if worker.pipe not in ready:
                    continue
                answer = self._receive(worker)
                if answer is None:
                    answer = self._bury(place, waiting)
                if answer is not None and answer[0] >= 0:
                    remaining -= 1
                    yield answer

    def _feed(self, worker: _Worker, waiting: deque[int], paths: Sequence[Any]) -> None:
        while waiting and len(worker.sent) < _AHEAD:
            index = waiting[0]
            try:
                worker.pipe.send((index, paths[index]))
            except OSError:
                return  # it has died; its pipe is found closed in a moment
            worker.sent.append(waiting.popleft())

    def _receive(self, worker: _Worker) -> tuple[int, "Prepared | Refusal"] | None:
        """The next answer, or None from a worker that is gone."""
        try:
            index, answer = worker.pipe.recv()
        except (EOFError, OSError):
            return None
        if index == _READY:
            worker.ready = True
        elif index == _UNABLE:
            raise MedcnnError(f"the preprocessing of this model cannot be built: {answer}")
        else:
            worker.sent.popleft()
        return index, answer

    def _bury(self, place: int, waiting: deque[int]) -> tuple[int, "Prepared | Refusal"] | None:
        """Put a new worker in the place of a dead one; the file it was at is what killed it."""
        from medcnn.scoring.preparation import Refusal

        worker = self._workers[place]
        worker.pipe.close()
        worker.process.join()
        code = worker.process.exitcode
        if not worker.ready:
            raise MedcnnError(f"a worker process ended before its first file (exit code {code}): is memory short?")
        self._workers[place] = self._start()
        if not worker.sent:
            return None
        guilty = worker.sent.popleft()
        waiting.extendleft(reversed(worker.sent))
        return guilty, Refusal(*_cause(code, self._setup.timeout_s))

    def close(self) -> None:
        """End every worker at once; they hold nothing that could be lost."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _cause(exitcode: int | None, timeout_s: float) -> tuple[str, str]:
    if exitcode == -signal.SIGALRM:
        return "timeout", f"it was not read and prepared within {timeout_s:g} s"
    if exitcode == -signal.SIGKILL:
        return "decoder_crashed", "the process that read it was killed, most often because memory ran out"
    cause = signal.Signals(-exitcode).name if exitcode and exitcode < 0 else f"exit code {exitcode}"
    return "decoder_crashed", f"the process that read it ended with {cause}"


def _work(pipe: Connection, setup: Setup) -> None:
    """Answer paths with prepared images until the parent closes the pipe or dies."""
    _settle()
    try:
        import torch

        from medcnn.scoring.preparation import prepare_file
        from medcnn.tasks.build import build

        torch.set_num_threads(1)  # the parallel work is the number of workers
        transforms = [build(step) for step in setup.preprocess]
    except Exception as error:  # noqa: BLE001  # told to the parent, which raises it
        pipe.send((_UNABLE, f"{type(error).__name__}: {error}"))
        return
    pipe.send((_READY, None))
    with contextlib.suppress(EOFError, OSError):
        while True:
            index, item = pipe.recv()
            # The kernel keeps the time and ends the process: a codec that hangs would not let Python act.
            signal.setitimer(signal.ITIMER_REAL, setup.timeout_s)
            answer = (setup.prepare or prepare_file)(item, setup.read, transforms)
            signal.setitimer(signal.ITIMER_REAL, 0)
            pipe.send((index, answer))


def _settle() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    quiet_worker()
    with contextlib.suppress(OSError):
        # If memory runs out, a worker is to go before the parent, which holds the run together.
        Path("/proc/self/oom_score_adj").write_text("500")
