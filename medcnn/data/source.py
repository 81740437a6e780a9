"""From what a user points at to a table of cases."""

from collections.abc import Sequence
from pathlib import Path

from medcnn.errors import ConfigError
from medcnn.io.manifest import Manifest, folder_manifest, read_manifest


def open_manifest(
    source: Path,
    root: Path | None = None,
    classes: Sequence[str] | None = None,
    label: str = "label",
    findings: Sequence[str] | None = None,
    patient: str | None = None,
    sequences: Sequence[str] | None = None,
    positive: str | None = None,
) -> Manifest:
    """A manifest from a table, or from a folder of class folders.

    Args:
        source: The table or the folder.
        root: Folder that the paths of a table are relative to; its own by default.
        classes: Names of the classes in their order.
        label: Column that holds the class.
        findings: Columns that hold one finding each.
        patient: Where the patient is told.
        sequences: Columns of a table that hold the volumes of a case, ``path`` for one; None where cases are films.
        positive: The positive class of two; by what the names mean if None.

    Raises:
        ConfigError: If ``source`` does not exist, or is a folder where several sequences are asked for.
        ManifestError: If it cannot be used as it stands.
    """
    volumes = sequences is not None
    if source.is_dir():
        if sequences is not None and len(sequences) > 1:
            raise ConfigError(
                f"{source.name} is a folder, which holds one volume a case, and sequences names {len(sequences)}: "
                "give a table with a column for each"
            )
        return folder_manifest(source, classes=classes, patient=patient, volumes=volumes, positive=positive)
    if not source.exists():
        raise ConfigError(
            f"no such file or folder: {source.name}; expected a folder of class folders or a manifest (CSV, Parquet)"
        )
    return read_manifest(
        source, root=root, label=label, findings=findings, classes=classes, patient=patient,
        images=sequences or ("path",), volumes=volumes, positive=positive,
    )  # fmt: skip
