"""A folder of heads to brains: a mask and a stripped volume for each, or a reason why it cannot be trusted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import medcnn
from medcnn.errors import MedcnnError, ReadError
from medcnn.files import make_folder
from medcnn.io.nifti import write_nifti
from medcnn.io.seg import SegmentLabel, write_seg
from medcnn.io.volume import Volume
from medcnn.io.volume_file import like_file
from medcnn.scoring.draw import PICTURES, Draw
from medcnn.scoring.ledger import Ledger, Row, writing_out
from medcnn.scoring.preparation import Reader, Refusal
from medcnn.scoring.segment_tables import case_of
from medcnn.scoring.source import Listed, read_listed
from medcnn.scoring.strip_tables import UNMEASURED, write_strips
from medcnn.scoring.tally import Tally
from medcnn.scoring.volume_run import Progress, VolumeRun, go_over, refused, seg_flags
from medcnn.scoring.workers import Setup
from medcnn.transforms.brain import FAILED, Strip, strip_skull
from medcnn.transforms.strip_quality import FIGURES

#: What rows were made by: another version strips anew.
METHOD = f"classical {medcnn.__version__}"


@dataclass(frozen=True)
class StripOptions:
    """How a folder is stripped.

    Attributes:
        keep_doubtful: Also write the mask and the volume of a strip that failed its own checks.
        seg: Write a DICOM Segmentation beside the NIfTI mask of a DICOM series.
        workers: Processes that read and strip.
        timeout_s: Seconds that one volume may take.
        retry: Also try again what has a row without a mask.
        draw: Draws the picture of a head; None for no pictures.
    """

    keep_doubtful: bool = False
    seg: bool = False
    workers: int = 1
    timeout_s: float = 300.0
    retry: bool = False
    draw: Draw | None = None


class Stripped(NamedTuple):
    """A head as it was read, and what was found in it."""

    volume: Volume
    strip: Strip


def strip_folder(
    source: Path,
    out: Path,
    options: StripOptions = StripOptions(),
    read: Reader = read_listed,
    progress: Progress = lambda tally: None,
) -> Tally:
    """Strip what is new or changed under ``source``.

    A strip that does not pass its own checks counts as failed: its figures and its picture are kept, its mask and its
    volume are not, unless that is asked for.

    Args:
        source: A folder, searched recursively, or one file.
        out: Folder for the brains; where it lies under ``source`` it is not searched.
        options: How to go about it.
        read: Reads a volume from what the source lists; must be importable, for it runs in the workers.
        progress: Called after every write to the ledger.

    Returns:
        Counts over all that was found, whose ``exit_code`` is the verb's.

    Raises:
        MedcnnError: For a source or an OUT that cannot be used.
    """
    started = time.perf_counter()
    return go_over(
        lambda ledger: _Run(ledger, options, progress, started),
        lambda run: write_strips(run.ledger.out, run.current, run.gone, run.tally, METHOD),
        source, out, METHOD, read, options.workers,
    )  # fmt: skip


def strip_volume(item: Any, read: Reader, transforms: Sequence[Any]) -> Stripped | Refusal:
    """Read and strip one volume; whatever is wrong with it becomes a reason, never an exception."""
    try:
        volume = read(item)
        assert isinstance(volume, Volume)
        return Stripped(volume, strip_skull(volume.voxels, volume.affine))
    except ReadError as error:
        return Refusal(error.code, str(error))
    except MemoryError:
        return Refusal("out_of_memory", "the image needs more memory than there is")
    except Exception as error:  # noqa: BLE001  # one file must not cost the others; its text may hold header values
        return Refusal("prepare_failed", f"the search for a brain ended in {type(error).__name__}")


class _Run(VolumeRun):
    """One pass: workers read and strip; this process writes, and keeps the ledger."""

    def __init__(self, ledger: Ledger, options: StripOptions, progress: Progress, started: float) -> None:
        super().__init__(ledger, options.retry, progress, started)
        self.options = options

    def mask_of(self, one: Listed) -> Path:
        """Beside the names of the source for a file, under its pseudonym for a series."""
        return self._path(one, "_mask.nii.gz")

    def setup(self, read: Reader) -> Setup:
        """Workers read and strip."""
        return Setup(read, [], self.options.timeout_s, strip_volume)

    def row(self, one: Listed, answer: Stripped | Refusal) -> Row:
        """Save one head."""
        if isinstance(answer, Refusal):
            return refused(one, answer)
        volume, strip = answer
        flags = tuple(dict.fromkeys([*volume.flags, *strip.flags]))
        numbers = (strip.probability, *(strip.figures.get(name, UNMEASURED) for name in FIGURES))
        state, reason, sentence = "scored", "", ""
        if not strip.ok:
            state, reason = "failed", FAILED
            sentence = f"the mask is good with probability {strip.probability:.2f} only: look at its picture"
        try:
            with writing_out():
                flags = (*flags, *self._save(one, volume, strip, "; ".join([*_told(strip), *flags])))
        except MedcnnError as error:
            return refused(one, Refusal("not_written", str(error)))
        uids = ("", "", "") if isinstance(one.path, Path) else (volume.study, volume.series, "")
        return Row(one.name, one.stamp, state, reason, sentence, *uids, flags, numbers)

    def _save(self, one: Listed, volume: Volume, strip: Strip, caption: str) -> tuple[str, ...]:
        """Write what belongs to a head, and return what to know about it."""
        flags: tuple[str, ...] = ()
        mask = self.mask_of(one)
        make_folder(mask.parent)
        labels = strip.mask.astype(np.uint8)
        if strip.ok or self.options.keep_doubtful:
            like = like_file(volume) if isinstance(one.path, Path) else None
            brain = np.where(strip.mask, volume.voxels, volume.voxels.dtype.type(min(0, volume.voxels.min())))
            # The mask last: where it lies, the other files do.
            write_nifti(self._path(one, "_brain.nii.gz"), brain, volume.affine, like=like)
            if self.options.seg and not isinstance(one.path, Path):
                path, brains = self._path(one, "_mask.dcm"), {1: SegmentLabel.of("brain")}
                flags = seg_flags(lambda: write_seg(path, labels, volume, brains, model=METHOD))
            write_nifti(mask, labels, volume.affine, like=like)
        if self.options.draw is not None:
            picture = self.ledger.out / PICTURES / f"{self._case(one)}.png"
            make_folder(picture.parent)
            self.options.draw(picture, volume, labels, caption)
        return flags

    def _case(self, one: Listed) -> str:
        return case_of(one.name, not isinstance(one.path, Path))

    def _path(self, one: Listed, ending: str) -> Path:
        return self.ledger.out / f"{self._case(one)}{ending}"


def _told(strip: Strip) -> list[str]:
    """What the picture says of a mask."""
    told = [] if strip.ok else ["refused"]
    told.append(f"probability that this mask is good {strip.probability:.2f}")
    volume = strip.figures.get("volume_ml", UNMEASURED)
    return [*told, f"volume {volume:,.0f} ml"] if volume >= 0 else told
