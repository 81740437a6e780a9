"""A folder of volumes to a mask, or a reason, for every one of them."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from medcnn.errors import CheckpointError, MedcnnError
from medcnn.files import make_folder
from medcnn.io.nifti import write_nifti
from medcnn.io.seg import SegmentLabel, write_seg
from medcnn.io.volume_file import like_file
from medcnn.machine import cores
from medcnn.scoring.draw import PICTURES, Draw
from medcnn.scoring.ledger import Ledger, Row, writing_out
from medcnn.scoring.preparation import Reader, Refusal, image_shape
from medcnn.scoring.segment_tables import Figures, case_of, write_volumes
from medcnn.scoring.source import Listed, read_listed
from medcnn.scoring.tally import Tally
from medcnn.scoring.volume_case import PreparedVolume, doubts, on_device, prepare_volume
from medcnn.scoring.volume_run import NO_SEG, Progress, VolumeRun, first_line, go_over, refused, seg_flags
from medcnn.scoring.workers import Setup
from medcnn.transforms.home import labels_at_home

if TYPE_CHECKING:
    from medcnn.tasks.checkpoint import Product


@dataclass(frozen=True)
class SegmentOptions:
    """How a folder is segmented.

    Attributes:
        nifti: Write a NIfTI file beside each DICOM Segmentation.
        workers: Processes that read and prepare while the net works.
        timeout_s: Seconds that reading and preparing one volume may take.
        retry: Also try again what has a row without a mask.
        device: Where the net runs.
        draw: Draws the picture of a case; None for no pictures.
    """

    nifti: bool = False
    workers: int = 1
    timeout_s: float = 300.0
    retry: bool = False
    device: str = "cpu"
    draw: Draw | None = None


def segment_folder(
    product: "Product",
    source: Path,
    out: Path,
    options: SegmentOptions = SegmentOptions(),
    read: Reader = read_listed,
    progress: Progress = lambda tally: None,
) -> Tally:
    """Segment what is new or changed under ``source``: masks on the grid of each volume, and a table of their sizes.

    A NIfTI file gets a NIfTI mask in the same place under ``out``, a DICOM series a DICOM Segmentation under its
    pseudonym. Every volume and every other file gets one row in the ledger, whatever happens to it or to this process.

    Args:
        product: A model that segments volumes.
        source: A folder, searched recursively, or one file.
        out: Folder for the masks; where it lies under ``source`` it is not searched.
        options: How to go about it.
        read: Reads a volume from what the source lists; must be importable, for it runs in the workers.
        progress: Called after every write to the ledger.

    Returns:
        Counts over all that was found, whose ``exit_code`` is the verb's.

    Raises:
        MedcnnError: For a source or an OUT that cannot be used, or a model that does not segment volumes.
    """
    started = time.perf_counter()
    segmenter = Segmenter(product, options.device)
    return go_over(
        lambda ledger: _Run(segmenter, ledger, options, progress, started),
        lambda run: write_volumes(run.ledger.out, run.current, run.gone, product, run.tally),
        source, out, product.digest, read, options.workers,
    )  # fmt: skip


class Segmenter:
    """A model ready to segment volumes.

    Args:
        product: What ``medcnn fit`` left behind.
        device: Where the net runs.

    Raises:
        CheckpointError: If the product does not segment single volumes.
    """

    def __init__(self, product: "Product", device: torch.device | str = "cpu") -> None:
        self.product, self.device = product, torch.device(device)
        self.task: Any = product.build_task().to(self.device)
        if not getattr(self.task, "per_voxel", False):
            raise CheckpointError("this model does not segment; `medcnn score` scores with models that classify")
        if len(image_shape(product)) == 3:
            raise CheckpointError("this model segments films, and `medcnn segment` takes volumes")

    def labels(self, prepared: PreparedVolume) -> np.ndarray:
        """The class of every voxel of the volume as it was read.

        Raises:
            ValueError, RuntimeError, MedcnnError: If the net cannot take the prepared image, or memory is short.
        """
        with torch.inference_mode():
            probabilities = self.task.predict(on_device(prepared, self.device))
            if not torch.isfinite(probabilities).all():
                raise ValueError("the model gives no number for some voxels")
            volume = prepared.volume
            return labels_at_home(probabilities, prepared.affine, volume.voxels.shape, volume.affine)


class _Run(VolumeRun):
    """One pass: workers read and prepare; this process runs the net, writes, and keeps the ledger."""

    def __init__(
        self, segmenter: Segmenter, ledger: Ledger, options: SegmentOptions, progress: Progress, started: float
    ) -> None:
        super().__init__(ledger, options.retry, progress, started)
        self.segmenter, self.options = segmenter, options
        self.classes = tuple(segmenter.product.classes)

    def mask_of(self, one: Listed) -> Path:
        """Beside the names of the source for a file, under its pseudonym for a series."""
        is_file = isinstance(one.path, Path)
        return self.ledger.out / f"{case_of(one.name, not is_file)}{'.nii.gz' if is_file else '.dcm'}"

    def setup(self, read: Reader) -> Setup:
        """Workers read, and prepare as the model was trained."""
        torch.set_num_threads(cores())
        return Setup(read, self.segmenter.product.preprocess, self.options.timeout_s, prepare_volume)

    def row(self, one: Listed, answer: PreparedVolume | Refusal) -> Row:
        """Segment and save one volume."""
        if isinstance(answer, Refusal):
            return refused(one, answer)
        answer = answer._replace(flags=doubts(answer, self.segmenter.product.provenance.get("spacing_mm", ())))
        started = time.perf_counter()
        try:
            labels = self.segmenter.labels(answer)
        except (ValueError, RuntimeError, MedcnnError) as error:
            return refused(one, Refusal("not_segmented", f"the net could not segment it ({first_line(error)})"))
        mask = self.mask_of(one)
        try:
            flags = (*answer.flags, *self._save(mask, labels, answer))
        except MedcnnError as error:
            return refused(one, Refusal("not_written", str(error)))
        counts = np.bincount(labels.reshape(-1), minlength=len(self.classes))[1:]
        voxel_mm3 = float(abs(np.linalg.det(answer.volume.affine[:3, :3])))
        figures = Figures(tuple(counts.tolist()), voxel_mm3, time.perf_counter() - started)
        series = answer.volume.series if mask.suffix == ".dcm" else ""
        uids = (answer.volume.study, series, "")
        return Row(one.name, one.stamp, "scored", "", "", *uids, flags, figures.to_numbers())

    def _save(self, mask: Path, labels: np.ndarray, prepared: PreparedVolume) -> tuple[str, ...]:
        """Write what belongs to a volume, and return what to know about it."""
        volume = prepared.volume
        flags: tuple[str, ...] = ()
        with writing_out():
            make_folder(mask.parent)
        if mask.suffix == ".dcm":
            segments = {value: SegmentLabel.of(name) for value, name in enumerate(self.classes) if value}
            flags = seg_flags(lambda: write_seg(mask, labels, volume, segments, model=self.segmenter.product.digest))
            if self.options.nifti or NO_SEG in flags:
                write_nifti(mask.with_suffix(".nii.gz"), labels, volume.affine)
        else:
            write_nifti(mask, labels, volume.affine, like=like_file(volume))
        if self.options.draw is not None:
            case = str(mask.relative_to(self.ledger.out)).removesuffix(".nii.gz").removesuffix(".dcm")
            picture = self.ledger.out / PICTURES / f"{case}.png"
            with writing_out():
                make_folder(picture.parent)
                self.options.draw(picture, volume, labels, "; ".join((*prepared.flags, *flags)))
        return flags

    def _stands(self, row: Row, mask: Path) -> bool:
        if row.state == "scored" and NO_SEG in row.flags:
            return mask.with_suffix(".nii.gz").exists() and not self.retry
        return super()._stands(row, mask)
