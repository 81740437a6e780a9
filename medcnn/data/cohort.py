"""The table of a cohort: as it was read, and after it was split and checked."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from medcnn.data.cache import Prepared, tally
from medcnn.data.content import seen_name
from medcnn.data.images import Images
from medcnn.data.leaks import OnLeak, Settled, label_conflicts, settle_leaks
from medcnn.data.share import keep_share
from medcnn.data.split import SPLITS, split_cases
from medcnn.io.patients import is_known_patient

_log = logging.getLogger("medcnn.data")


@dataclass(frozen=True)
class Cohort:
    """What a data module reads before anything is decoded.

    Attributes:
        table: One row a case: ``case``, ``patient``, ``split`` ("" where none is given), ``label`` or one column a
            class, then subgroups.
        images: The images, row by row.
        subgroups: Names of the columns that describe groups.
        patients_told: Whether anything tells the patients apart; if not, each case has a ``patient`` of its own.
        place: Keyed name of the folder of the files; "" where there is none.
    """

    table: pd.DataFrame
    images: Images
    subgroups: tuple[str, ...] = ()
    patients_told: bool = True
    place: str = ""


@dataclass(frozen=True)
class SplitCohort:
    """A cohort whose images are prepared, whose cases are split, and whose splits are checked.

    Attributes:
        cases: One row a case, in the order of the images: the table of the cohort with its ``split`` filled in; "" is a
            case taken out.
        labels: int64 ``(N,)`` with -1 unknown, or float32 ``(N, K)`` with NaN unknown.
        classes: Names of the classes.
        settled: What the check for leaks found and did.
        conflicts: Pairs of rows with equal pixels and different labels.
        excluded: How many images could not be read, by reason code.
        flags: How many images were odd, by flag.
        digest: Name of the table's content.
        left_out: Training cases that are beyond the share to train on.
        patients_told: Whether anything told the patients apart; if not, no count of patients is described.
        contents: Digest of each case's pixels.
        place: Keyed name of the folder of the files; "" where there is none.
    """

    cases: pd.DataFrame
    labels: Tensor
    classes: tuple[str, ...]
    settled: Settled
    conflicts: list[tuple[int, int]]
    excluded: dict[str, int]
    flags: dict[str, int]
    digest: str
    left_out: int
    patients_told: bool
    contents: tuple[str, ...]
    place: str

    def rows(self, split: str) -> Tensor:
        """Rows of the cases of a split."""
        return torch.from_numpy(np.flatnonzero(self.cases["split"] == split))

    def class_counts(self, split: str) -> Tensor:
        """Cases of each class ``(K,)``, or negatives and positives of each finding ``(K, 2)``."""
        labels = self.labels[self.rows(split)]
        if labels.ndim == 2:
            return torch.stack([(labels == 0).sum(dim=0), (labels == 1).sum(dim=0)], dim=1)
        return torch.bincount(labels[labels >= 0], minlength=len(self.classes))

    def fixed_rows(self, split: str, n: int) -> Tensor:
        """Up to ``n`` rows of a split, the classes in turn, the same in every run on the same cases."""
        rows = self.rows(split).numpy()
        labels = self.labels[rows].numpy()
        group = labels if labels.ndim == 1 else (labels > 0.5) @ (2 ** np.arange(labels.shape[1]))
        drawn = np.argsort([self.contents[row] for row in rows], kind="stable")
        turn = pd.Series(group[drawn]).groupby(group[drawn]).cumcount().to_numpy()
        return torch.from_numpy(rows[drawn[np.lexsort((group[drawn], turn))][:n]])

    def seen_names(self) -> list[str]:
        """Name each case by its content, for the record of what a model was trained on."""
        return [seen_name(content) for content in self.contents]

    def seen_patients(self) -> list[str]:
        """Name each case's patient within the folder of the files, "" where the patient is not known.

        Two cohorts may number their patients alike, so a patient is compared within one folder and one key only.
        """
        names = self.cases["patient"].tolist()
        known = [self.patients_told and is_known_patient(name) for name in names]
        return [seen_name(f"{self.place} {name}") if one else "" for one, name in zip(known, names, strict=True)]

    def describe(self) -> dict[str, Any]:
        """Counts, digest and proof as plain data, without a path or an identifier."""
        return {
            "digest": self.digest,
            "splits": {split: self._describe_split(split) for split in SPLITS},
            "patients_told": self.patients_told,
            "proof": {
                name: n for name, n in self.settled.proof.items() if self.patients_told or "patients" not in name
            },
            "dropped": self.settled.dropped,
            "excluded": self.excluded,
            "label_conflicts": len(self.conflicts),
            "flags": self.flags,
        }

    def _describe_split(self, split: str) -> dict[str, Any]:
        cases, counts = self.cases[self.cases["split"] == split], self.class_counts(split)
        each = counts[:, 1] if counts.ndim == 2 else counts
        named = dict(zip(self.classes, each.tolist(), strict=True))
        patients = {"patients": int(cases["patient"].nunique())} if self.patients_told else {}
        return {"cases": len(cases), **patients, "classes": named}


def split_cohort(
    cohort: Cohort,
    prepared: Prepared,
    classes: tuple[str, ...],
    multilabel: bool,
    fractions: tuple[float, float],
    seed: int,
    on_leak: OnLeak,
    train_share: float = 1.0,
) -> SplitCohort:
    """Splits the readable cases of a cohort, or honors the split it has, and checks it.

    Films that share their pixels are kept together where the split is made here, so such a split cannot leak; a given
    one is checked.

    Raises:
        LeakError: If a given split leaks and ``on_leak`` is ``refuse``.
    """
    table = cohort.table.iloc[prepared.rows].reset_index(drop=True)
    labels = label_array(table, classes, multilabel)
    patients, contents = table["patient"].tolist(), prepared.contents
    splits = split_cases(patients, labels, fractions, seed, contents=contents, given=table["split"].tolist())
    settled = settle_leaks(splits, patients, contents, on_leak, lambda row: cohort.images.name(prepared.rows[row]))
    kept = keep_share(settled.splits, patients, labels, train_share, seed, contents)
    done = SplitCohort(
        cases=table.assign(split=kept),
        labels=torch.from_numpy(labels),
        classes=classes,
        settled=settled,
        conflicts=label_conflicts(contents, labels),
        excluded=tally(prepared.excluded.values()),
        flags=tally(flag for flags in prepared.flags for flag in flags),
        digest=content_table_digest(contents, labels, table["split"].tolist()),
        left_out=int((kept != settled.splits).sum()),
        patients_told=cohort.patients_told,
        contents=tuple(contents),
        place=cohort.place,
    )
    report_split(done)
    return done


def label_array(table: pd.DataFrame, classes: Sequence[str], multilabel: bool) -> np.ndarray:
    """Labels of a table: int64 ``(n,)``, or float32 ``(n, K)`` for several labels a case."""
    if multilabel:
        return table[list(classes)].to_numpy(np.float32, copy=True)
    return table["label"].to_numpy(np.int64, copy=True)


def content_table_digest(contents: Sequence[str], labels: np.ndarray, splits: Sequence[str] | np.ndarray) -> str:
    """Name a cohort by what it shows, its labels and the splits it came with, whatever the order of the cases."""
    lines = sorted(map(str, zip(contents, labels.tolist(), list(splits), strict=True)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def report_split(done: SplitCohort) -> None:
    """Logs what the check of a split took out or let pass; by pseudonym."""
    if done.settled.dropped:
        told = ", ".join(f"{count} from {split}" for split, count in done.settled.dropped.items())
        _log.warning("taken out, because a later split holds the same pixels or patient: %s", told)
    if done.settled.proof["patients_shared"] or done.settled.proof["contents_shared"]:
        _log.warning("splits leak, and on_leak is allow: %s", done.settled.proof)
    if done.conflicts:
        first = [done.cases["case"][row] for row in done.conflicts[0]]
        told = f"{len(done.conflicts)} pairs of cases hold the same pixels under different labels, first {first[0]} and"
        _log.warning("%s %s; `medcnn audit` lists them by file", told, first[1])
