"""A folder of files to a finding, or a reason, for every one of them."""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from medcnn.errors import MedcnnError
from medcnn.io.read import read_film
from medcnn.machine import cores
from medcnn.printable import printable
from medcnn.scoring.findings import sort_rows, write_summary, write_tables
from medcnn.scoring.ledger import Ledger, Row, writing_out
from medcnn.scoring.preparation import Prepared, Reader, Refusal, scored_shape, takes_volumes
from medcnn.scoring.reasons import TRANSIENT, state_of
from medcnn.scoring.source import Listed, checked_root, list_files, list_volumes, read_listed
from medcnn.scoring.tally import Tally
from medcnn.scoring.workers import Setup, Workers

if TYPE_CHECKING:
    from medcnn.scoring.scorer import Scorer
    from medcnn.tasks.checkpoint import Product

Progress = Callable[[Tally], None]
_Batch = list[tuple[Listed, Prepared]]


@dataclass(frozen=True)
class Options:
    """How a folder is scored.

    Attributes:
        workers: Processes that read and prepare; 0 for one a core.
        batch_size: Films that the net takes at a time; volumes are taken one by one.
        timeout_s: Seconds that one file may take.
        retry: Also try files again that have a row without a finding.
        device: Where the net runs.
    """

    workers: int = 0
    batch_size: int = 16
    timeout_s: float = 60.0
    retry: bool = False
    device: str = "cpu"


def score_folder(
    product: "Product",
    source: Path,
    out: Path,
    options: Options = Options(),
    read: Reader | None = None,
    progress: Progress = lambda tally: None,
) -> Tally:
    """Score what is new or changed under ``source``, and write the findings of all of it to ``out``.

    Every file gets one row in the ledger, whatever happens to it or to this process; the tables are written anew from
    the ledger at the end, and when a person stops the run.

    Args:
        product: The model.
        source: A folder, searched recursively, or one file.
        out: Folder for the findings; where it lies under ``source`` it is not searched.
        options: How to go about it.
        read: Reads an image from what the source lists; must be importable, for it runs in the workers. By default
            films are read from files, or for a model of volumes NIfTI files and DICOM series.
        progress: Called after every write to the ledger.

    Returns:
        Counts over all files found, whose ``exit_code`` is the verb's.

    Raises:
        MedcnnError: For a source or an OUT that cannot be used, or a model that scores neither films nor volumes.
    """
    started = time.perf_counter()
    volumes = takes_volumes(scored_shape(product))
    listed, default = (list_volumes, read_listed) if volumes else (list_files, read_film)
    root = checked_root(source, out)
    origin = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()
    hidden: list[Path] = []
    files = list(listed(source, root, out, hidden))
    if not files:  # known before OUT is made, which belongs to one source from then on
        raise MedcnnError("SOURCE holds no files: give a folder of images, or one image")
    with Ledger(out, {"model": product.digest, "source": origin}) as ledger:
        tally, todo = _plan(files, ledger, options.retry)
        tally.hidden = len(hidden)
        progress(tally)
        try:
            if todo:
                _Run(product, ledger, tally, progress, started).go(todo, options, read or default)
        finally:
            # Also on Ctrl-C: what was scored so far then stands in the tables.
            tally.seconds = time.perf_counter() - started
            _conclude(product, ledger, files, tally)
    return tally


def _plan(files: Sequence[Listed], ledger: Ledger, retry: bool) -> tuple[Tally, list[Listed]]:
    """Where the ledger stands, and the files that it has no row of as they are now."""
    known = ledger.stamps()
    tally, todo = Tally(found=len(files)), []
    for file in files:
        stamp, state, reason = known.get(file.name, (None, "", ""))
        if stamp == file.stamp and not ((retry and state != "scored") or reason in TRANSIENT):
            tally.states[state] += 1
        else:
            todo.append(file)
    return tally, todo


def _conclude(product: "Product", ledger: Ledger, files: Sequence[Listed], tally: Tally) -> None:
    from medcnn.scoring.scorer import layout_of

    present = {file.name: file.stamp for file in files}
    current, gone = sort_rows(ledger, present)
    tally.recount(current)
    tally.gone = len(gone)
    layout = layout_of(product)
    with writing_out():
        write_tables(ledger.out, layout, current, gone)
        write_summary(ledger.out, tally.summary(product, layout.threshold))


class _Run:
    """One pass: workers prepare, a thread runs the net, and this one keeps the ledger."""

    def __init__(self, product: "Product", ledger: Ledger, tally: Tally, progress: Progress, started: float) -> None:
        self.product, self.ledger, self.tally, self.progress, self.started = product, ledger, tally, progress, started
        self.shape = scored_shape(product)
        self.pending: tuple[Future[np.ndarray], _Batch] | None = None

    def go(self, todo: Sequence[Listed], options: Options, read: Reader) -> None:
        """Give every file its row."""
        self._write([_refused(file, file.refusal) for file in todo if file.refusal])
        todo = [file for file in todo if not file.refusal]
        if not todo:
            return
        # One volume keeps every core busy, and a batch of them would be mostly padding.
        size = 1 if takes_volumes(self.shape) else options.batch_size
        setup = Setup(read, self.product.preprocess, options.timeout_s)
        count = min(options.workers or cores(), len(todo))
        with Workers(setup, count) as workers, ThreadPoolExecutor(1) as beside:
            scorer = self._scorer(options.device)  # after the workers: they read while the net is being built
            batches: dict[tuple[int, ...], _Batch] = {}
            for index, answer in workers.prepared([file.path for file in todo]):
                self.tally.first_s = self.tally.first_s or time.perf_counter() - self.started
                answer = self._checked(answer)
                if isinstance(answer, Refusal):
                    self._write([_refused(todo[index], answer)])
                    continue
                batch = batches.setdefault(answer.array.shape, [])
                batch.append((todo[index], answer))
                if len(batch) == size:
                    self._submit(beside, scorer, batches.pop(answer.array.shape))
            for batch in batches.values():
                self._submit(beside, scorer, batch)
            self._collect()

    def _scorer(self, device: str) -> "Scorer":
        from medcnn.scoring.scorer import Scorer

        torch.set_num_threads(max(1, cores() // 2))  # the other half is busy reading
        return Scorer(self.product, device)

    def _checked(self, answer: Prepared | Refusal) -> Prepared | Refusal:
        if isinstance(answer, Prepared) and self.shape and answer.array.shape != self.shape:
            return Refusal("wrong_shape", f"prepared it is {answer.array.shape}; the model was trained on {self.shape}")
        return answer

    def _submit(self, beside: ThreadPoolExecutor, scorer: "Scorer", batch: _Batch) -> None:
        self._collect()
        images = np.stack([prepared.array for _, prepared in batch]).astype(np.float32, copy=False)
        self.pending = beside.submit(lambda: scorer.score(torch.from_numpy(images)).numpy()), batch

    def _collect(self) -> None:
        if self.pending is None:
            return
        (future, batch), self.pending = self.pending, None
        findings = zip(batch, future.result(), strict=True)
        self._write([_scored(file, prepared, probabilities) for (file, prepared), probabilities in findings])

    def _write(self, rows: list[Row]) -> None:
        self.ledger.write(rows)
        self.tally.add(rows)
        self.tally.seconds = time.perf_counter() - self.started
        self.progress(self.tally)


def _refused(file: Listed, refusal: Refusal) -> Row:
    state = state_of(os.fsdecode(file.name), refusal.reason)
    sentence = printable(refusal.sentence)  # it names the file, which need not be text
    return Row(file.name, file.stamp, state, refusal.reason, sentence)


def _scored(file: Listed, prepared: Prepared, probabilities: np.ndarray) -> Row:
    if not np.isfinite(probabilities).all():
        return _refused(file, Refusal("not_finite", "the model gives no number for this image"))
    uids = (prepared.study, prepared.series, prepared.sop)
    return Row(file.name, file.stamp, "scored", "", "", *uids, prepared.flags, tuple(probabilities.tolist()))
