"""Write a film as DICOM: for phantoms, tests and benchmarks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from medcnn.io.codecs import NATIVE

_OBJECTS = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
}
_UNKNOWN = """
    PatientName PatientBirthDate PatientSex StudyDate StudyTime StudyID SeriesNumber AccessionNumber
    ReferringPhysicianName Manufacturer PatientOrientation Laterality InstanceNumber
"""

# Bits are those stored: an encoder that is told fewer than 16 packs better and marks the stream rightly.
_Encode = Callable[[np.ndarray, int], bytes | bytearray]
_ENCODERS: dict[str, _Encode] = {
    "1.2.840.10008.1.2.4.50": lambda pixels, bits: imagecodecs.jpeg8_encode(pixels, level=95),
    "1.2.840.10008.1.2.4.51": lambda pixels, bits: imagecodecs.jpeg8_encode(pixels, level=95, bitspersample=12),
    "1.2.840.10008.1.2.4.57": lambda pixels, bits: _jpeg_lossless(pixels, bits, predictor=4),
    "1.2.840.10008.1.2.4.70": lambda pixels, bits: _jpeg_lossless(pixels, bits, predictor=1),
    "1.2.840.10008.1.2.4.80": lambda pixels, bits: imagecodecs.jpegls_encode(_unsigned(pixels)),
    "1.2.840.10008.1.2.4.81": lambda pixels, bits: imagecodecs.jpegls_encode(_unsigned(pixels), level=2),
    "1.2.840.10008.1.2.4.90": lambda pixels, bits: _jpeg_2000(pixels, bits, reversible=True),
    "1.2.840.10008.1.2.4.91": lambda pixels, bits: _jpeg_2000(pixels, bits, reversible=False),
    "1.2.840.10008.1.2.4.201": lambda pixels, bits: imagecodecs.htj2k_encode(pixels, reversible=True),
    "1.2.840.10008.1.2.4.203": lambda pixels, bits: imagecodecs.htj2k_encode(pixels, reversible=False),
}


_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in ("50", "51", "81", "91", "203"))


def _unsigned(pixels: np.ndarray) -> np.ndarray:
    return pixels.view(f"u{pixels.dtype.itemsize}")


def _jpeg_lossless(pixels: np.ndarray, bits: int, predictor: int) -> bytes | bytearray:
    values = _unsigned(pixels) & ((1 << bits) - 1)
    return imagecodecs.jpeg8_encode(values, lossless=True, predictor=predictor, bitspersample=bits)


def _jpeg_2000(pixels: np.ndarray, bits: int, reversible: bool) -> bytes | bytearray:
    level = 0 if reversible else 60
    return imagecodecs.jpeg2k_encode(pixels, level, codecformat="j2k", reversible=reversible, bitspersample=bits)


def write_film(
    path: Path,
    pixels: np.ndarray,
    *,
    photometric: str = "MONOCHROME2",
    bits_stored: int = 12,
    modality: str = "DX",
    patient_id: str = "",
    study_uid: str = "",
    series_uid: str = "",
    sop_uid: str = "",
    transfer_syntax: str = ExplicitVRLittleEndian,
    spacing_mm: tuple[float, float] | None = (0.2, 0.2),
    **elements: Any,
) -> None:
    """A DX, CR, MG or secondary capture file with the stored values ``pixels``.

    Args:
        path: File to write.
        pixels: Stored values ``(rows, columns)`` in uint8, uint16, int8 or int16, or RGB uint8 ``(rows, columns, 3)``.
        photometric: Photometric interpretation; says how the values are meant and changes none.
        bits_stored: Bits that carry a value; at most those of the dtype.
        modality: ``DX``, ``CR``, ``MG``; any other makes a secondary capture.
        patient_id: Patient ID.
        study_uid: Study instance UID, made up if empty; likewise ``series_uid`` and ``sop_uid``.
        transfer_syntax: UID of a native syntax, RLE, or one with an encoder here.
        spacing_mm: Distance of rows and of columns at the detector, or None.
        **elements: Further elements by keyword, such as ``WindowCenter=2048``; None removes one.

    Raises:
        ValueError: If the pixels do not fit what is said of them, or the syntax has no encoder here.
    """
    bits_stored = min(bits_stored, 8 * pixels.dtype.itemsize)
    check_writable(pixels, bits_stored, str(transfer_syntax))
    dataset = _described(pixels, photometric, bits_stored, modality)
    dataset.PatientID = patient_id
    dataset.StudyInstanceUID = study_uid or generate_uid()
    dataset.SeriesInstanceUID = series_uid or generate_uid()
    dataset.SOPInstanceUID = sop_uid or generate_uid()
    if spacing_mm is not None:
        dataset.ImagerPixelSpacing = list(spacing_mm)
    for keyword, value in elements.items():
        if value is None:
            dataset.pop(keyword, None)
        else:
            setattr(dataset, keyword, value)
    save_frames(Path(path), dataset, [pixels], UID(transfer_syntax), bits_stored)


def check_writable(pixels: np.ndarray, bits: int, syntax: str) -> None:
    """Raise ValueError where pixels do not fit their bits, or the syntax has no encoder here."""
    if pixels.dtype.kind not in "ui" or pixels.dtype.itemsize > 2 or pixels.ndim not in (2, 3):
        raise ValueError(f"expected 2-D or RGB pixels of 8 or 16 bits, got {pixels.dtype} {pixels.shape}")
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if pixels.dtype.kind == "i" else (0, (1 << bits) - 1)
    if pixels.size == 0 or pixels.min() < low or pixels.max() > high:
        raise ValueError(f"expected values from {low} to {high} for {bits} bits stored")
    if syntax not in NATIVE and syntax not in _ENCODERS and syntax != RLELossless:
        raise ValueError(f"no encoder for transfer syntax {syntax}")


def _described(pixels: np.ndarray, photometric: str, bits_stored: int, modality: str) -> Dataset:
    dataset = Dataset()
    for keyword in _UNKNOWN.split():
        setattr(dataset, keyword, "")
    dataset.SOPClassUID = _OBJECTS.get(modality, _OBJECTS["OT"])
    dataset.Modality = modality
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = photometric
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = bits_stored, bits_stored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.BurnedInAnnotation = "NO"
    dataset.ConversionType = "SYN"
    if modality in ("DX", "MG"):
        dataset.PresentationIntentType = "FOR PRESENTATION"
        dataset.PresentationLUTShape = "INVERSE" if photometric == "MONOCHROME1" else "IDENTITY"
        dataset.PixelIntensityRelationship = "LOG"
        dataset.PixelIntensityRelationshipSign = 1 if photometric == "MONOCHROME1" else -1
        dataset.ImageLaterality = "U"
        dataset.LossyImageCompression = "00"
    return dataset


def save_frames(path: Path, dataset: Dataset, frames: Sequence[np.ndarray], syntax: UID, bits: int) -> None:
    """Write a file whose pixels are ``frames`` of one dtype, of which ``bits`` carry a value."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    little = syntax != ExplicitVRBigEndian
    file = FileDataset(path, dataset, bytes(128), meta, syntax == ImplicitVRLittleEndian, little)
    if syntax in _LOSSY:
        file.LossyImageCompression = "01"
    if syntax in _ENCODERS:
        file.PixelData = encapsulate([bytes(_ENCODERS[syntax](np.ascontiguousarray(one), bits)) for one in frames])
    else:
        file.PixelData = _native(np.stack(frames), bits, little)
    file["PixelData"].VR = "OB" if syntax in _ENCODERS or frames[0].dtype.itemsize == 1 else "OW"
    if syntax == RLELossless:
        file.compress(RLELossless, generate_instance_uid=False)
    file.save_as(path, enforce_file_format=True)


def _native(pixels: np.ndarray, bits: int, little: bool) -> bytes:
    """Two's complement in the stored bits, those beside them empty, padded to an even length."""
    values = _unsigned(np.ascontiguousarray(pixels)) & ((1 << bits) - 1)
    data = values.astype(values.dtype.newbyteorder("<" if little else ">")).tobytes()
    return data + bytes(len(data) % 2)
