"""Coverage-guided fuzzing of the readers: whatever the bytes, an image that is consistent or a reason.

    python tests/fuzz/fuzz_readers.py TARGET CORPUS [libFuzzer options]

TARGET is a key of ``TARGETS``; CORPUS is a folder that new inputs are added to, filled with seeds by ``write_seeds``.
Decoders in C are left out unless ``MEDCNN_FUZZ_CODECS=1``: they have fuzzers of their own, score survives their crashes
in its workers, and one crash would end a run that looks for other faults.

An input that ends the run is written to the working directory and is repeated by giving it in place of CORPUS.
"""

import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["medcnn", "pydicom", "nibabel"]):
    from medcnn.errors import MedcnnError, ReadError
    from medcnn.io import codecs
    from medcnn.io.find import REASONS
    from medcnn.io.read import read_film, read_volume
    from medcnn.io.series import find_series
    from medcnn.io.table import read_table
    from medcnn.printable import printable

import numpy as np
import pydicom
from pydicom.data import get_testdata_files

#: Seeds above this size teach a fuzzer little and slow it down.
MAX_SEED_BYTES = 40_000
#: What an input of a few kilobytes may cost; libFuzzer's own limit counts what the process that started it held.
MAX_BYTES = 2 << 30
#: The same series as the seeds have: the fuzzed file may join it.
_SLICES = 3

folder = Path(tempfile.mkdtemp(prefix="medcnn_fuzz_"))


def read_radiograph(data: bytes) -> None:
    """Read one file as a 2-D image."""
    path = folder / "image"
    path.write_bytes(data)
    try:
        image = read_film(path)
    except ReadError as error:
        _check_reason(error)
        return
    assert image.pixels.ndim == 2
    assert image.pixels.size > 0
    assert np.isfinite(image.affine).all()
    assert np.array_equal(image.pixels, read_film(path).pixels, equal_nan=True), "two readings differ"


def read_nifti(data: bytes) -> None:
    """Read one file as a volume."""
    path = folder / "volume.nii"
    path.write_bytes(data)
    try:
        _check_volume(read_volume(path))
    except ReadError as error:
        _check_reason(error)


def read_dicom_series(data: bytes) -> None:
    """Read a folder of two intact slices and one of any bytes; every file is in a series or has a reason."""
    series = folder / "series"
    series.mkdir(exist_ok=True)
    for number in range(_SLICES - 1):
        if not (series / f"{number}.dcm").exists():
            _slice(number).save_as(series / f"{number}.dcm")
    (series / "fuzzed.dcm").write_bytes(data)
    inventory = find_series(series)
    listed = {path.name for one in inventory.series for path in one.paths} | {
        path.name for path, *_ in inventory.skipped
    }
    assert listed == {path.name for path in series.iterdir()}, "a file is in no series and has no reason"
    assert all(code in REASONS for _, code, _ in inventory.skipped)
    try:
        _check_volume(read_volume(series))
    except ReadError as error:
        _check_reason(error)


def read_cells(data: bytes) -> None:
    """Read a table of cases."""
    path = folder / "cases.csv"
    path.write_bytes(data)
    try:
        read_table(path)
    except MedcnnError as error:
        _check_line(error)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "radiograph": read_radiograph,
    "nifti": read_nifti,
    "series": read_dicom_series,
    "table": read_cells,
}


def _check_volume(volume: object) -> None:
    voxels, affine = volume.voxels, volume.affine  # type: ignore[attr-defined]
    assert voxels.ndim == 3
    assert voxels.size > 0
    assert np.isfinite(affine).all()
    assert abs(np.linalg.det(affine[:3, :3])) > 0, "voxels without a volume"


def _check_reason(error: ReadError) -> None:
    assert error.code in REASONS, f"unknown reason {error.code}"
    assert error.code != "out_of_memory", "a few kilobytes were given gigabytes"
    _check_line(error)


def _check_line(error: Exception) -> None:
    assert printable(error) == str(error), f"not one printable line: {str(error)!r}"


def _slice(number: int) -> pydicom.Dataset:
    dataset = pydicom.dcmread(get_testdata_files("CT_small.dcm")[0])
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number + 1}"
    dataset.ImagePositionPatient = [*dataset.ImagePositionPatient[:2], dataset.ImagePositionPatient[2] + 5 * number]
    return dataset


def leave_out_native_decoders() -> None:
    """Let every encoded image that is not RLE decode to zeros of the size that was checked."""
    decode_natively = codecs._first_that_decodes

    def decode(data: bytes, syntax: str, layout: codecs.Layout) -> np.ndarray:
        if syntax == codecs._RLE:
            return decode_natively(data, syntax, layout)
        shape = (layout.rows, layout.columns, layout.samples)[: 2 if layout.samples == 1 else 3]
        return np.zeros(shape, np.uint8 if layout.bits_allocated <= 8 else np.uint16)

    codecs._first_that_decodes = decode


def write_seeds(target: str, corpus: Path) -> None:
    """Fill a corpus with the small test files of pydicom and nibabel."""
    import nibabel

    corpus.mkdir(parents=True, exist_ok=True)
    if target == "table":
        (corpus / "plain").write_text("path,label,patient\na.png,normal,1\nb.png,sick,2\n")
        (corpus / "excel").write_bytes("\ufeffpath;label;age\na\\b.png;0,5;45,5\n".encode("utf-16"))
        return
    if target == "nifti":
        names = (Path(nibabel.__file__).parent / "tests" / "data").iterdir()
        seeds = [path for path in names if path.name.endswith((".nii", ".nii.gz", ".hdr", ".mgz"))]
    else:
        seeds = [Path(name) for name in get_testdata_files() if Path(name).is_file()]
    for seed in seeds:
        if seed.stat().st_size <= MAX_SEED_BYTES:
            shutil.copy(seed, corpus / f"{seed.parent.name}_{seed.name}")
    if target == "series":
        _slice(_SLICES - 1).save_as(corpus / "third_slice")


def main() -> None:
    """Fuzz one target until libFuzzer's options end it."""
    target, corpus, *options = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
    if not os.environ.get("MEDCNN_FUZZ_CODECS"):
        leave_out_native_decoders()
    if not Path(corpus).is_file():
        write_seeds(target, Path(corpus))
    atheris.Setup([sys.argv[0], corpus, *options], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
