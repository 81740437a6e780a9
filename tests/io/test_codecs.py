import contextlib
from pathlib import Path

import numpy as np
import pytest

from medcnn.errors import ReadError
from medcnn.io.codecs import NATIVE, Layout, decode, installed_codecs
from medcnn.io.dicom_write import write_film
from medcnn.io.read import read_film

LOSSLESS = [
    *NATIVE,
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.201",
]
LOSSY = [f"1.2.840.10008.1.2.4.{end}" for end in ("51", "81", "91", "203")]


def film(dtype: type, bits: int) -> np.ndarray:
    """A gradient with noise over the whole range of the stored bits, its ends included; odd numbers of pixels."""
    low = -(1 << (bits - 1)) if np.dtype(dtype).kind == "i" else 0
    values = np.linspace(0, (1 << bits) - 1, 51 * 37).reshape(51, 37) + np.random.default_rng(1).normal(0, 3, (51, 37))
    values[0, 0], values[-1, -1] = 0, (1 << bits) - 1
    return (values.clip(0, (1 << bits) - 1).round() + low).astype(dtype)


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize(
    ("dtype", "bits"), [(np.uint8, 8), (np.uint16, 12), (np.uint16, 16), (np.int16, 12), (np.int16, 16)]
)
def test_a_film_is_the_same_in_each_lossless_syntax(tmp_path: Path, syntax: str, dtype: type, bits: int) -> None:
    pixels = film(dtype, bits)
    write_film(tmp_path / "a.dcm", pixels, bits_stored=bits, transfer_syntax=syntax)
    decoded = read_film(tmp_path / "a.dcm")
    assert np.array_equal(decoded.pixels, pixels)
    assert "lossy" not in decoded.flags


@pytest.mark.parametrize("syntax", LOSSY)
def test_a_lossy_film_is_close_and_says_so(tmp_path: Path, syntax: str) -> None:
    pixels = film(np.uint16, 12)
    write_film(tmp_path / "a.dcm", pixels, transfer_syntax=syntax)
    decoded = read_film(tmp_path / "a.dcm")
    assert np.abs(decoded.pixels.astype(int) - pixels).max() < 60
    assert "lossy" in decoded.flags


def test_ringing_beyond_the_stored_bits_does_not_wrap_to_black(tmp_path: Path) -> None:
    pixels = np.full((64, 64), 1023, np.uint16)
    pixels[::7, ::5] = 0  # sharp dots make a lossy encoder overshoot
    write_film(tmp_path / "a.dcm", pixels, bits_stored=10, transfer_syntax="1.2.840.10008.1.2.4.51")
    decoded = read_film(tmp_path / "a.dcm").pixels
    assert decoded[pixels == 1023].min() > 512


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70"])
def test_encoded_rgb_gives_its_luminance(tmp_path: Path, syntax: str) -> None:
    from PIL import Image

    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    write_film(tmp_path / "a.dcm", rgb, photometric="RGB", modality="OT", bits_stored=8, transfer_syntax=syntax)
    expected = np.asarray(Image.fromarray(rgb).convert("L"))
    decoded = read_film(tmp_path / "a.dcm")
    assert np.array_equal(decoded.pixels, expected)
    assert "color" in decoded.flags


def test_each_syntax_has_a_decoder_here_and_what_lacks_one_says_what_to_install() -> None:
    rows = installed_codecs()
    assert {row.uid for row in rows} >= {*LOSSLESS, *LOSSY}
    assert all(bool(row.decoder) != bool(row.install) for row in rows)


def test_an_unknown_syntax_is_refused_without_a_word_of_what_the_header_held() -> None:
    layout = Layout(4, 4, 1, 8, 8, 7, False, False, "MONOCHROME2")
    for syntax, shown in (("1.2.840.10008.1.2.4.103", True), ("Doe^Jane", False), ("1.2.3.4", False)):
        with pytest.raises(ReadError) as caught:
            decode(b"\0" * 64, syntax, layout)
        assert caught.value.code == "no_decoder"
        assert (syntax in str(caught.value)) == shown


def test_a_stream_of_another_size_is_refused_before_it_is_decoded() -> None:
    # Start of image, a frame header of 65535 x 65535: nothing to decode, gigabytes to allocate.
    bomb = bytes.fromhex("ffd8ffc3000b0cffffffff01011100")
    layout = Layout(64, 64, 1, 16, 12, 11, False, False, "MONOCHROME2")
    with pytest.raises(ReadError, match="65535 x 65535") as caught:
        decode(bomb, "1.2.840.10008.1.2.4.70", layout)
    assert caught.value.code == "bad_header"


@pytest.mark.parametrize("end", ["51", "70", "80", "90", "201"])
def test_a_stream_cut_short_inside_an_intact_file_is_refused_and_not_half_gray(tmp_path: Path, end: str) -> None:
    import pydicom
    from pydicom.encaps import encapsulate, get_frame

    write_film(tmp_path / "a.dcm", film(np.uint16, 12), transfer_syntax=f"1.2.840.10008.1.2.4.{end}")
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    whole = get_frame(dataset.PixelData, 0, number_of_frames=1)
    for share in (0.4, 0.9):
        dataset.PixelData = encapsulate([whole[: int(share * len(whole)) // 2 * 2]])
        dataset.save_as(tmp_path / "b.dcm")
        with pytest.raises(ReadError) as caught:
            read_film(tmp_path / "b.dcm")
        assert caught.value.code == "truncated"


def test_damaged_streams_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    chance = np.random.default_rng(0)
    for syntax in ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.80"):
        write_film(tmp_path / "a.dcm", film(np.uint16, 12), transfer_syntax=syntax)
        data = bytearray((tmp_path / "a.dcm").read_bytes())
        for _ in range(40):
            hurt = bytearray(data)
            hurt[int(chance.integers(len(hurt) - 1200, len(hurt)))] ^= 255
            (tmp_path / "b.dcm").write_bytes(hurt)
            with contextlib.suppress(ReadError):
                read_film(tmp_path / "b.dcm")
    assert capfd.readouterr() == ("", "")
