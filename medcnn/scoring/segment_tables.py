"""The tables of a folder of masks, written whole from its ledger, each in one stroke."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from medcnn.files import write_atomic
from medcnn.printable import printable
from medcnn.scoring.findings import write_csv, write_summary
from medcnn.scoring.ledger import Ledger, Row
from medcnn.scoring.tally import Tally

if TYPE_CHECKING:
    from medcnn.tasks.checkpoint import Product

COLUMNS = ["case", "class", "voxels", "volume_mm3", "flags", "seconds"]


class Figures(NamedTuple):
    """What the ledger keeps of a segmented volume.

    Attributes:
        voxels: Of each class but the background, in order.
        voxel_mm3: Volume of one voxel.
        seconds: From the prepared image to the written mask.
    """

    voxels: tuple[int, ...]
    voxel_mm3: float
    seconds: float

    def to_numbers(self) -> tuple[float, ...]:
        """One row of numbers, as the ledger holds it."""
        return (*map(float, self.voxels), self.voxel_mm3, self.seconds)

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Self:
        """From a row of the ledger."""
        return cls(tuple(int(number) for number in numbers[:-2]), numbers[-2], numbers[-1])


def case_of(name: bytes, series: bool) -> str:
    """What a volume is called in OUT: a file by its place in the source, a DICOM series by its pseudonym."""
    path = Path(os.fsdecode(name))
    if series:
        return path.name
    stem = path.name
    for suffix in (".gz", ".nii"):
        stem = stem[: -len(suffix)] if stem.lower().endswith(suffix) else stem
    return str(path.with_name(stem or path.name))


def write_volumes(ledger: Ledger, product: "Product", tally: Tally) -> None:
    """Write ``volumes.csv``, ``skipped.csv`` and ``summary.json`` anew; a reader sees the old or the new."""
    done = [row for row in ledger.rows() if row.state == "scored"]
    missed = [row for row in ledger.rows() if row.state != "scored"]
    classes = tuple(product.classes)[1:]
    lines = (line for row in done for line in _lines(row, classes))
    write_atomic(ledger.out / "volumes.csv", lambda path: write_csv(path, COLUMNS, lines))
    told = ([printable(row.name), row.state, row.reason, row.sentence] for row in missed)
    write_atomic(
        ledger.out / "skipped.csv", lambda path: write_csv(path, ["path", "state", "reason", "sentence"], told)
    )
    summary = tally.summary(product, "")
    del summary["threshold"]  # a voxel is of its most probable class
    write_summary(ledger.out, summary | {"flagged": sum(bool(row.flags) for row in done)})


def _lines(row: Row, classes: Sequence[str]) -> Iterator[list[object]]:
    figures, flags = Figures.of(row.probabilities), ";".join(row.flags)
    case = printable(os.fsencode(case_of(row.name, bool(row.series))))
    for name, voxels in zip(classes, figures.voxels, strict=True):
        yield [case, name, voxels, round(voxels * figures.voxel_mm3, 3), flags, round(figures.seconds, 2)]
