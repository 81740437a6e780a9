"""``medcnn audit``: what is wrong with a cohort, before anything is trained on it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcnn.errors import ConfigError
from medcnn.printable import printable


@dataclass
class Audit:
    """Find exact and near copies, patients with several films, label conflicts and unreadable files in a cohort.

    Attributes:
        source: A folder of class folders, any folder of images, a manifest (CSV, Parquet), or a MedMNIST .npz.
        out: Folder for audit.json, tables and pictures of the pairs; nothing is written if not given.
        patient: Where the patient is told: column:NAME, pattern:REGEX on the file name (its first group), or dicom.
        root: Folder that the paths of a manifest are relative to.
        label: Column of a manifest that holds the class.
        findings: Columns of a manifest that hold one finding each.
        classes: Names of the classes, or of the class folders.
        false_pairs: How many false pairs the near copies may hold in the whole cohort, at most, as expected.
        workers: Decoding processes; all cores if not given, 0 for this process alone.
    """

    source: Path
    out: Path | None = None
    patient: str | None = None
    root: Path | None = None
    label: str = "label"
    findings: list[str] | None = None
    classes: list[str] | None = None
    false_pairs: float = 1.0
    workers: int | None = None

    def __call__(self) -> int:
        """Audit and print the findings.

        Returns:
            0; what is found is no error.

        Raises:
            ConfigError: ``out`` is a file.
        """
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise ConfigError(f"out is {self.out.name}, which is a file: give a folder with --out")
        from medcnn.data.audit import audit
        from medcnn.data.audit_report import write_audit

        told = audit(
            self.source,
            root=self.root,
            classes=self.classes,
            label=self.label,
            findings=self.findings,
            patient=self.patient,
            false_pairs=self.false_pairs,
            workers=self.workers,
        )
        print("\n".join(lines(told.summary())))
        for note in told.notes:
            print(f"note: {printable(note)}")
        if self.out is not None:
            written = write_audit(told, self.out)
            print(f"{', '.join(path.name for path in written)} are in {self.out}; they name files, so keep them here")
        return 0


def lines(summary: dict[str, Any]) -> list[str]:
    """A summary in a few lines to read."""
    copies, patients, near = summary["exact_copies"], summary["patients"], summary["near_copies"]
    told = [f"{summary['files']} files" + _listed(summary["labels"])]
    if summary["splits"]:
        told.append(f"splits{_listed(summary['splits'])}; {patients['in_several_splits']} patients stand in several")
    unreadable = sum(summary["unreadable"].values())
    told.append(f"unreadable: {unreadable}" + _listed(summary["unreadable"]))
    if patients["known"]:
        several = f"{patients['with_several_films']} of them with several films ({patients['films_of_those']} films"
        told.append(f"patients: {patients['patients']}, {several}, at most {patients['most_films']} each)")
    else:
        told.append(
            "patients: not known, so each file counts as one of its own; name them with --patient where you can"
        )
    told.append(
        f"exact copies: {copies['pairs']} pairs, {copies['surplus_films']} films more than there are pictures; "
        f"{copies['pairs_across_labels']} pairs under different labels, {copies['pairs_across_splits']} across splits, "
        f"{copies['pairs_across_patients']} across patients"
    )
    if near["threshold"] is None:
        told.append("near copies: too few films to say how alike different patients look")
    elif near["threshold"] >= 1:
        told.append("near copies: at this size different patients look too alike to tell a copy")
    else:
        told.append(
            f"near copies: {near['pairs']} pairs above {near['threshold']:.3f}, where at most "
            f"{near['expected_false_pairs']:g} false pair is expected among {near['pairs_compared']:,} compared; "
            f"the most alike has {near['most_alike']:.3f}"
        )
    return told


def _listed(counts: dict[str, int]) -> str:
    return " (" + ", ".join(f"{printable(name, 60)} {count}" for name, count in counts.items()) + ")" if counts else ""
