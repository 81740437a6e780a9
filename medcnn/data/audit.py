"""What is wrong with a cohort before anything is trained on it: copies, leaks, conflicts, files that cannot be read."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from medcnn.data.look import Look, look_at_all, look_at_pixels
from medcnn.data.near_copies import NearCopies, find_near_copies
from medcnn.data.source import open_manifest
from medcnn.errors import ConfigError, ManifestError
from medcnn.io.find import find_files
from medcnn.io.manifest import Manifest, case_table
from medcnn.io.medmnist import SPLITS, read_npz
from medcnn.io.patients import patient_source
from medcnn.positive import EITHER


@dataclass(frozen=True)
class Audit:
    """The findings of an audit; everything in it stays on this machine, for it names files.

    Attributes:
        cases: One row a file: ``path``, ``patient``, ``split``, ``label`` (its name, "" unknown), ``content``,
            ``rows``, ``columns``, ``flags``, ``reason`` ("" where the file could be read).
        copies: Pairs of exact copies, ``first`` and ``second`` as row numbers, with ``same_label``, ``same_split``,
            ``same_patient``.
        near: Pairs that look alike.
        patients_known: Whether anything told the patients apart.
        notes: What was assumed on reading.
    """

    cases: pd.DataFrame
    copies: pd.DataFrame
    near: NearCopies
    patients_known: bool
    root: Path
    notes: tuple[str, ...] = field(default=())

    def summary(self) -> dict[str, Any]:
        """Counts, without the name of a file or a patient."""
        readable = self.cases[self.cases["reason"] == ""]
        films = readable.groupby("patient").size()
        splits = readable[readable["split"] != ""].groupby("patient")["split"].nunique()
        groups = readable.groupby("content").size()
        return {
            "files": len(self.cases),
            "labels": _counts(self.cases["label"]),
            "splits": _counts(self.cases["split"]),
            "unreadable": _counts(self.cases["reason"]),
            "patients": {
                "known": self.patients_known,
                "patients": len(films),
                "with_several_films": int((films > 1).sum()),
                "films_of_those": int(films[films > 1].sum()),
                "most_films": int(films.max()) if len(films) else 0,
                "in_several_splits": int((splits > 1).sum()),
            },
            "exact_copies": {
                "groups": int((groups > 1).sum()),
                "films_in_groups": int(groups[groups > 1].sum()),
                "surplus_films": int((groups[groups > 1] - 1).sum()),
                "pairs": len(self.copies),
                "pairs_across_labels": int((~self.copies["same_label"]).sum()),
                "pairs_across_splits": int((~self.copies["same_split"]).sum()),
                "pairs_across_patients": int((~self.copies["same_patient"]).sum()),
            },
            "near_copies": {
                "pairs": self.near.found,
                "threshold": self.near.threshold,
                "expected_false_pairs": self.near.false_pairs,
                "most_alike": float(self.near.scores[0]) if len(self.near.scores) else None,
                "pairs_compared": self.near.compared,
                "measured_on_neighbors": self.near.measured,
            },
        }


def audit(
    source: Path,
    *,
    root: Path | None = None,
    classes: Sequence[str] | None = None,
    label: str = "label",
    findings: Sequence[str] | None = None,
    patient: str | None = None,
    false_pairs: float = 1.0,
    workers: int | None = None,
) -> Audit:
    """Reads every image of a cohort once and says what is wrong with it.

    Args:
        source: A manifest (CSV, Parquet), a folder of class folders, any folder of images, or a MedMNIST ``.npz``.
        root: Folder that the paths of a manifest are relative to.
        classes: Names of the classes.
        label: Column of a manifest that holds the class.
        findings: Columns of a manifest that hold one finding each.
        patient: ``column:NAME``, ``pattern:REGEX`` on the file name, or ``dicom``.
        false_pairs: Expected number of false pairs among the near copies, at most.
        workers: Decoding processes; None for all cores, 0 for this process alone.

    Raises:
        ConfigError: If there is nothing to look at.
    """
    if false_pairs <= 0:
        raise ConfigError(f"false_pairs is {false_pairs}; expected a number above 0")
    source = Path(source)
    if source.suffix == ".npz":
        if patient is not None:
            raise ConfigError(f"patient is {patient}; a MedMNIST .npz names no patient: leave patient out")
        listed, looks = _archive(source)
    else:
        listed = _listed(source, root, classes, label, findings, patient)
        looks = look_at_all([listed.root / path for path in listed.table["path"]], workers)
    table = listed.table
    if table.empty:
        raise ConfigError(f"{source.name} holds no image: expected DICOM, PNG, JPEG, TIFF or a MedMNIST .npz")
    cases = _with_looks(table, looks)
    readable = np.flatnonzero(cases["reason"] == "")
    thumbnails = np.stack([look.thumbnail for look in looks])[readable]
    patients, contents = cases["patient"].iloc[readable].tolist(), cases["content"].iloc[readable].tolist()
    near = find_near_copies(thumbnails, patients, contents, false_pairs)
    near = replace(near, pairs=readable[near.pairs])
    return Audit(cases, exact_copies(cases), near, listed.patients_known, listed.root, listed.notes)


def exact_copies(cases: pd.DataFrame) -> pd.DataFrame:
    """Every pair of readable files with equal pixels, by row number; what of label, split and patient they share."""
    readable = cases[cases["reason"] == ""]
    repeated = readable[readable["content"].duplicated(keep=False)]
    pairs = [pair for _, rows in repeated.groupby("content").groups.items() for pair in combinations(sorted(rows), 2)]
    table = pd.DataFrame(sorted(pairs), columns=["first", "second"], dtype=int)
    for name in ("label", "split", "patient"):
        column = cases[name].to_numpy()
        table[f"same_{name}"] = column[table["first"]] == column[table["second"]]
    return table


class _Listed(NamedTuple):
    """Files of a cohort: ``path``, ``patient``, ``split`` and ``label`` of each, and what is known of them."""

    table: pd.DataFrame
    root: Path
    patients_known: bool
    notes: tuple[str, ...] = ()


def _listed(
    source: Path,
    root: Path | None,
    classes: Sequence[str] | None,
    label: str,
    findings: Sequence[str] | None,
    patient: str | None,
) -> _Listed:
    try:
        found = open_manifest(source, root, classes, label, findings, patient, positive=EITHER)
    except ManifestError as error:
        # A folder without class folders is audited all the same, if nothing was asked that needs them.
        if source.is_dir() and classes is None:
            return _plain_folder(source.resolve(), patient, str(error))
        raise
    return _Listed(_named_labels(found), found.root, found.patients_told, found.notes)


def _named_labels(manifest: Manifest) -> pd.DataFrame:
    table = manifest.table[["path", "patient", "split"]].copy()
    if manifest.multilabel:
        present = manifest.table[list(manifest.classes)].to_numpy() > 0.5
        table["label"] = ["+".join(np.asarray(manifest.classes)[row]) or "none" for row in present]
    else:
        table["label"] = [manifest.classes[i] if i >= 0 else "" for i in manifest.table["label"]]
    return table


def _plain_folder(root: Path, patient: str | None, why: str) -> _Listed:
    paths = [found.path.relative_to(root).as_posix() for found in find_files(root)]
    owners = patient_source(patient, pd.DataFrame(), root.name)
    cases = case_table(root, paths, [""] * len(paths), {}, owners, pd.DataFrame())
    table = cases.table[["path", "patient", "split"]].assign(label="")
    return _Listed(table, root, cases.patients_told, (f"read without labels: {why}", *cases.notes))


def _archive(source: Path) -> tuple[_Listed, list[Look]]:
    parts = read_npz(source)
    table = pd.DataFrame(
        [
            {
                "path": f"{split} {i}",
                "patient": f"{split} {i}",
                "split": split,
                "label": "+".join(map(str, np.ravel(label))),
            }
            for split in SPLITS
            for i, label in enumerate(parts[f"{split}_labels"])
        ]
    )
    looks = [look_at_pixels(image) for split in SPLITS for image in parts[f"{split}_images"]]
    return _Listed(table, source, False), looks


def _with_looks(table: pd.DataFrame, looks: list[Look]) -> pd.DataFrame:
    return table.reset_index(drop=True).assign(
        content=[look.content for look in looks],
        rows=[look.shape[0] if look.shape else 0 for look in looks],
        columns=[look.shape[1] if look.shape else 0 for look in looks],
        flags=[" ".join(look.flags) for look in looks],
        reason=[look.reason for look in looks],
    )


def _counts(column: pd.Series) -> dict[str, int]:
    return {str(name): int(count) for name, count in column[column != ""].value_counts().items()}
