"""Twenty-five planted identifiers go in with a cohort, and none comes out with a run."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from processes import TIME_LIMIT_S
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from medcnn.cli.configs import configs_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

IN_HEADER = {
    "PatientName": "Quillfeather^Odalys",
    "PatientID": "ZQPID48213",
    "PatientBirthDate": "19470629",
    "PatientAddress": "Wobblethorpe Lane 7",
    "PatientTelephoneNumbers": "5550193847",
    "PatientMotherBirthName": "Snorkeldottir",
    "IssuerOfPatientID": "ZQISSUER77",
    "AccessionNumber": "ZQACC90417",
    "InstitutionName": "Brackenfell Infirmary",
    "ReferringPhysicianName": "Vandersloot^Ignaas",
    "OperatorsName": "Tumbleweir^Rosamund",
    "StationName": "ZQSTATION5",
    "StudyDescription": "thorax of Pemberquist",
    "ImageComments": "daughter of Marrowgate",
    "PatientComments": "lives at Fennimore House",
}
IN_SEQUENCES = {"other id": "ZQOTHER3391", "request": "asked by Dr Lumpkinsmith", "deeper": "ZQDEEP60218"}
IN_PRIVATE = {"text": "ZQPRIVATE1184", "unknown": "ZQUNKNOWN5520"}
IN_PLACES = {"folder": "Gristlewick_Anna", "file": "Hobblestone_Bert", "column": "Zaphodine_Mary"}
IN_SYSTEM = {"user": "zqloginname", "home": "zqhomefolder"}
PLANTED = {**IN_HEADER, **IN_SEQUENCES, **IN_PRIVATE, **IN_PLACES, **IN_SYSTEM}
UID_ROOT = "1.2.826.0.1.3680043.10.770077"

# Written here by the user's own hand or for the user's own eyes; never sent to a store.
LOCAL = ("cohort", "incoming", "findings")


def tokens(value: str) -> list[bytes]:
    """The pieces of a planted value that tell who it is: whole for codes, each name for names."""
    names = [word for word in value.replace("^", " ").replace("_", " ").split() if len(word) > 5]
    return [word.lower().encode() for word in {value, *names}]


def header(patient: int, film: int) -> Dataset:
    """A film's header with everything planted; patients differ in the digits behind it."""
    data = Dataset()
    for name, value in IN_HEADER.items():
        setattr(data, name, value)
    data.PatientID = f"{IN_HEADER['PatientID']}{patient}"
    other, request, deeper = Dataset(), Dataset(), Dataset()
    other.PatientID = IN_SEQUENCES["other id"]
    request.RequestedProcedureDescription = IN_SEQUENCES["request"]
    deeper.PatientID = IN_SEQUENCES["deeper"]
    other.ReferencedPatientSequence = Sequence([deeper])
    data.OtherPatientIDsSequence, data.RequestAttributesSequence = Sequence([other]), Sequence([request])
    block = data.private_block(0x0011, "ZQ MAKER", create=True)
    block.add_new(0x01, "LO", IN_PRIVATE["text"])
    block.add_new(0x02, "UN", IN_PRIVATE["unknown"].encode())
    data.SOPClassUID, data.Modality = DigitalXRayImageStorageForPresentation, "DX"
    data.StudyInstanceUID = f"{UID_ROOT}.{patient}"
    data.SeriesInstanceUID = f"{UID_ROOT}.{patient}.1"
    data.SOPInstanceUID = f"{UID_ROOT}.{patient}.1.{film}"
    return data


def write(path: Path, patient: int, film: int, bright: bool, rng: np.random.Generator) -> None:
    data = header(patient, film)
    pixels = rng.integers(0, 1000, (64, 64))
    pixels[16:48, 16:48] += 2000 if bright else 0
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelData = pixels.astype("<u2").tobytes()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)


def write_cohort(root: Path, patients: range) -> None:
    """Class folders with a folder a patient, a table beside them, and one broken file with a name that tells."""
    rng = np.random.default_rng(3)
    rows = []
    for patient in patients:
        for film in range(2):
            kind = ("clear", "shadow")[patient % 2]
            place = Path(kind, f"{IN_PLACES['folder']}_{patient}", f"{IN_PLACES['file']}_{patient}_{film}.dcm")
            write(root / place, patient, film, patient % 2 == 1, rng)
            rows.append({"path": place.as_posix(), "label": kind, "patient": f"{IN_PLACES['column']}_{patient}"})
    whole = (root / rows[0]["path"]).read_bytes()
    (root / "clear" / f"{IN_PLACES['file']}_cut.dcm").write_bytes(whole[:-3000])
    with (root / "table.csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, ["path", "label", "patient"])
        writer.writeheader()
        writer.writerows(rows)


PROGRAM = """
import json, sys
from medcnn.cli.main import main
for words, expected in json.loads(sys.argv[1]):
    code = main(words)
    if code != expected:
        sys.exit(f"{words[0]} ended with {code}, expected {expected}")
"""


def steps() -> list[tuple[list[str], int]]:
    """Everything a user does, once with a table and once with folders and the patient from the header."""
    config = ["--config", str(configs_folder() / "experiment" / "demo.yaml"), "--trainer.max_epochs", "1"]
    table = [*config, "--data.init_args.source", "cohort/table.csv"]
    folders = [*config, "--data.init_args.source", "cohort", "--data.init_args.patient", "dicom"]
    model = "models:/planted@champion"
    return [
        (["fit", *table, "--register", "planted"], 0),
        (["test", *table, "--ckpt_path", model], 0),
        (["fit", *folders, "--register", "planted"], 0),
        (["test", *folders, "--ckpt_path", model], 0),
        (["validate", *folders, "--ckpt_path", model], 0),
        (["report", "last", "--out", "page"], 0),
        (["score", model, "incoming", "findings"], 3),
    ]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all of it has been done, with what was printed in ``printed.txt``."""
    home = tmp_path_factory.mktemp("identifiers") / IN_SYSTEM["home"]
    home.mkdir()
    write_cohort(home / "cohort", range(24))
    write_cohort(home / "incoming", range(24, 28))
    user = IN_SYSTEM["user"]
    environment = {**os.environ, "USER": user, "LOGNAME": user, "USERNAME": user, "HOME": str(home)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    with (home / "printed.txt").open("w") as printed:
        words = [sys.executable, "-c", PROGRAM, json.dumps(steps())]
        done = subprocess.run(
            words, cwd=home, env=environment, stdout=printed, stderr=printed, timeout=TIME_LIMIT_S, check=False
        )
    text = (home / "printed.txt").read_text()
    assert done.returncode == 0, text[-4000:]
    return home


def written_by_us(home: Path) -> dict[str, bytes]:
    """Every file that is neither the user's own nor for the user's eyes alone, packed tables unpacked."""
    found = {}
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home)
        if path.is_file() and name.parts[0] not in LOCAL:
            table = pq.read_table(path).to_pandas().to_csv().encode() if path.suffix == ".parquet" else b""
            found[str(name)] = path.read_bytes().lower() + table.lower()
    return found


def test_twenty_five_are_planted(workplace: Path) -> None:
    assert len(PLANTED) == 25
    everything = b"".join(path.read_bytes().lower() for path in (workplace / "cohort").rglob("*") if path.is_file())
    names = " ".join(str(path) for path in (workplace / "cohort").rglob("*")).lower()
    for part, value in PLANTED.items():
        if part not in IN_SYSTEM:
            assert value.lower().encode() in everything or value.lower() in names, f"{part} is not planted"


@pytest.mark.parametrize("part", PLANTED)
def test_no_planted_identifier_leaves_the_cohort(workplace: Path, part: str) -> None:
    found = [
        f"{name}: {token.decode()}"
        for name, content in written_by_us(workplace).items()
        for token in tokens(PLANTED[part])
        if token in content or token.decode() in name.lower()
    ]
    assert not found


def test_no_uid_leaves_the_cohort(workplace: Path) -> None:
    assert not [name for name, content in written_by_us(workplace).items() if UID_ROOT.encode() in content]


def test_the_search_finds_what_is_there(workplace: Path) -> None:
    # Without runs, artifacts and a log to look through, the tests above would pass on an empty folder.
    found = written_by_us(workplace)
    assert b"val/auroc" in found["mlflow.db"]
    assert any(name.startswith("mlartifacts") for name in found)
    assert b"test/auroc" in found["printed.txt"]
    assert "page/report.html" in found
    for name in ("test/embedding.csv", "test/examination.json", "test/predictions.csv", "report/report.html"):
        assert any(path.startswith("mlartifacts") and path.endswith(name) for path in found), name


def test_the_findings_lead_back_to_the_films(workplace: Path) -> None:
    with (workplace / "findings" / "findings.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 8
    assert all((workplace / "incoming" / row["path"]).is_file() for row in rows)
    assert all(row["sop"].startswith(UID_ROOT) for row in rows)
