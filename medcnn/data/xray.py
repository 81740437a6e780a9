"""Chest radiographs: a folder of class folders, or a table of cases."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medcnn.data.cohort import Cohort
from medcnn.data.images import FilmFiles
from medcnn.data.module import CaseDataModule
from medcnn.data.source import open_manifest

_log = logging.getLogger("medcnn.data")


class ChestXrayDataModule(CaseDataModule):
    """Radiographs from DICOM, PNG, JPEG or TIFF files.

    Args:
        source: A folder with one folder a class, or a manifest (CSV or Parquet).
        root: Folder that the paths of a manifest are relative to; its own folder by default.
        classes: Names of the classes in their order; of two, the second is the positive one. Found in the source by
            default.
        positive: Name of the positive one of two classes, whose sensitivity is measured. By default it is recognized by
            what the names mean (see README); where they do not decide, it has to be given.
        label: Column of a manifest that holds the class.
        findings: Columns of a manifest that hold one finding each, for several labels a case.
        patient: Where the patient is told: ``column:NAME``, ``pattern:REGEX`` on the file name (its first group), or
            ``dicom``.
        **common: What every cohort takes; see ``CaseDataModule``.

    Raises:
        ConfigError: If ``source`` does not exist.
        ManifestError: If it cannot be used as it stands.
    """

    def __init__(
        self,
        source: Path,
        root: Path | None = None,
        classes: Sequence[str] | None = None,
        label: str = "label",
        findings: Sequence[str] | None = None,
        patient: str | None = None,
        positive: str | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.manifest = open_manifest(Path(source), root, classes, label, findings, patient, None, positive)
        for note in self.manifest.notes:
            _log.warning("%s", note)
        self.classes, self.multilabel = tuple(self.manifest.classes), self.manifest.multilabel

    def cohort(self) -> Cohort:
        """The manifest's cases; paths stay behind."""
        read, table = self.manifest, self.manifest.table
        images = FilmFiles(self.manifest.root, table["path"].tolist())
        return Cohort(table.drop(columns="path"), images, read.subgroups, read.patients_told, read.place)
