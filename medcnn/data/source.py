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
) -> Manifest:
    """A manifest from a table, or from a folder of class folders.

    Raises:
        ConfigError: If ``source`` does not exist.
        ManifestError: If it cannot be used as it stands.
    """
    if source.is_dir():
        return folder_manifest(source, classes=classes, patient=patient)
    if not source.exists():
        raise ConfigError(
            f"no such file or folder: {source.name}; expected a folder of class folders or a manifest (CSV, Parquet)"
        )
    return read_manifest(source, root=root, label=label, findings=findings, classes=classes, patient=patient)
