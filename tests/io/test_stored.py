"""The pixel element is read as its header, its length and its code stream agree, or refused."""

from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from medcnn.errors import ReadError
from medcnn.io.color import luminance
from medcnn.io.dicom_write import write_film
from medcnn.io.film import Film
from medcnn.io.read import read_film

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
Y, X = np.indices((64, 64))
RGB = np.stack([(X * 4) % 256, (Y * 4) % 256, (X + Y) * 2 % 256], -1).astype(np.uint8)
YBR = convert_color_space(RGB, "RGB", "YBR_FULL")


def reread(folder: Path, change: Callable[[Dataset], None], pixels: np.ndarray = RAMP, **how: object) -> Film:
    write_film(folder / "a.dcm", pixels, **how)  # type: ignore[arg-type]
    dataset = pydicom.dcmread(folder / "a.dcm")
    change(dataset)
    dataset.save_as(folder / "a.dcm")
    return read_film(folder / "a.dcm")


def color(folder: Path, pixels: np.ndarray, photometric: str, syntax: str, data: bytes | None = None) -> Film:
    def paint(dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, photometric, 0
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.Rows, dataset.Columns = pixels.shape[:2]
        dataset.PixelData = pixels.tobytes() if data is None else encapsulate([data])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", data is not None

    return reread(folder, paint)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("padding", [-2000, 63536, 4095, -1])
def test_padding_outside_the_stored_bits_is_no_tissue(tmp_path: Path, signed: bool, padding: int) -> None:
    # Twelve bits stored of sixteen; a cell may hold more than those twelve bits, and then only as a whole.
    low = -2048 if signed else 0
    cells = (RAMP.astype(np.int32) + low).astype(np.int16 if signed else np.uint16)
    cells[:8, :8] = padding % 65536 if not signed else (padding + 32768) % 65536 - 32768
    is_padding = cells == cells[0, 0]

    def pad(dataset: Dataset) -> None:
        dataset.PixelData = cells.tobytes()
        dataset.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)

    film = reread(tmp_path, pad, RAMP.astype(np.int16) - 2048 if signed else RAMP)
    assert film.flags == ("padding",)
    assert np.array_equal(film.pixels[~is_padding], cells[~is_padding])
    assert (film.pixels[is_padding] == cells[~is_padding].min()).all()


def test_full_samples_under_a_subsampled_name_are_read(tmp_path: Path) -> None:
    expected = color(tmp_path, YBR, "YBR_FULL", ExplicitVRLittleEndian)
    found = color(tmp_path, YBR, "YBR_FULL_422", ExplicitVRLittleEndian)
    assert np.array_equal(found.pixels, expected.pixels)
    assert set(found.flags) - set(expected.flags) == {"pixels_not_subsampled"}


def test_more_pixels_than_announced_are_refused(tmp_path: Path) -> None:
    def double(dataset: Dataset) -> None:
        dataset.PixelData = dataset.PixelData * 2

    def narrow(dataset: Dataset) -> None:
        dataset.Columns -= 1

    for change in (double, narrow):
        with pytest.raises(ReadError, match="announces") as caught:
            reread(tmp_path, change)
        assert caught.value.code == "bad_header"


def test_one_value_behind_the_last_pixel_is_padding(tmp_path: Path) -> None:
    def pad(dataset: Dataset) -> None:
        dataset.PixelData = dataset.PixelData + bytes(128)

    film = reread(tmp_path, pad)
    assert np.array_equal(film.pixels, RAMP)
    assert film.flags == ("extra_pixel_bytes",)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGBaseline8Bit])
def test_raw_pixels_under_a_compressed_name_are_read(tmp_path: Path, syntax: str) -> None:
    write_film(tmp_path / "a.dcm", RAMP)
    raw = (tmp_path / "a.dcm").read_bytes()
    name = ExplicitVRLittleEndian.encode() + b"\0"
    wrong = syntax.encode().ljust(len(name), b"\0")
    if len(wrong) > len(name):
        element = b"\x02\x00\x10\x00UI"
        at = raw.index(element)
        size = len(wrong) + len(wrong) % 2
        raw = raw[: at + 6] + size.to_bytes(2, "little") + wrong.ljust(size, b"\0") + raw[at + 8 + len(name) :]
        group = raw.index(b"\x02\x00\x00\x00UL\x04\x00") + 8
        length = int.from_bytes(raw[group : group + 4], "little") + size - len(name)
        raw = raw[:group] + length.to_bytes(4, "little") + raw[group + 4 :]
    else:
        raw = raw.replace(name, wrong, 1)
    (tmp_path / "a.dcm").write_bytes(raw)
    film = read_film(tmp_path / "a.dcm")
    assert np.array_equal(film.pixels, RAMP)
    assert set(film.flags) - {"lossy"} == {"pixels_not_encoded"}
    (tmp_path / "a.dcm").write_bytes(raw.replace(b"\x40\x00", b"\x41\x00", 1))
    with pytest.raises(ReadError):
        read_film(tmp_path / "a.dcm")


@pytest.mark.parametrize(
    ("photometric", "pixels", "transform", "flag"),
    [
        ("YBR_FULL", YBR, False, False),
        ("RGB", RGB, False, False),
        ("YBR_RCT", RGB, True, False),
        ("RGB", RGB, True, False),
        ("YBR_FULL", RGB, True, True),
        ("YBR_RCT", RGB, False, True),
    ],
)
def test_jpeg_2000_color_follows_its_transform(
    tmp_path: Path, photometric: str, pixels: np.ndarray, transform: bool, flag: bool
) -> None:
    data = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True, mct=transform)
    film = color(tmp_path, pixels, photometric, JPEG2000Lossless, bytes(data))
    assert np.abs(film.pixels.astype(int) - luminance(RGB)).max() <= 1
    assert ("color_contradicted" in film.flags) == flag


@pytest.mark.parametrize(("photometric", "flag"), [("YBR_FULL_422", False), ("YBR_FULL", False), ("RGB", True)])
def test_baseline_color_follows_its_own_markers(tmp_path: Path, photometric: str, flag: bool) -> None:
    smooth = np.repeat(np.repeat(RGB[::16, ::16], 16, 0), 16, 1)
    data = bytes(imagecodecs.jpeg8_encode(smooth, level=100))
    assert b"JFIF" in data[:32]
    film = color(tmp_path, smooth, photometric, JPEGBaseline8Bit, data)
    assert np.abs(film.pixels.astype(int) - luminance(smooth)).mean() < 4
    assert ("color_contradicted" in film.flags) == flag


def test_a_second_frame_that_nothing_announces_is_refused(tmp_path: Path) -> None:
    frame = bytes(imagecodecs.jpeg8_encode((RAMP >> 4).astype(np.uint8), level=95))

    def twice(dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.PixelData = encapsulate([frame, frame])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True

    with pytest.raises(ReadError) as caught:
        reread(tmp_path, twice)
    assert caught.value.code == "multiframe"


@pytest.mark.parametrize("keyword", ["RescaleIntercept", "RescaleSlope", "WindowCenter", "WindowWidth"])
@pytest.mark.parametrize("text", ["-1024,0", "40.5 ", "+3", "1e2", "nan", "1,024", "abc", "1.0.0"])
def test_a_number_is_read_or_refused_never_replaced(tmp_path: Path, keyword: str, text: str) -> None:
    others = {"WindowCenter": 2000, "WindowWidth": 3000, "RescaleSlope": 1, "RescaleIntercept": 0}
    readable = {"-1024,0": -1024.0, "40.5 ": 40.5, "+3": 3.0, "1e2": 100.0}
    write_film(tmp_path / "a.dcm", RAMP, **{**others, keyword: "12345678"})
    raw = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(raw.replace(b"12345678", text.encode().ljust(8), 1))
    if text not in readable:
        with pytest.raises(ReadError, match=keyword) as caught:
            read_film(tmp_path / "a.dcm")
        assert caught.value.code == "bad_header"
        return
    found = read_film(tmp_path / "a.dcm")
    write_film(tmp_path / "b.dcm", RAMP, **{**others, keyword: readable[text]})
    expected = read_film(tmp_path / "b.dcm")
    assert np.array_equal(found.pixels, expected.pixels)
    assert found.flags == expected.flags
