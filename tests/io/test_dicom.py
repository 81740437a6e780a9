from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

from medcnn.errors import ReadError
from medcnn.io.dicom_write import write_film
from medcnn.io.film import Film
from medcnn.io.find import REASONS, find_files
from medcnn.io.read import read_film

PYDICOM = Path(pydicom.__file__).parent / "data"
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def films_of_pydicom() -> list[Path]:
    """pydicom's test files and, where it is installed, pydicom-data's; names of one folder and one other."""
    roots = [PYDICOM]
    try:
        import data_store

        roots.append(Path(data_store.__file__).parent / "data")
    except ImportError:
        pass
    return [one.path for root in roots for one in find_files(root) if one.kind == "dicom"]


def changed(path: Path, change: Callable[[Dataset], None]) -> Path:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


def code_of(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        read_film(path)
    assert str(caught.value).startswith(path.name + ": ")
    assert "\n" not in str(caught.value)
    return caught.value.code


def shown_by_pydicom(path: Path) -> np.ndarray:
    dataset = pydicom.dcmread(path)
    pixels = dataset.pixel_array
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
    elif dataset.SamplesPerPixel == 1:
        pixels = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset)
        return -pixels.astype(float) if dataset.PhotometricInterpretation == "MONOCHROME1" else pixels.astype(float)
    return pixels.astype(float) @ [0.299, 0.587, 0.114]


def test_every_file_of_pydicom_ends_in_a_film_or_in_a_known_reason() -> None:
    paths = films_of_pydicom()
    outcomes: dict[str, int] = {}
    for path in paths:
        try:
            film = read_film(path)
            outcome = "film"
            assert film.pixels.ndim == 2
            assert film.pixels.dtype.name in ("uint8", "int16", "uint16", "int32", "float32")
        except ReadError as error:
            outcome = error.code
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert set(outcomes) <= {*REASONS, "film"}
    assert sum(outcomes.values()) == len(paths)
    assert outcomes["film"] > 60


def _line(given: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Least-squares slope and offset of one image against another."""
    centered = given - given.mean()
    slope = float((centered * found).sum() / (centered**2).sum())
    return slope, float(found.mean() - slope * given.mean())


def test_what_pydicom_can_show_is_shown_alike() -> None:
    compared = 0
    for path in films_of_pydicom():
        if "J2K" in path.name and path.stat().st_size > 500_000:  # seconds each, and their uncompressed twins are here
            continue
        try:
            film = read_film(path)
            expected = shown_by_pydicom(path)
        except (ReadError, RuntimeError, NotImplementedError, AttributeError, KeyError, ValueError, InvalidDicomError):
            continue
        if path.name == "OBXXXX1A_expb.dcm":  # pydicom reads the palette in the wrong byte order
            expected = shown_by_pydicom(path.with_name("OBXXXX1A.dcm"))
        if "padding" in film.flags or film.pixels.shape != expected.shape or np.ptp(expected) == 0:
            continue
        if "color" in film.flags:
            error = np.abs(expected - film.pixels).max() / 255 / (257 if film.pixels.dtype == np.uint16 else 1)
        else:
            # The same up to the units: pydicom's window comes out in the units of its input, ours from 0 to 65534.
            slope, offset = _line(expected, film.pixels)
            # One step of ours is where rounding alone may differ.
            steps = np.abs(expected * slope + offset - film.pixels).max()
            error = 0 if steps <= 1 else steps / np.ptp(film.pixels)
            assert slope > 0, path.name
        assert error < (0.02 if "lossy" in film.flags else 0.01 if "color" in film.flags else 1e-4), path.name
        compared += 1
    assert compared > 50


@pytest.mark.parametrize("bits", [8, 10, 12, 15])
def test_bits_beside_the_stored_ones_are_masked(tmp_path: Path, bits: int) -> None:
    stored = (RAMP & ((1 << bits) - 1)).astype(np.uint16)
    write_film(tmp_path / "a.dcm", stored, bits_stored=bits)
    overlay = np.random.default_rng(0).integers(0, 1 << (16 - bits), RAMP.shape) << bits

    def draw(dataset: Dataset) -> None:
        dataset.PixelData = (stored | overlay).astype("<u2").tobytes()

    assert np.array_equal(read_film(changed(tmp_path / "a.dcm", draw)).pixels, stored)


def test_a_high_bit_above_the_stored_ones_shifts_them_down(tmp_path: Path) -> None:
    write_film(tmp_path / "a.dcm", RAMP)

    def lift(dataset: Dataset) -> None:
        dataset.HighBit, dataset.PixelData = 15, ((RAMP << 4) | 5).astype("<u2").tobytes()

    assert np.array_equal(read_film(changed(tmp_path / "a.dcm", lift)).pixels, RAMP)


@pytest.mark.parametrize("planar", [0, 1])
def test_rgb_becomes_the_luminance_that_pillow_gives(tmp_path: Path, planar: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    write_film(tmp_path / "a.dcm", rgb, photometric="RGB", modality="OT")

    def arrange(dataset: Dataset) -> None:
        dataset.PlanarConfiguration = planar
        dataset.PixelData = (np.moveaxis(rgb, -1, 0) if planar else rgb).tobytes()

    film = read_film(changed(tmp_path / "a.dcm", arrange))
    assert np.array_equal(film.pixels, np.asarray(Image.fromarray(rgb).convert("L")))
    assert film.flags == ("color",)


def test_a_header_gives_uids_spacing_and_flags(tmp_path: Path) -> None:
    write_film(
        tmp_path / "a.dcm", RAMP, modality="MG", study_uid="1.2.3", series_uid="1.2.4", sop_uid="1.2.5",
        spacing_mm=(0.05, 0.05), BurnedInAnnotation="YES", PresentationIntentType="FOR PROCESSING",
    )  # fmt: skip
    film = read_film(tmp_path / "a.dcm")
    assert (film.study, film.series, film.sop, film.modality) == ("1.2.3", "1.2.4", "1.2.5", "MG")
    assert np.diag(film.affine).tolist() == [0.05, 0.05, 1, 1]
    assert film.flags == ("burned_in", "for_processing")


def test_calibrated_spacing_goes_before_that_of_the_detector(tmp_path: Path) -> None:
    write_film(tmp_path / "a.dcm", RAMP, spacing_mm=(0.2, 0.2), PixelSpacing=[0.1, 0.1])
    assert np.diag(read_film(tmp_path / "a.dcm").affine)[:2].tolist() == [0.1, 0.1]
    write_film(tmp_path / "a.dcm", RAMP, spacing_mm=None)
    assert read_film(tmp_path / "a.dcm").flags == ("no_spacing",)


def test_a_file_without_preamble_or_file_meta_is_read(tmp_path: Path) -> None:
    write_film(tmp_path / "a.dcm", RAMP)
    data = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "b.dcm").write_bytes(data[132:])
    start = data.index(b"\x08\x00\x16\x00", 132)
    (tmp_path / "c.dcm").write_bytes(data[start:])
    for name in ("b.dcm", "c.dcm"):
        assert np.array_equal(read_film(tmp_path / name).pixels, RAMP)


REFUSED: list[tuple[str, Callable[[Dataset], None]]] = [
    ("multiframe", lambda d: setattr(d, "NumberOfFrames", 2)),
    ("no_pixels", lambda d: d.pop("PixelData")),
    ("bad_header", lambda d: d.pop("Rows")),
    ("bad_header", lambda d: setattr(d, "Rows", 0)),
    ("bad_header", lambda d: setattr(d, "Columns", 65)),
    ("bad_header", lambda d: setattr(d, "BitsStored", 17)),
    ("bad_header", lambda d: setattr(d, "HighBit", 3)),
    ("bad_header", lambda d: setattr(d, "BitsAllocated", 12)),
    ("too_large", lambda d: (setattr(d, "Rows", 65535), setattr(d, "Columns", 65535))[0]),
    ("unsupported_photometric", lambda d: setattr(d, "PhotometricInterpretation", "HSV")),
    ("unsupported_photometric", lambda d: setattr(d, "SamplesPerPixel", 4)),
    ("unsupported_object", lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.104.1")),
    ("unsupported_object", lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.33")),
    ("unsupported_object", lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.481.2")),
]


@pytest.mark.parametrize(("code", "change"), REFUSED)
def test_what_is_no_film_is_refused_with_its_reason(
    tmp_path: Path, code: str, change: Callable[[Dataset], None]
) -> None:
    write_film(tmp_path / "a.dcm", RAMP)
    assert code_of(changed(tmp_path / "a.dcm", change)) == code


@pytest.mark.parametrize(("share", "code"), [(0.99, "truncated"), (0.5, "truncated")])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.80"])
def test_a_file_that_ends_early_is_truncated(tmp_path: Path, share: float, code: str, syntax: str) -> None:
    noise = np.random.default_rng(0).integers(0, 4096, (64, 64), np.uint16)
    write_film(tmp_path / "a.dcm", noise, transfer_syntax=syntax)
    data = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(data[: int(share * len(data))])
    assert code_of(tmp_path / "a.dcm") == code


def test_a_zip_bomb_is_refused_before_it_has_grown(tmp_path: Path) -> None:
    import resource

    write_film(tmp_path / "a.dcm", RAMP, transfer_syntax="1.2.840.10008.1.2.1.99")
    data = (tmp_path / "a.dcm").read_bytes()
    import zlib

    start = 132 + 12 + int.from_bytes(data[140:144], "little")  # where the file meta group ends
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(150)) + packer.flush()
    (tmp_path / "a.dcm").write_bytes(data[:start] + bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert code_of(tmp_path / "a.dcm") == "bomb"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 120 * 1024


def test_no_refusal_quotes_the_header(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret = "PLANTED7391"
    for code, change in REFUSED:
        write_film(tmp_path / "a.dcm", RAMP, patient_id=secret, PatientName=secret, StudyID=secret, StationName=secret)
        with pytest.raises(ReadError) as caught:
            read_film(changed(tmp_path / "a.dcm", change))
        assert secret not in str(caught.value), code
    write_film(tmp_path / "a.dcm", RAMP)
    data = (tmp_path / "a.dcm").read_bytes()
    for old, new in ((b"MONOCHROME2 ", secret.encode() + b" "), (b"1.2.840.10008.1.2.1\0", b"PLANTED7391.2.3.4.5\0")):
        (tmp_path / "b.dcm").write_bytes(data.replace(old, new))
        assert secret not in code_and_words(tmp_path / "b.dcm")
    assert secret not in "".join(capfd.readouterr())


def code_and_words(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        read_film(path)
    return f"{caught.value.code} {caught.value}"


DAMAGED = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"] + [
    f"1.2.840.10008.1.2.4.{end}" for end in ("51", "70", "80", "90", "201")
]


@pytest.mark.parametrize("syntax", DAMAGED)
def test_a_damaged_file_gives_a_film_or_a_read_error_and_nothing_else(tmp_path: Path, syntax: str) -> None:
    small = RAMP[:24, :20].copy()
    write_film(tmp_path / "a.dcm", small, transfer_syntax=syntax, WindowCenter=[40, 80], WindowWidth=[400, 300])
    data = (tmp_path / "a.dcm").read_bytes()
    codes: set[str] = set()
    chance = np.random.default_rng(7)
    for trial in range(220):
        hurt = bytearray(data)
        if trial % 3 == 0:
            del hurt[int(chance.integers(1, len(hurt))) :]
        for _ in range(trial % 5):
            at = int(chance.integers(128, len(hurt))) if len(hurt) > 130 else 0
            hurt[at] ^= 1 << int(chance.integers(8))
        (tmp_path / "b.dcm").write_bytes(hurt)
        try:
            assert isinstance(read_film(tmp_path / "b.dcm"), Film)
        except ReadError as error:
            codes.add(error.code)
    assert codes <= REASONS.keys()
