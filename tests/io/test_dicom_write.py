from pathlib import Path

import numpy as np
import pydicom
import pytest

from medcnn.io.dicom_write import write_film

PIXELS = np.arange(35, dtype=np.uint16).reshape(5, 7)


@pytest.mark.parametrize(
    ("modality", "name"),
    [
        ("CR", "Computed Radiography"),
        ("DX", "Digital X-Ray"),
        ("MG", "Digital Mammography"),
        ("OT", "Secondary Capture"),
    ],
)
def test_each_modality_is_an_object_of_its_own(tmp_path: Path, modality: str, name: str) -> None:
    write_film(tmp_path / "a.dcm", PIXELS, modality=modality)
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    assert name in dataset.SOPClassUID.name
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"]
)
@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_pydicom_reads_the_pixels_back(tmp_path: Path, syntax: str, dtype: type) -> None:
    pixels = PIXELS.astype(dtype) - (17 if dtype is np.int16 else 0)
    bits = 16 if syntax.endswith(".80") else 12
    write_film(tmp_path / "a.dcm", pixels, transfer_syntax=syntax, bits_stored=bits)
    assert np.array_equal(pydicom.dcmread(tmp_path / "a.dcm").pixel_array, pixels)


def test_elements_are_set_by_keyword_and_removed_by_none(tmp_path: Path) -> None:
    write_film(tmp_path / "a.dcm", PIXELS, patient_id="7", PatientSex="F", BurnedInAnnotation=None)
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    assert (dataset.PatientID, dataset.PatientSex) == ("7", "F")
    assert "BurnedInAnnotation" not in dataset


@pytest.mark.parametrize(
    ("pixels", "how"),
    [
        (PIXELS.astype(np.float32), {}),
        (PIXELS + 4095, {}),
        (PIXELS[:0], {}),
        (PIXELS, {"transfer_syntax": "1.2.840.10008.1.2.4.103"}),
    ],
)
def test_what_cannot_be_written_is_a_mistake_of_the_caller(
    tmp_path: Path, pixels: np.ndarray, how: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"expected|no encoder"):
        write_film(tmp_path / "a.dcm", pixels, **how)
