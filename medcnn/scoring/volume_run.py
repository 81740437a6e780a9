"""One pass over a folder of volumes: what is new is read in workers, answered here, and kept in a ledger."""

import hashlib
import os
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from medcnn.errors import MedcnnError
from medcnn.io.series import Series
from medcnn.printable import printable
from medcnn.scoring.findings import sort_rows
from medcnn.scoring.ledger import Ledger, Row, writing_out
from medcnn.scoring.preparation import Reader, Refusal, uid
from medcnn.scoring.reasons import TRANSIENT, state_of
from medcnn.scoring.source import Listed, checked_root, list_volumes
from medcnn.scoring.tally import Tally
from medcnn.scoring.workers import Setup, Workers

Progress = Callable[[Tally], None]
#: Flag of a volume whose DICOM Segmentation could not be written, while its NIfTI mask was.
NO_SEG = "no_seg"


class VolumeRun:
    """Base of what gives every volume of a folder a file and a row; a subclass says which, and how.

    Args:
        ledger: One row a volume or other file.
        retry: Also try again what has a row without a file.
        progress: Called after every write to the ledger.
        started: When the run began, by ``time.perf_counter``.
    """

    def __init__(self, ledger: Ledger, retry: bool, progress: Progress, started: float) -> None:
        self.ledger, self.retry, self.progress, self.started = ledger, retry, progress, started
        self.tally = Tally()
        self.current: list[Row] = []
        self.gone: list[Row] = []

    @abstractmethod
    def mask_of(self, one: Listed) -> Path:
        """Where the mask of a volume goes."""

    @abstractmethod
    def setup(self, read: Reader) -> Setup:
        """What the workers do."""

    @abstractmethod
    def row(self, one: Listed, answer: Any) -> Row:
        """Take what a worker answered, write the files of the volume, and give its row."""

    def plan(self, found: Sequence[Listed]) -> list[Listed]:
        """What has no row as it is now, or has lost its mask; what needs no reading gets its row at once."""
        known = {row.name: row for row in self.ledger.rows()}
        self.tally.found = len(found)
        todo: list[Listed] = []
        unread: list[Row] = []
        taken: set[Path] = set()
        for one in found:
            row, mask = known.get(one.name), self.mask_of(one)
            if one.refusal is None and mask in taken:
                one = one._replace(refusal=Refusal("same_name", "another volume's mask has the same name: rename one"))
            taken.add(mask)
            if row and row.stamp == one.stamp and self._stands(row, mask):
                self.tally.states[row.state] += 1
            elif one.refusal is None:
                todo.append(one)
            else:  # a README is foreign; what was taken for a volume and has no mask is a shortfall
                unread.append(refused(one, one.refusal, state_of(os.fsdecode(one.name), one.refusal.reason)))
        self._write(unread)
        return todo

    def _stands(self, row: Row, mask: Path) -> bool:
        return mask.exists() if row.state == "scored" else not (self.retry or row.reason in TRANSIENT)

    def go(self, todo: Sequence[Listed], read: Reader, workers: int) -> None:
        """Give every volume its row."""
        if not todo:
            return
        with Workers(self.setup(read), min(workers, len(todo))) as pool:
            for index, answer in pool.prepared([one.path for one in todo]):
                self.tally.first_s = self.tally.first_s or time.perf_counter() - self.started
                self._write([self.row(todo[index], answer)])

    def _write(self, rows: list[Row]) -> None:
        self.ledger.write(rows)
        self.tally.add(rows)
        self.tally.seconds = time.perf_counter() - self.started
        self.progress(self.tally)

    def recount(self, found: Sequence[Listed]) -> None:
        """Count over all that was found, rows of earlier runs included."""
        self.tally.seconds = time.perf_counter() - self.started
        self.current, self.gone = sort_rows(self.ledger, {one.name: one.stamp for one in found})
        self.tally.recount(self.current)
        self.tally.gone = len(self.gone)


def go_over(
    run_with: Callable[[Ledger], VolumeRun],
    conclude: Callable[[VolumeRun], None],
    source: Path,
    out: Path,
    model: str,
    read: Reader,
    workers: int,
) -> Tally:
    """One pass over ``source`` into ``out``.

    Args:
        run_with: The run on a ledger.
        conclude: Writes its tables; also called when a person stops the run.
        source: A folder, searched recursively, or one file.
        out: Where the files go; where it lies under ``source`` it is not searched.
        model: What the rows are made by: another one starts anew.
        read: Reads a volume from what the source lists.
        workers: Processes that read.

    Returns:
        Counts over all that was found.

    Raises:
        MedcnnError: For a source or an OUT that cannot be used.
    """
    root = checked_root(source, out)
    origin = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()
    hidden: list[Path] = []
    found = list(list_volumes(source, root, out, hidden))
    if not found:  # known before OUT is made, which belongs to one source from then on
        raise MedcnnError("SOURCE holds no files: give a folder of volumes, or one volume")
    with Ledger(out, {"model": model, "source": origin}) as ledger:
        run = run_with(ledger)
        run.tally.hidden = len(hidden)
        try:
            run.go(run.plan(found), read, workers)
        finally:
            run.recount(found)
            with writing_out():
                conclude(run)
    return run.tally


def seg_flags(write: Callable[[], Sequence[str]]) -> tuple[str, ...]:
    """Write a segmentation and return its flags: the keywords it had to leave out, or that there is none."""
    try:
        return tuple(f"seg_without_{keyword}" for keyword in write())
    except MedcnnError:
        return (NO_SEG,)


def refused(one: Listed, refusal: Refusal, state: str = "") -> Row:
    """The row of a volume without a mask."""
    state = state or state_of(os.fsdecode(one.name), refusal.reason)
    sentence = printable(refusal.sentence)  # it names the file, which need not be text
    return Row(one.name, one.stamp, state, refusal.reason, sentence, *_uids(one))


def _uids(one: Listed) -> tuple[str, str]:
    """Study and series of DICOM slices, as their headers give them."""
    first = one.path.slices[0] if isinstance(one.path, Series) else None
    return (uid(first.study), uid(first.series)) if first else ("", "")


def first_line(error: Exception) -> str:
    """What an error says, short."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
