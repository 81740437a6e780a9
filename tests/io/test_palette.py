"""Palette color is looked up as the header means it, in either byte order, and never grows beyond its table."""

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medcnn.errors import ReadError
from medcnn.io.dicom_write import write_film
from medcnn.io.palette import palette_luminance
from medcnn.io.read import read_film

COLORS = ("Red", "Green", "Blue")


def palette(data: bytes, descriptor: tuple[int, int, int], kind: str = "", little: bool = True) -> Dataset:
    """A header whose three palettes are equal, so that the luminance of each index is its entry."""
    header = Dataset()
    header.set_original_encoding(False, little)
    for color in COLORS:
        header.add_new(f"{color}PaletteColorLookupTableDescriptor", "US", list(descriptor))
        header.add_new(f"{kind}{color}PaletteColorLookupTableData", "OW", data)
    return header


@pytest.mark.parametrize("little", [True, False])
def test_words_are_read_in_the_byte_order_of_the_file(little: bool) -> None:
    entries = np.array([7, 256, 4095, 60000], "<u2" if little else ">u2")
    header = palette(entries.tobytes(), (4, 0, 16), little=little)
    assert palette_luminance(np.array([[3, 2, 1, 0]]), header, False).tolist() == [[60000, 4095, 256, 7]]


def test_indices_outside_the_table_take_its_ends() -> None:
    header = palette(np.array([10, 20, 30, 40], np.uint8).tobytes(), (4, 100, 8))
    stored = np.array([[0, 99, 100, 103, 104, 65535]], np.uint16)
    assert palette_luminance(stored, header, False).tolist() == [[10, 10, 10, 40, 40, 40]]


def test_negative_indices_are_not_counted_from_the_end() -> None:
    header = palette(np.array([10, 20, 30, 40], np.uint8).tobytes(), (4, 65534, 8))
    stored = np.array([[-3, -2, -1, 0, 1, 2]], np.int16)
    assert palette_luminance(stored, header, True).tolist() == [[10, 10, 20, 30, 40, 40]]


def test_bytes_of_more_than_256_entries_do_not_wrap() -> None:
    entries = (np.arange(1024) // 4).astype(np.uint8)
    stored = np.array([[0, 255, 256, 1023]], np.uint16)
    assert palette_luminance(stored, palette(entries.tobytes(), (1024, 0, 8)), False).tolist() == [[0, 63, 64, 255]]


def test_segments_are_expanded_as_the_standard_says() -> None:
    # By hand (PS3.3 C.7.9.2): two entries as they are, then four on the way from 20 to 60.
    data = struct.pack("<7H", 0, 2, 10, 20, 1, 4, 60)
    header = palette(data, (6, 0, 16), "Segmented")
    stored = np.arange(6, dtype=np.uint16)[None]
    assert palette_luminance(stored, header, False).tolist() == [[10, 20, 30, 40, 50, 60]]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((0, 1, 5, *(1, 65535, 9) * 2000), "bomb"),
        ((0, 1, 5, *(2, 65535, 0, 0) * 2000), "bad_header"),
        ((0, 1, 5, 1, 3, 9), "bad_header"),
        ((7, 1, 5), "bad_header"),
        ((0, 1, 5, 2, 1), "bad_header"),
    ],
    ids=["linear", "indirect", "too few", "unknown kind", "cut short"],
)
def test_segments_that_give_another_number_are_refused(words: tuple[int, ...], code: str) -> None:
    header = palette(struct.pack(f"<{len(words)}H", *words), (256, 0, 16), "Segmented")
    with pytest.raises(ReadError) as caught:
        palette_luminance(np.zeros((2, 2), np.uint16), header, False)
    assert caught.value.code == code


def test_a_palette_without_data_is_refused(tmp_path: Path) -> None:
    write_film(tmp_path / "a.dcm", np.eye(8, dtype=np.uint8), photometric="PALETTE COLOR", modality="OT")
    with pytest.raises(ReadError) as caught:
        read_film(tmp_path / "a.dcm")
    assert caught.value.code == "bad_header"
