"""``medcnn score``: a model and a folder to findings."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medcnn.cli.batch import Progress, chosen_device, left_out, states_of, stop
from medcnn.cli.positive import positive_line
from medcnn.errors import MedcnnError
from medcnn.scoring.ledger import refuse_taken

if TYPE_CHECKING:
    from medcnn.scoring.tally import Tally


@dataclass
class Score:
    """Score every film in a folder, or every volume with a model of volumes; every other file gets a reason.

    OUT receives findings.csv and findings.parquet (one row a film, NIfTI file or DICOM series), skipped.csv (one row
    for every other file, with the reason), summary.json and the ledger, by which a second start scores only what is
    new or has changed. File names stand in OUT alone, never on the screen. Exit code 0: every image was scored; 3: some
    were not (files that are no images, such as a README or a DICOMDIR, are listed but do not count); 2: a mistake that
    you can mend.

    Attributes:
        model: A checkpoint, a model's folder, ``runs:/ID`` or ``models:/name@alias``.
        source: Folder of images (DICOM, PNG, JPEG, TIFF, NIfTI), searched recursively, or one image.
        out: Folder for the findings; created if missing.
        workers: Processes that read and prepare images; 0 for one a core.
        batch_size: Films that the net takes at a time; volumes are taken one by one.
        timeout_s: Seconds that one file or series may take before it is given up.
        retry: Also try files again that an earlier start could not score.
        device: Where the net runs: auto, cpu or cuda.
    """

    model: str
    source: Path
    out: Path
    workers: int = 0
    batch_size: int = 16
    timeout_s: float = 60.0
    retry: bool = False
    device: str = "auto"

    def __call__(self) -> int:
        """Score; returns the exit code."""
        self._check()
        # Before anything heavy: the processes that read are made ready while this one imports and loads the model.
        from medcnn.scoring.workers import warm_up

        warm_up()
        signal.signal(signal.SIGTERM, stop)
        from medcnn.cli.models import resolve_model
        from medcnn.scoring.lean import import_monai

        model = resolve_model(self.model)  # before MONAI, for the store of models needs MLflow
        import_monai()
        from medcnn.scoring.run import Options, score_folder
        from medcnn.tasks.checkpoint import open_product

        product = open_product(model)
        if line := positive_line(product):
            print(line)
        options = Options(self.workers, self.batch_size, self.timeout_s, self.retry, chosen_device(self.device))
        with Progress() as progress:
            tally = score_folder(product, self.source, self.out, options, progress=progress)
        print(_report(tally))
        return tally.exit_code

    def _check(self) -> None:
        if self.workers < 0 or self.batch_size < 1 or self.timeout_s <= 0:
            raise MedcnnError("workers must be 0 or more, batch_size 1 or more, and timeout_s above 0")
        if self.device not in ("auto", "cpu", "cuda"):
            raise MedcnnError("device is auto, cpu or cuda")
        if not self.source.exists():
            raise MedcnnError("nothing is at SOURCE: give a folder of images, or one image")
        refuse_taken(self.out)


def _report(tally: "Tally") -> str:
    states = ", ".join(f"{count} {state}" for state, count in states_of(tally).items())
    lines = [f"{tally.found} files found: {states}"]
    lines += [f"  {count:>7} {reason}" for reason, count in sorted(tally.reasons.items())]
    if tally.done_now:
        lines.append(
            f"{tally.done_now} of them now, in {tally.seconds:.1f} s ({tally.rate:.1f} a second once under way)"
        )
    else:
        lines.append("nothing was new or had changed since the last start")
    lines += left_out(tally)
    lines.append("OUT holds findings.csv, findings.parquet, skipped.csv and summary.json")
    return "\n".join(lines)
