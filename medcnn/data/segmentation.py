"""Labeled volumes under Lightning: patches for training, whole cases for judging, results on the source grid."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from medcnn.data.base import CohortDataModule
from medcnn.data.labeled import MOST_CLASSES, LabeledVolumes
from medcnn.data.loader import BatchLoader
from medcnn.data.pairs import find_pairs
from medcnn.data.patches import EachCaseAlone, Padding, PatchLoader, WholeCaseLoader, windows
from medcnn.data.ragged import RipeCases, prepare_cases
from medcnn.data.ripe import Ripe
from medcnn.data.structures import Division, OnOutlier, check_outliers, split_structures
from medcnn.errors import ConfigError
from medcnn.io.volume import spacing_of
from medcnn.transforms.home import labels_at_home

_log = logging.getLogger("medcnn.data")


class SegmentationDataModule(CohortDataModule):
    """Volumes with a label for every voxel, from NIfTI files or DICOM series.

    Every file is read and checked before training starts: an image and its label lie on one grid, a label holds whole
    numbers that ``classes`` names, and no case is far from the others in size or spacing.

    Args:
        source: A folder with one folder of images and one of labels whose files have equal names (``x.nii.gz``, or
            ``x_0000.nii.gz``, ``x_0001.nii.gz`` for channels), or a manifest (CSV or Parquet) with the columns
            ``image``, ``mask`` and, if known, ``patient``, ``split`` and subgroups.
        classes: Names of the label values 0, 1, 2, ..., by value or in order; 0 is background.
        images: Name of the folder of images (``images``), or columns of the manifest, one a sequence (``image``).
            Later sequences are resampled onto the first.
        labels: Name of the folder of labels (``labels``), or column of the manifest (``mask``).
        root: Folder that the paths of a manifest are relative to; its own folder by default.
        patient: Where the patient is told: ``column:NAME``, ``pattern:REGEX`` on the image's name (its first group), or
            ``pairs:REGEX`` where that group is a number and 1 and 2, 3 and 4, ... are one patient's two sides.
        patch_size: Voxels of a training patch along each axis; None for whole images, padded to the largest.
        divisor: What the size of whole images is rounded up to a multiple of.
        margin: How much larger a patch is cut than it is used, so that what augmentation moves in from outside is
            image and not padding; 1 for no margin.
        batch_size: Patches in a batch of one process.
        patches_per_epoch: Patches in an epoch, all processes together; one a training case by default.
        foreground_share: Share of the patches that is centered on a structure, each structure as often.
        padding: What surrounds an image that is smaller than its patch: ``zeros``, or each channel's ``minimum``.
        folds: Number of folds by patient, of which one is validated on; 0 takes ``fractions``. With folds only the
            test fraction counts.
        fold: The fold to validate on, from 0.
        store: Number type of prepared images; float16 halves their memory and keeps three digits.
        allow_unreadable: Share of the cases that may be unreadable; at 0 the first damaged file is refused by name.
        on_outlier: What to do with a case that is far from the others in size (20 times the median) or spacing (4
            times): ``refuse``, or ``allow`` it with a flag.
        **common: What every cohort takes; see ``CohortDataModule``.

    Raises:
        ConfigError: If the classes are not named 0, 1, 2, ..., or a size or share is impossible.
    """

    def __init__(
        self,
        source: Path,
        classes: Mapping[int, str] | Sequence[str],
        images: str | Sequence[str] | None = None,
        labels: str | None = None,
        root: Path | None = None,
        patient: str | None = None,
        patch_size: Sequence[int] | None = None,
        divisor: int = 16,
        margin: float = 1.0,
        batch_size: int = 2,
        patches_per_epoch: int | None = None,
        foreground_share: float = 0.5,
        padding: Padding = "zeros",
        folds: int = 0,
        fold: int = 0,
        store: Literal["float32", "float16"] = "float32",
        allow_unreadable: float = 0.0,
        on_outlier: OnOutlier = "refuse",
        **common: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, store=store, allow_unreadable=allow_unreadable, **common)
        self.classes = class_names(classes)
        self.source, self.root, self.patient = Path(source), root, patient
        self.images, self.labels = images, labels
        self.patch_size = None if patch_size is None else tuple(patch_size)
        self.divisor, self.margin, self.patches_per_epoch = divisor, margin, patches_per_epoch
        self.foreground_share, self.padding, self.on_outlier = foreground_share, padding, on_outlier
        self.division = Division(self.fractions, self.seed, folds, fold)
        self._check()
        self._volumes: LabeledVolumes | None = None
        self._prepared: RipeCases | None = None

    def _check(self) -> None:
        given = [self.images] if isinstance(self.images, str) else list(self.images or [])
        for name in [*given, *([self.labels] if self.labels else [])]:
            # These are kept in checkpoints, where no path may be.
            if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
                raise ConfigError("images and labels are names of folders in the source, or of columns, never paths")
        if self.patch_size is not None and min(self.patch_size, default=0) < 1:
            raise ConfigError(f"patch_size is {list(self.patch_size)}; expected 1 or more along each axis")
        if not 0 <= self.foreground_share <= 1:
            raise ConfigError(f"foreground_share is {self.foreground_share}; expected a share in [0, 1]")
        if self.divisor < 1 or not 1 <= self.margin <= 2:
            raise ConfigError(f"divisor is {self.divisor} and margin {self.margin}; expected 1 or more, and 1 to 2")

    def prepare_data(self) -> None:
        """With several processes, reads once for all of them, into files."""
        if self._shared_by_processes():
            self._prepare()

    def setup(self, stage: str | None = None) -> None:
        """Reads, checks and prepares all cases and splits them, once, whatever the stage."""
        if self._prepared is None:
            self._prepare()

    def _prepare(self) -> None:
        pairs = find_pairs(self.source, self.images, self.labels, self.root, self.patient)
        for note in pairs.notes:
            _log.warning("%s", note)
        volumes = LabeledVolumes(pairs, self.classes)
        prepared = prepare_cases(volumes, self.preprocess, self._specs, self._plan_for_files())
        prepared = check_outliers(prepared, volumes, self.on_outlier)
        self._split = split_structures(pairs, volumes, prepared, self.division, self.on_leak, self.train_share)
        self._volumes, self._prepared = volumes, prepared
        self.in_channels = len(prepared.cases[0].image)

    @property
    def prepared(self) -> list[Ripe]:
        """Every case after preprocessing; its number is ``batch["case"]``."""
        if self._prepared is None:
            raise ValueError("the cohort is not prepared: call setup() first")
        return self._prepared.cases

    @property
    def whole_size(self) -> tuple[int, ...]:
        """The size that holds every case, rounded up to multiples of ``divisor``."""
        largest = np.max([case.mask.shape for case in self.prepared], axis=0)
        return tuple(int(-(-size // self.divisor) * self.divisor) for size in largest)

    def loader(self, rows: Tensor, split: str, training: bool) -> BatchLoader:
        """Patches for training, whole cases one at a time for judging."""
        if not training:
            rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)
            return WholeCaseLoader(self.prepared, EachCaseAlone(rows, rank=rank, world=world, split=split))
        order = self.order(rows, self.batch_size, split, training, self.patches_per_epoch)
        used = self.patch_size or self.whole_size
        if len(used) != self.prepared[0].mask.ndim:
            raise ConfigError(f"patch_size names {len(used)} axes, the cases have {self.prepared[0].mask.ndim}")
        cut = [round(size * self.margin) for size in used]
        return PatchLoader(self.prepared, order, cut, self.foreground_share, self.padding)

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Augments training batches on their device, cuts the margin off, and makes labels int64."""
        training = "draw" in batch
        batch = super().on_after_batch_transfer(batch, dataloader_idx)
        if training and self.margin > 1:
            batch = self._without_margin(batch)
        return {**batch, "mask": batch["mask"].long()}

    def augmented(self, batch: dict[str, Any], augment: nn.Module, generator: torch.Generator) -> dict[str, Any]:
        """The batch with image and mask moved as one."""
        image, mask = augment(batch["image"], generator, batch["mask"][:, None])
        return {**batch, "image": image, "mask": mask[:, 0]}

    def _without_margin(self, batch: dict[str, Any]) -> dict[str, Any]:
        used, cut = self.patch_size or self.whole_size, batch["mask"].shape[1:]
        middle, _ = windows([(whole - size) // 2 for whole, size in zip(cut, used, strict=True)], used, cut)
        return {**batch, "image": batch["image"][(..., *middle)], "mask": batch["mask"][(..., *middle)]}

    def fixed_cases(self, split: str, n: int) -> list[dict[str, Any]]:
        """The same few whole cases of a split in every run: for pictures compared over time.

        Returns:
            For each: ``image`` float32 ``(C, *spatial)``, ``mask`` int64 ``(*spatial)``, ``case``, ``affine``.
        """
        cases = [(row, self.prepared[row]) for row in self.split.fixed_rows(split, n).tolist()]
        return [
            {
                "image": torch.from_numpy(case.image.astype(np.float32)),
                "mask": torch.from_numpy(case.mask.astype(np.int64)),
                "case": row,
                "affine": torch.from_numpy(case.affine.copy()),
            }
            for row, case in cases
        ]

    def to_source(self, probabilities: Tensor, case: int) -> Tensor:
        """Labels int64 on the grid of a case's files, from probabilities ``(K, *spatial)`` on its prepared grid."""
        known = self.prepared[case]
        labels = labels_at_home(probabilities, known.affine, known.source_shape, known.source_affine)
        return torch.from_numpy(labels.astype(np.int64))

    def truth(self, case: int) -> tuple[Tensor, tuple[float, float, float]]:
        """A case's labels int64 on the grid of its image, read again from the file, and the spacing in mm."""
        if self._volumes is None:
            raise ValueError("the cohort is not prepared: call setup() first")
        known = self.prepared[case]
        labels = self._volumes.labels(known.row, known.source_shape, known.source_affine)
        return torch.from_numpy(labels.astype(np.int64)), spacing_of(known.source_affine)


def class_names(classes: Mapping[int, str] | Sequence[str]) -> tuple[str, ...]:
    """Names of the label values 0, 1, 2, ...

    Raises:
        ConfigError: If a value is left out, a name is there twice, or there is no class beside the background.
    """
    named = dict(classes) if isinstance(classes, Mapping) else dict(enumerate(classes))
    values = sorted(int(value) for value in named)
    if values != list(range(len(values))) or not 2 <= len(values) <= MOST_CLASSES:
        raise ConfigError(
            f"classes name the label values {', '.join(map(str, values)) or 'none'}; expected 0 (background), 1, 2, "
            f"... up to {MOST_CLASSES - 1}, none left out"
        )
    names = tuple(str(named[value]) for value in values)
    if len(set(names)) < len(names):
        raise ConfigError(f"classes: a name is there twice in {', '.join(names)}")
    return names
