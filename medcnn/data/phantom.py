"""Phantom cohorts: chest films of nobody, in memory for tests and as DICOM files for a demonstration."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medcnn.data.cohort import Cohort
from medcnn.data.images import ArrayImages
from medcnn.data.module import CaseDataModule
from medcnn.data.phantom_chest import Anatomy, draw_anatomy, draw_film
from medcnn.data.split import split_cases
from medcnn.io.dicom_write import write_film

CLASSES = ("normal", "opacity")


class PhantomDataModule(CaseDataModule):
    """Phantom chests in memory, values in [0, 1]: nothing to fetch, nothing to read.

    Args:
        patients: How many phantoms; every second one has the finding, and each has one to three films.
        size: Edge of a film in pixels.
        phantom_seed: Decides how they look.
        **common: What every cohort takes; see ``CaseDataModule``.
    """

    classes = CLASSES

    def __init__(self, patients: int = 200, size: int = 64, phantom_seed: int = 0, **common: Any) -> None:
        super().__init__(**common)
        self.patients, self.size, self.phantom_seed = patients, size, phantom_seed

    def cohort(self) -> Cohort:
        """Draws all films; the same for the same arguments."""
        table, films = phantom_films(self.patients, self.size, self.phantom_seed)
        table["patient"] = [f"p{number:012x}" for number in table["patient"]]
        table["case"] = [f"c{row:012x}" for row in range(len(table))]
        subgroups = ("sex", "age_group", "view")
        return Cohort(table.assign(split=""), ArrayImages(films, title="phantom film"), subgroups)


def phantom_films(patients: int, size: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Table and films of a phantom cohort.

    Returns:
        A row a film with the columns ``patient`` (its number), ``film``, ``label``, ``sex``, ``age_group``, ``view``;
        the films, float32 ``(n, size, size)`` in [0, 1].
    """
    rows, films = [], []
    for patient in range(patients):
        chance = np.random.default_rng((seed, patient))
        label = patient % 2
        anatomy: Anatomy = draw_anatomy(chance, finding=bool(label))
        about = {
            "sex": str(chance.choice(["F", "M"])),
            "age_group": str(chance.choice(["0-4", "5-17", "18-64", "65+"])),
        }
        for film in range(int(chance.integers(1, 4))):
            view = str(chance.choice(["AP", "PA"]))
            rows.append({"patient": patient, "film": film, "label": label, **about, "view": view})
            films.append(draw_film(anatomy, chance, size))
    return pd.DataFrame(rows), np.stack(films)


def make_phantom_cohort(folder: Path, patients: int = 120, seed: int = 0, size: int = 128, broken: bool = True) -> Path:
    """Writes a phantom cohort as DICOM files, with what real folders have: two photometric interpretations, two bit
    depths, several films a patient, headers that name people (who do not exist), and damaged files.

    Args:
        folder: Where to; created if missing. ``films/`` is the cohort of the manifest; ``incoming/`` holds other
            phantoms, to be scored, with their truth beside it in ``incoming_truth.csv``.
        patients: How many phantoms; about a sixth of them is in ``incoming/``.
        seed: Decides how they look.
        size: Edge of a film in pixels.
        broken: True to put damaged files among them: one in ``films/``, the others in ``incoming/``.

    Returns:
        The manifest: ``path``, ``label``, ``patient``, ``split``, ``sex``, ``age_group``, ``view``.
    """
    folder = Path(folder)
    table, films = phantom_films(patients, size, seed)
    table["split"] = _sides(table, seed)
    table["path"] = [_write(folder, row, film) for row, film in zip(table.to_dict("records"), films, strict=True)]
    table["label"] = [CLASSES[label] for label in table["label"]]
    table["patient"] = [_identifier(number) for number in table["patient"]]
    if broken:
        _spoil(folder, table)
    columns = ["path", "label", "patient", "split", "sex", "age_group", "view"]
    incoming = table["split"] == "incoming"
    table.loc[~incoming, columns].to_csv(folder / "manifest.csv", index=False)
    table.loc[incoming, [column for column in columns if column != "split"]].to_csv(
        folder / "incoming_truth.csv", index=False
    )
    return folder / "manifest.csv"


def _identifier(number: int) -> str:
    return f"PHANTOM-{number:04d}"


def _sides(table: pd.DataFrame, seed: int) -> np.ndarray:
    """A split for each film, or ``incoming``; drawn in two steps, each by patient."""
    patients, labels = table["patient"].to_numpy(), table["label"].to_numpy()
    sides = split_cases(patients.tolist(), labels, (0, 1 / 6), seed)
    sides[sides == "test"] = "incoming"
    rest = np.flatnonzero(sides == "train")
    sides[rest] = split_cases(patients[rest].tolist(), labels[rest], (0.2, 0.2), seed)
    return sides


def _write(folder: Path, row: Mapping[Hashable, Any], film: np.ndarray) -> str:
    """Writes one film and returns its path in the folder; every third is MONOCHROME1, every second has 16 bits."""
    number, each = int(row["patient"]), int(row["film"])
    bits = 16 if (number + each) % 2 else 12
    inverted = (number + each) % 3 == 0
    values = np.rint(film.astype(np.float64) * (2**bits - 1)).astype(np.uint16)
    side = "incoming" if row["split"] == "incoming" else "films"
    path = Path(side, f"{_identifier(number)}", f"film{each}.dcm")
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    write_film(
        folder / path,
        np.uint16(2**bits - 1) - values if inverted else values,
        photometric="MONOCHROME1" if inverted else "MONOCHROME2",
        bits_stored=bits,
        patient_id=_identifier(number),
        PatientName=f"PHANTOM^NUMBER{number:04d}",
        PatientSex=row["sex"],
        PatientBirthDate="19000101",
        OtherPatientNames=f"PHANTOM^ALIAS{number:04d}",
        ReferringPhysicianName="PHANTOM^PHYSICIAN",
        InstitutionName="PHANTOM HOSPITAL",
        ViewPosition=row["view"],
    )
    return path.as_posix()


def _spoil(folder: Path, table: pd.DataFrame) -> None:
    """Damages one film of the cohort, if it is large enough to bear that, and adds damaged files to ``incoming/``."""
    training = table.index[table["split"] == "train"]
    if len(training) >= 40:
        _truncate(folder / table["path"][training[-1]])
    incoming = folder / "incoming"
    whole = (folder / table["path"][table["split"] == "incoming"].iloc[0]).read_bytes()
    (incoming / "truncated.dcm").write_bytes(whole[: len(whole) * 2 // 3])
    # Up to the tag of the pixel data (7FE0,0010): a whole header without an image.
    (incoming / "no_pixels.dcm").write_bytes(whole[: whole.index(b"\xe0\x7f\x10\x00")])
    (incoming / "notes.dcm").write_text("PHANTOM^NOTES: this is no image\n")
    (incoming / "empty.dcm").touch()
    frame = np.zeros((16, 16), np.uint16)
    write_film(incoming / "two_frames.dcm", frame, patient_id=_identifier(9999), NumberOfFrames=2)


def _truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
