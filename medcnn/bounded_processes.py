"""Functions run in child processes that are bounded in time and memory; one that dies costs a single item.

The parent keeps the time and never waits for a child without a limit: a child can be stopped, or be caught in the
kernel on a dead network disk, where not even SIGKILL reaches it. Such a child is given up and replaced.
"""

import contextlib
import multiprocessing
import multiprocessing.process
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from medcnn.errors import MedcnnError
from medcnn.library_output import quiet_worker

CONTEXT: Any = multiprocessing.get_context(
    "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
)
#: Items sent ahead to each worker, so that it never waits for the parent between two.
_AHEAD = 4
#: Message kinds of a worker.
_READY, _UNABLE, _ANSWER, _GONE = range(4)
#: How often the parent compares the clock, and on systems without a memory limit the memory, with the limits.
_STEP_S = 0.25
_START_S = 600.0
_GIB = 1 << 30


class Lost(NamedTuple):
    """An item whose worker ended: ``timeout``, ``decoder_crashed`` or ``out_of_memory``, and the reason in words."""

    reason: str
    sentence: str


class Limits(NamedTuple):
    """Bounds of each worker.

    Attributes:
        timeout_s: Seconds for one item.
        memory_bytes: Memory that a worker may allocate, including what it has after its imports; 0 for no limit.
    """

    timeout_s: float
    memory_bytes: int = 0


def memory_per_worker(count: int) -> int:
    """Memory limit of each of ``count`` workers: an equal share of 80 % of the machine's memory, 2 to 16 GiB.

    The machine's memory is what a control group leaves of it, as in a container.
    """
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(max(total * 8 // 10 // max(count, 1), 2 * _GIB), 16 * _GIB)


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    outbox: queue.SimpleQueue[tuple[int, Any] | None] = field(default_factory=queue.SimpleQueue)
    sent: deque[int] = field(default_factory=deque)  # answered in the order sent: the first is the current one
    since: float = field(default_factory=time.monotonic)  # when the current item, or the start, began
    ready: bool = False
    answering: bool = False  # an answer is here that the caller has not taken yet
    exceeded: str = ""  # the limit for which the parent ended it
    closed: bool = False


class BoundedWorkers:
    """A fixed number of child processes, each replaced when an item ends it.

    Args:
        start: Runs in each worker first; returns the function from an item to its answer. Importable.
        given: Arguments of ``start``; picklable.
        count: Number of workers.
        limits: Time and memory of each.
        context: How processes are started: forked from a server that imports once where the platform has one. With
            ``spawn`` a server that other workers will want with other imports is not started yet.
    """

    def __init__(self, start: Callable[..., Callable[[Any], Any]], given: tuple[Any, ...], count: int,
                 limits: Limits, context: Any = CONTEXT) -> None:  # fmt: skip
        self._start_function, self._given, self._limits, self._context = start, given, limits, context
        self._inbox: queue.Queue[tuple[_Worker, int, Any]] = queue.Queue(maxsize=count)
        self._workers = [self._start() for _ in range(count)]

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(theirs, self._start_function, self._given, self._limits), daemon=True
        )
        process.start()
        theirs.close()  # ours reads the end of the pipe once the worker is gone
        worker = _Worker(process, ours)
        # A stopped worker blocks whoever writes to it or reads from it: threads, which the parent never waits for.
        threading.Thread(target=_send, args=(worker,), daemon=True).start()
        threading.Thread(target=_receive, args=(worker, self._inbox), daemon=True).start()
        return worker

    def answers(self, items: Sequence[Any]) -> Iterator[tuple[int, Any | Lost]]:
        """Answer every item; each index comes back once, in the order of completion.

        An item whose worker crashed or was killed is tried once more at the end, with nothing else running: the cause
        may have been another item's memory or somebody outside.
        """
        suspects: list[int] = []
        yield from self._round(items, deque(range(len(items))), len(self._workers), suspects)
        for index in suspects:
            yield from self._round(items, deque([index]), 1, None)

    def _round(
        self, items: Sequence[Any], waiting: deque[int], count: int, suspects: list[int] | None
    ) -> Iterator[tuple[int, Any | Lost]]:
        remaining = len(waiting)
        while remaining:
            for worker in self._workers[:count]:
                _feed(worker, waiting, items)
            event = self._next_event()
            if event is None:
                continue
            worker, kind, answer = event
            if worker.closed:
                continue
            if kind == _ANSWER:
                remaining -= 1
                worker.answering = False
                worker.since = time.monotonic()
                yield worker.sent.popleft(), answer
            elif kind == _GONE:
                index, lost = self._replace(worker, waiting)
                if lost is None:
                    continue
                remaining -= 1
                if suspects is None or lost.reason in ("timeout", "out_of_memory"):
                    yield index, lost
                else:
                    suspects.append(index)
            elif kind == _UNABLE:
                raise MedcnnError(f"a worker process could not start: {answer}")
            else:
                worker.ready, worker.answering, worker.since = True, False, time.monotonic()

    def _next_event(self) -> tuple[_Worker, int, Any] | None:
        """Wait a moment for a message; None after the limits of all workers were checked."""
        before = time.monotonic()
        try:
            return self._inbox.get(timeout=_STEP_S)
        except queue.Empty:
            pause = time.monotonic() - before - _STEP_S
            for worker in self._workers:
                if pause > 2:  # this process was stopped, and its workers with it (Ctrl-Z): not their time
                    worker.since += pause
                self._check(worker)
        return None

    def _check(self, worker: _Worker) -> None:
        """End a worker that is beyond its limits."""
        if worker.closed or worker.exceeded or worker.answering:
            return
        spent = time.monotonic() - worker.since
        if worker.ready and worker.sent and spent > self._limits.timeout_s:
            worker.exceeded = "timeout"
        elif not worker.ready and spent > max(_START_S, self._limits.timeout_s):
            raise MedcnnError(f"a worker process was not ready within {spent:.0f} s: is the machine overloaded?")
        elif sys.platform != "linux" and 0 < self._limits.memory_bytes < _resident_bytes(worker.process.pid):
            worker.exceeded = "out_of_memory"
        if worker.exceeded:
            worker.process.kill()
            # Not by the end of its pipe: a process caught in the kernel keeps that open.
            threading.Thread(target=self._inbox.put, args=((worker, _GONE, None),), daemon=True).start()

    def _replace(self, worker: _Worker, waiting: deque[int]) -> tuple[int, Lost | None]:
        """Start a worker in place of one that ended; the item it was at is lost, those behind it wait again."""
        _discard(worker)
        code = worker.process.exitcode
        if not worker.ready and not worker.exceeded:
            raise MedcnnError(
                f"a worker process ended before its first item (exit code {code}): memory is short, or a script is "
                "without `if __name__ == '__main__':`"
            )
        self._workers[self._workers.index(worker)] = self._start()
        if not worker.sent:
            return -1, None
        current = worker.sent.popleft()
        waiting.extendleft(reversed(worker.sent))
        return current, _cause(worker.exceeded, code, self._limits.timeout_s)

    def close(self) -> None:
        """End every worker at once; they hold nothing that could be lost."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            _discard(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _feed(worker: _Worker, waiting: deque[int], items: Sequence[Any]) -> None:
    while waiting and len(worker.sent) < _AHEAD and not worker.exceeded:
        index = waiting.popleft()
        if not worker.sent:
            worker.since = max(worker.since, time.monotonic())
        worker.sent.append(index)
        worker.outbox.put((index, items[index]))


def _send(worker: _Worker) -> None:
    with contextlib.suppress(OSError, ValueError):  # it has died; the other thread finds its pipe closed
        while (message := worker.outbox.get()) is not None:
            worker.pipe.send(message[1])


def _receive(worker: _Worker, inbox: queue.Queue[tuple[_Worker, int, Any]]) -> None:
    kind = _READY
    while kind != _GONE:
        try:
            kind, answer = worker.pipe.recv()
        except Exception:  # noqa: BLE001  # the end of the pipe, or half a message of a worker that died
            kind, answer = _GONE, None
        worker.answering = True
        while not worker.closed:
            with contextlib.suppress(queue.Full):
                inbox.put((worker, kind, answer), timeout=1)
                break
        if worker.closed:
            return


def _discard(worker: _Worker) -> None:
    """Forget a worker that was killed, also where the kill has no effect yet.

    Its pipe is closed with the last reference: a thread may be in the middle of a write to it.
    """
    worker.closed = True
    worker.outbox.put(None)
    worker.process.join(5)
    if worker.process.exitcode is None:
        worker.process.kill()
        worker.process.join(1)
    if worker.process.exitcode is None:  # in the kernel: the end of this process must not wait for it either
        multiprocessing.process._children.discard(worker.process)  # type: ignore[attr-defined]


def _cause(exceeded: str, exitcode: int | None, timeout_s: float) -> Lost:
    if exceeded == "timeout":
        return Lost("timeout", f"it was not read and prepared within {timeout_s:g} s")
    if exceeded == "out_of_memory":
        return Lost("out_of_memory", "reading it took more memory than a worker may have")
    if exitcode == -signal.SIGKILL:
        return Lost("decoder_crashed", "the process that read it was killed twice, most often because memory ran out")
    cause = signal.Signals(-exitcode).name if exitcode and exitcode < 0 else f"exit code {exitcode}"
    return Lost("decoder_crashed", f"the process that read it ended with {cause} twice")


def _resident_bytes(pid: int) -> int:
    """Memory of another process where the system keeps no limit of it; 0 where that is not known."""
    try:
        listed = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, timeout=5, check=False)
        return int(listed.stdout) << 10
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0


def _work(pipe: Connection, start: Callable[..., Callable[[Any], Any]], given: tuple[Any, ...], limits: Limits) -> None:
    """Answer items until the parent closes the pipe or dies."""
    _settle(limits.memory_bytes)
    try:
        answer = start(*given)
    except Exception as error:  # noqa: BLE001  # the parent raises it
        pipe.send((_UNABLE, f"{type(error).__name__}: {error}"))
        return
    pipe.send((_READY, None))
    with contextlib.suppress(EOFError, OSError):
        while True:
            item = pipe.recv()
            # For a parent that was killed while this one hangs: the kernel ends it then.
            signal.setitimer(signal.ITIMER_REAL, 2 * limits.timeout_s + 60)
            try:
                result = answer(item)
            except MemoryError:
                result = Lost("out_of_memory", "it needs more memory than a worker may have")
            signal.setitimer(signal.ITIMER_REAL, 0)
            pipe.send((_ANSWER, result))


def _settle(memory: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    quiet_worker()
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold a patient's image
    if memory and sys.platform == "linux":
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    with contextlib.suppress(OSError):
        # If memory runs out, a worker is to go before the parent, which holds the run together.
        Path("/proc/self/oom_score_adj").write_text("500")
