"""The tables of a folder of masks, written whole from its ledger, each in one stroke."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from medcnn.files import write_atomic
from medcnn.printable import printable
from medcnn.scoring.findings import write_csv, write_skipped, write_summary
from medcnn.scoring.ledger import Row
from medcnn.scoring.tally import Tally

if TYPE_CHECKING:
    from medcnn.tasks.checkpoint import Product

COLUMNS = ["case", "path", "study", "series", "class", "voxels", "volume_mm3", "flags", "seconds"]


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
    """Name a volume in OUT by its place in the source: a file by its path, a DICOM series by folder and pseudonym."""
    path = Path(os.fsdecode(name))
    if series:
        return str(path)
    stem = path.name
    for suffix in (".gz", ".nii"):
        stem = stem[: -len(suffix)] if stem.lower().endswith(suffix) else stem
    return str(path.with_name(stem or path.name))


def path_of(row: Row) -> str:
    """Path from the source: of the file, or of the folder or file that holds the slices of a series."""
    path = Path(os.fsdecode(row.name))
    return printable(path.parent if row.series else path)


def write_volumes(out: Path, current: Sequence[Row], gone: Sequence[Row], product: "Product", tally: Tally) -> None:
    """Write ``volumes.csv``, ``skipped.csv`` and ``summary.json``; a reader sees the old or the new."""
    done = [row for row in current if row.state == "scored"]
    classes = tuple(product.classes)[1:]
    lines = (line for row in done for line in _lines(row, classes))
    write_atomic(out / "volumes.csv", lambda path: write_csv(path, COLUMNS, lines))
    write_skipped(out, current, gone)
    summary = tally.summary(product, "")
    del summary["threshold"]  # a voxel is of its most probable class
    write_summary(out, summary | {"flagged": sum(bool(row.flags) for row in done)})


def _lines(row: Row, classes: Sequence[str]) -> Iterator[list[object]]:
    figures, flags = Figures.of(row.probabilities), ";".join(row.flags)
    case = printable(os.fsencode(case_of(row.name, bool(row.series))))
    for name, voxels in zip(classes, figures.voxels, strict=True):
        yield [
            case,
            path_of(row),
            row.study,
            row.series,
            name,
            voxels,
            round(voxels * figures.voxel_mm3, 3),
            flags,
            round(figures.seconds, 2),
        ]
