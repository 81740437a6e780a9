"""``medcnn segment``: a model and a folder of volumes to masks on their own grid."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medcnn.cli.batch import Progress, chosen_device, stop, volumes_told
from medcnn.errors import MedcnnError
from medcnn.scoring.ledger import refuse_taken

if TYPE_CHECKING:
    from medcnn.scoring.tally import Tally


@dataclass
class Segment:
    """Segment every volume in a folder; every other file gets a reason.

    A volume file (NIfTI, MGH, NRRD, MetaImage) gets its mask as OUT/<its name>.nii.gz, on its own grid; a DICOM series
    as a DICOM Segmentation
    OUT/<pseudonym of the series>.dcm that refers to it. OUT also receives volumes.csv (one row a volume and class:
    voxels, mm3, flags), skipped.csv (one row for every other file, with the reason), summary.json, pictures/ and the
    ledger, by which a second start segments only what is new or has changed. A volume whose preparation was doubtful,
    such as a skull strip that failed, or that is unlike those learned from (far_spacing), is segmented and carries a
    flag. Exit code 0: every volume was segmented; 3:
    some were not; 2: a mistake that you can mend.

    Attributes:
        model: A checkpoint, a model's folder, ``runs:/ID`` or ``models:/name@alias``.
        source: Folder of volume files or DICOM series, searched recursively, or one file.
        out: Folder for the masks; created if missing.
        pictures: Draw three planes of each volume with the outlines of what was found.
        nifti: Write a NIfTI mask beside each DICOM Segmentation, too.
        workers: Processes that read and prepare volumes while the net works.
        timeout_s: Seconds that reading and preparing one volume may take before it is given up.
        retry: Also try again what an earlier start could not segment.
        device: Where the net runs: auto, cpu or cuda.
    """

    model: str
    source: Path
    out: Path
    pictures: bool = True
    nifti: bool = False
    workers: int = 1
    timeout_s: float = 300.0
    retry: bool = False
    device: str = "auto"

    def __call__(self) -> int:
        """Segment; returns the exit code."""
        self._check()
        # Before anything heavy: the process that reads is made ready while this one imports and loads the model.
        from medcnn.scoring.workers import warm_up

        warm_up()
        signal.signal(signal.SIGTERM, stop)
        from medcnn.cli.models import resolve_model
        from medcnn.cli.pictures import drawn_with

        model = resolve_model(self.model)
        from medcnn.scoring.segment import SegmentOptions, segment_folder
        from medcnn.tasks.checkpoint import open_product

        product = open_product(model)
        draw = drawn_with(product.classes) if self.pictures else None
        options = SegmentOptions(self.nifti, self.workers, self.timeout_s, self.retry, chosen_device(self.device), draw)
        with Progress() as progress:
            tally = segment_folder(product, self.source, self.out, options, progress=progress)
        print(_report(tally))
        return tally.exit_code

    def _check(self) -> None:
        if self.workers < 1 or self.timeout_s <= 0:
            raise MedcnnError("workers must be 1 or more, and timeout_s above 0")
        if self.device not in ("auto", "cpu", "cuda"):
            raise MedcnnError("device is auto, cpu or cuda")
        if not self.source.exists():
            raise MedcnnError("nothing is at SOURCE: give a folder of volumes, or one volume")
        refuse_taken(self.out)


def _report(tally: "Tally") -> str:
    return volumes_told(tally, "segmented", "volumes.csv", "", "the masks, volumes.csv, skipped.csv and summary.json")
