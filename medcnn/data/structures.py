"""A cohort of labeled volumes after it was split: how much of each structure there is, and what stands out."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from medcnn.data.cache import tally
from medcnn.data.cohort import SplitCohort, report_split
from medcnn.data.folds import fold_cases
from medcnn.data.labeled import LabeledVolumes
from medcnn.data.leaks import OnLeak, label_conflicts, settle_leaks
from medcnn.data.pairs import Pairs
from medcnn.data.ragged import RipeCases
from medcnn.data.ripe import Ripe
from medcnn.data.share import keep_share
from medcnn.data.split import split_cases
from medcnn.errors import ManifestError
from medcnn.io.volume import spacing_of

OnOutlier = Literal["refuse", "allow"]
# A slice stack of 512 x 512 among crops has hundreds of times their voxels; a head among heads has not ten times.
MOST_VOXELS, MOST_SPACING = 20.0, 4.0
_log = logging.getLogger("medcnn.data")


@dataclass(frozen=True)
class Division:
    """How a cohort is divided.

    Attributes:
        fractions: Shares of the cases for validation and test.
        seed: Decides who goes where.
        folds: Number of folds instead of a validation share; 0 for none.
        fold: The fold that is validated on.
    """

    fractions: tuple[float, float]
    seed: int
    folds: int = 0
    fold: int = 0

    def splits(
        self, patients: Sequence[str], labels: np.ndarray, contents: Sequence[str], given: Sequence[str]
    ) -> np.ndarray:
        """``train``, ``val`` or ``test`` for each case."""
        if self.folds:
            return fold_cases(
                patients, labels, self.folds, self.fold, self.fractions[1], self.seed, contents=contents, given=given
            )
        return split_cases(patients, labels, self.fractions, self.seed, contents=contents, given=given)


@dataclass(frozen=True)
class SplitStructures(SplitCohort):
    """A split cohort whose classes are structures in the volumes.

    ``labels`` says of each structure but the background whether a case has it, float32 ``(N, K - 1)``.

    Attributes:
        voxels: Voxels of each class on the prepared grids, int64 ``(N, K)``.
        volumes_mm3: Volume of each class on the grids of the files, float64 ``(N, K)``.
        division: How the cohort was divided.
    """

    voxels: Tensor
    volumes_mm3: Tensor
    division: Division

    def class_counts(self, split: str) -> Tensor:
        """Voxels of each class in a split ``(K,)``, on the prepared grids."""
        return self.voxels[self.rows(split)].sum(dim=0)

    def describe(self) -> dict[str, Any]:
        """Counts, volumes, digest and proof as plain data, without a path or an identifier."""
        folds = {"folds": self.division.folds, "fold": self.division.fold} if self.division.folds else {}
        return {**super().describe(), **folds}

    def _describe_split(self, split: str) -> dict[str, Any]:
        rows = self.rows(split)
        mean = self.volumes_mm3[rows].mean(dim=0) if len(rows) else torch.zeros(len(self.classes))
        volumes = dict(zip(self.classes, (round(one, 1) for one in mean.tolist()), strict=True))
        return {**super()._describe_split(split), "mean_volume_mm3": volumes}


def split_structures(
    pairs: Pairs,
    volumes: LabeledVolumes,
    prepared: RipeCases,
    division: Division,
    on_leak: OnLeak,
    train_share: float = 1.0,
) -> SplitStructures:
    """Splits the readable cases, or honors the split they have, and checks it.

    Raises:
        LeakError: If a given split leaks and ``on_leak`` is ``refuse``.
        ConfigError: If fractions or folds leave nothing to train on.
    """
    cases, rows = prepared.cases, [case.row for case in prepared.cases]
    table = pairs.table.iloc[rows].reset_index(drop=True)
    patients, contents = table["patient"].tolist(), [case.content for case in cases]
    source_voxels = np.stack([case.source_voxels for case in cases])
    presence = (source_voxels[:, 1:] > 0).astype(np.float32)
    splits = division.splits(patients, presence, contents, table["split"].tolist())
    settled = settle_leaks(splits, patients, contents, on_leak, lambda row: volumes.name(rows[row]))
    kept = keep_share(settled.splits, patients, presence, train_share, division.seed, contents)
    each_mm3 = np.array([abs(np.linalg.det(case.source_affine[:3, :3])) for case in cases])
    _, label_codes = np.unique([case.label_content for case in cases], return_inverse=True)
    done = SplitStructures(
        cases=table.assign(split=kept),
        labels=torch.from_numpy(presence),
        classes=volumes.classes,
        settled=settled,
        conflicts=label_conflicts(contents, label_codes),
        excluded=tally(prepared.excluded.values()),
        flags=tally(flag for case in cases for flag in case.flags),
        digest=_digest(cases),
        left_out=int((kept != settled.splits).sum()),
        patients_told=pairs.patients_told,
        contents=tuple(contents),
        place=pairs.place,
        voxels=torch.from_numpy(np.stack([case.voxels for case in cases])),
        volumes_mm3=torch.from_numpy(source_voxels * each_mm3[:, None]),
        division=division,
    )
    report_split(done)
    unseen = [done.classes[value] for value in np.flatnonzero(done.class_counts("train").numpy() == 0)]
    if unseen:
        _log.warning("no training case holds %s: nothing can be learned about it", ", ".join(unseen))
    return done


def _digest(cases: Sequence[Ripe]) -> str:
    """Name of a cohort by its images, their place and their labels; order and split have no part in it."""
    lines = sorted(f"{case.content} {case.label_content} {case.source_affine.tolist()}" for case in cases)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def check_outliers(prepared: RipeCases, volumes: LabeledVolumes, on_outlier: OnOutlier) -> RipeCases:
    """Refuses, or flags, a case whose size or spacing is far from what the others of the cohort have.

    Returns:
        The cases, with the flag ``outlier`` where one was allowed.

    Raises:
        ManifestError: Naming the file, if ``on_outlier`` is ``refuse``.
    """
    sizes = np.array([np.prod(case.source_shape, dtype=np.float64) for case in prepared.cases])
    # By size, since volumes may come in any order of axes.
    steps = np.array([sorted(spacing_of(case.source_affine)) for case in prepared.cases])
    usual_size, usual_steps = float(np.median(sizes)), np.median(steps, axis=0)
    ratio = np.maximum(steps / usual_steps, usual_steps / steps).max(axis=1)
    odd = np.flatnonzero((sizes > MOST_VOXELS * usual_size) | (ratio > MOST_SPACING)).tolist()
    if not odd:
        return prepared
    if on_outlier == "refuse":
        raise ManifestError(_outlier(prepared.cases[odd[0]], volumes, usual_size, usual_steps, len(odd)))
    names = ", ".join(volumes.names[prepared.cases[at].row] for at in odd[:5])
    _log.warning("%d cases are far from the others in size or spacing, and on_outlier is allow: %s", len(odd), names)
    flagged = {at: replace(case, flags=(*case.flags, "outlier")) for at, case in enumerate(prepared.cases) if at in odd}
    return replace(prepared, cases=[flagged.get(at, case) for at, case in enumerate(prepared.cases)])


def _outlier(case: Ripe, volumes: LabeledVolumes, size: float, steps: np.ndarray, count: int) -> str:
    found = "x".join(map(str, case.source_shape))
    spacing = " x ".join(f"{step:.3g}" for step in spacing_of(case.source_affine))
    usual = " x ".join(f"{step:.3g}" for step in steps)
    more = f" ({count} such cases)" if count > 1 else ""
    return (
        f"{volumes.name(case.row)} has {found} voxels of {spacing} mm among cases of about {size:.0f} voxels of "
        f"{usual} mm{more}: take it out, or set on_outlier to allow"
    )
