"""``medcnn skullstrip``: heads to brains."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medcnn.cli.batch import Progress, stop, volumes_told
from medcnn.errors import MedcnnError
from medcnn.scoring.ledger import refuse_taken

if TYPE_CHECKING:
    from medcnn.scoring.tally import Tally


@dataclass
class Skullstrip:
    """Find the brain in every head of a folder, and say of each how far the mask can be trusted.

    T1 first; T2 and FLAIR often. A NIfTI file becomes OUT/<its name>_brain.nii.gz and OUT/<its name>_mask.nii.gz on its
    own grid, a DICOM series the same under its pseudonym. OUT also receives quality.csv (one row a head: the
    probability that its mask is good and the figures behind it), pictures/ (three planes with the outline),
    skipped.csv (one row for every other file, with the reason), summary.json and the ledger, by which a second start
    strips only what is new or has changed. A strip that fails its own checks leaves its picture and its row and no
    mask. Exit code 0: every head was stripped; 3: some were not; 2: a mistake that you can mend.

    Attributes:
        source: Folder of NIfTI files or DICOM series, searched recursively, or one file.
        out: Folder for the brains; created if missing.
        pictures: Draw three planes of each head with the outline of its brain.
        keep_doubtful: Also write the mask and the volume of a strip that failed its checks.
        seg: Write a DICOM Segmentation of the brain for each DICOM series, too.
        workers: Processes that read and strip.
        timeout_s: Seconds that one head may take before it is given up.
        retry: Also try again what an earlier start could not strip.
    """

    source: Path
    out: Path
    pictures: bool = True
    keep_doubtful: bool = False
    seg: bool = False
    workers: int = 1
    timeout_s: float = 300.0
    retry: bool = False

    def __call__(self) -> int:
        """Strip; returns the exit code."""
        if self.workers < 1 or self.timeout_s <= 0:
            raise MedcnnError("workers must be 1 or more, and timeout_s above 0")
        if not self.source.exists():
            raise MedcnnError("nothing is at SOURCE: give a folder of heads, or one head")
        refuse_taken(self.out)
        # Before anything heavy: the process that reads is made ready while this one imports.
        from medcnn.scoring.workers import warm_up

        warm_up()
        signal.signal(signal.SIGTERM, stop)
        from medcnn.cli.pictures import drawn_with
        from medcnn.scoring.strip import StripOptions, strip_folder

        draw = drawn_with(("outside", "brain")) if self.pictures else None
        options = StripOptions(self.keep_doubtful, self.seg, self.workers, self.timeout_s, self.retry, draw)
        with Progress() as progress:
            tally = strip_folder(self.source, self.out, options, progress=progress)
        print(_report(tally))
        return tally.exit_code


def _report(tally: "Tally") -> str:
    failed = "those with skullstrip_failed have no mask: look at OUT/pictures, and --keep_doubtful writes them"
    advice = failed if tally.reasons["skullstrip_failed"] else ""
    out = "the brains and masks, quality.csv, skipped.csv, summary.json and pictures"
    return volumes_told(tally, "stripped", "quality.csv", advice, out)
