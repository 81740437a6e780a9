"""Brain MRI: a folder of class folders, or a table of cases, each of one volume or of several sequences."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medcnn.data.cohort import Cohort
from medcnn.data.module import CaseDataModule
from medcnn.data.source import open_manifest
from medcnn.data.volumes import VolumeFiles
from medcnn.errors import ConfigError

_log = logging.getLogger("medcnn.data")


class BrainMriDataModule(CaseDataModule):
    """Volumes from NIfTI files, multi-frame DICOM files, or folders that hold one DICOM series each.

    Heads differ in size, spacing and orientation: ``preprocess`` brings them onto one grid (MONAI's ``Orientationd``,
    ``Spacingd``, ``ResizeWithPadOrCropd``) and to one scale.

    Args:
        source: A folder with one folder a class, or a manifest (CSV or Parquet).
        root: Folder that the paths of a manifest are relative to; its own folder by default.
        classes: Names of the classes in their order; of two, the second is the positive one. Found in the source by
            default.
        positive: Name of the positive one of two classes, whose sensitivity is measured. By default it is recognized by
            what the names mean (see README); where they do not decide, it has to be given.
        label: Column of a manifest that holds the class.
        findings: Columns of a manifest that hold one finding each, for several labels a case.
        patient: Where the patient is told: ``column:NAME``, ``pattern:REGEX`` on the name of the file or series folder
            (its first group), or ``dicom``.
        sequences: Columns of a manifest that hold the path of one sequence each, such as ``t1`` and ``flair``. They
            become channels in this order, resampled onto the grid of the first.
        **common: What every cohort takes; see ``CaseDataModule``.

    Raises:
        ConfigError: If ``source`` does not exist, or is a folder where several sequences are named.
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
        sequences: Sequence[str] = ("path",),
        **common: Any,
    ) -> None:
        super().__init__(**common)
        if not sequences or len(set(sequences)) < len(sequences):
            raise ConfigError(f"sequences: expected columns, each once, found {', '.join(sequences) or 'none'}")
        self.manifest = open_manifest(Path(source), root, classes, label, findings, patient, sequences, positive)
        for note in self.manifest.notes:
            _log.warning("%s", note)
        self.classes, self.multilabel = tuple(self.manifest.classes), self.manifest.multilabel
        self.in_channels = len(sequences)

    def cohort(self) -> Cohort:
        """The manifest's cases; paths stay behind."""
        read, table = self.manifest, self.manifest.table
        images = VolumeFiles(self.manifest.root, list(zip(table["path"], *self.manifest.further, strict=True)))
        return Cohort(table.drop(columns="path"), images, read.subgroups, read.patients_told, read.place)
