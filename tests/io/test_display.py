import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from medcnn.errors import ReadError
from medcnn.io.dicom_write import write_film
from medcnn.io.film import Film
from medcnn.io.read import read_film

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
SIGNED = RAMP.astype(np.int16) - 2048


def reread(folder: Path, pixels: np.ndarray, **how: Any) -> Film:
    write_film(folder / "a.dcm", pixels, **how)
    return read_film(folder / "a.dcm")


def second_library(path: Path) -> np.ndarray:
    """pydicom's own pixels, modality and VOI, as shares of the range they came out in."""
    dataset = pydicom.dcmread(path)
    values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    return np.asarray(values, np.float64)


def lookup_table(first: int, values: np.ndarray, bits: int) -> Dataset:
    entry = Dataset()
    entry.LUTDescriptor = [len(values), first, bits]
    entry.LUTData = values.astype("<u2").tobytes()
    entry["LUTDescriptor"].VR, entry["LUTData"].VR = "US" if first >= 0 else "SS", "OW"
    entry.ModalityLUTType = "US"
    return entry


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(2048, 4096), (1000, 501), (600.5, 77.25), (3000, 5000), (40, 1)])
@pytest.mark.parametrize("pixels", [RAMP, SIGNED], ids=["unsigned", "signed"])
def test_a_window_is_the_one_of_pydicom(
    tmp_path: Path, function: str, center: float, width: float, pixels: np.ndarray
) -> None:
    film = reread(tmp_path, pixels, WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    low, high = float(pixels.min()), float(pixels.max())
    expected = (second_library(tmp_path / "a.dcm") - low) / (high - low)
    assert film.pixels.dtype == np.uint16
    assert film.pixels / 65534 == pytest.approx(expected, abs=1e-5)


def test_a_linear_window_is_what_the_standard_writes() -> None:
    # PS3.3 C.11.2.1.2: with center 2048 and width 4096 every value from 0 to 4095 keeps its share of the range.
    from medcnn.io.display import _windowed

    assert _windowed(np.array([-5, 0, 4095, 9999]), 2048, 4096, "LINEAR").tolist() == [0, 0, 65534, 65534]
    assert _windowed(np.array([2047.5]), 2048, 4096, "LINEAR").tolist() == [32767]


def test_of_several_windows_the_first_counts(tmp_path: Path) -> None:
    several = reread(tmp_path, RAMP, WindowCenter=[1000, 50], WindowWidth=[500, 10])
    assert np.array_equal(several.pixels, reread(tmp_path, RAMP, WindowCenter=1000, WindowWidth=500).pixels)


@pytest.mark.parametrize("window", [{"WindowCenter": 5}, {"WindowCenter": 5, "WindowWidth": 0}])
def test_a_window_that_cannot_be_one_is_left_out_with_a_flag(tmp_path: Path, window: dict[str, float]) -> None:
    film = reread(tmp_path, RAMP, **window)
    assert np.array_equal(film.pixels, RAMP)
    assert "voi_ignored" in film.flags


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [(1, -1024, np.int16), (2, 0, np.int16), (0.5, 0, np.float32)]
)
def test_rescale_gives_modality_values_in_the_narrowest_type(
    tmp_path: Path, slope: float, intercept: float, dtype: type
) -> None:
    film = reread(tmp_path, RAMP, RescaleSlope=slope, RescaleIntercept=intercept)
    assert film.pixels.dtype == dtype
    assert film.pixels.tolist() == second_library(tmp_path / "a.dcm").tolist()


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_a_modality_table_is_the_one_of_pydicom(tmp_path: Path, syntax: str) -> None:
    table = lookup_table(100, np.sqrt(np.arange(2000)) * 90, 16)
    film = reread(tmp_path, RAMP, ModalityLUTSequence=[table], transfer_syntax=syntax, RescaleSlope=None)
    assert film.pixels.tolist() == second_library(tmp_path / "a.dcm").tolist()


@pytest.mark.parametrize(("pixels", "first"), [(RAMP, 500), (SIGNED, -300)], ids=["unsigned", "signed"])
def test_a_voi_table_is_the_one_of_pydicom_and_goes_before_a_window(
    tmp_path: Path, pixels: np.ndarray, first: int
) -> None:
    table = lookup_table(first, np.linspace(0, 1, 1024) ** 2 * 4095, 12)
    film = reread(tmp_path, pixels, VOILUTSequence=[table], WindowCenter=10, WindowWidth=20)
    assert film.pixels.tolist() == second_library(tmp_path / "a.dcm").tolist()


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    table = lookup_table(0, np.arange(16), 12)
    del table.LUTData
    with pytest.raises(ReadError) as caught:
        reread(tmp_path, RAMP, VOILUTSequence=[table])
    assert caught.value.code == "bad_header"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bits=st.integers(6, 16),
    signed=st.booleans(),
    slope=st.sampled_from([1, 2, 0.25, 1.7]),
    intercept=st.sampled_from([0, -1000, 12.5]),
    window=st.one_of(st.none(), st.tuples(st.integers(-2000, 5000), st.integers(1, 9000))),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    seed=st.integers(0, 9),
)
def test_monochrome1_is_the_film_that_inverted_monochrome2_is(
    tmp_path: Path,
    bits: int,
    signed: bool,
    slope: float,
    intercept: float,
    window: tuple[int, int] | None,
    function: str,
    seed: int,
) -> None:
    low = -(1 << (bits - 1)) if signed else 0
    high = low + (1 << bits) - 1
    stored = np.random.default_rng(seed).integers(low, high + 1, (9, 7)).astype(np.int16 if signed else np.uint16)
    how: dict[str, Any] = {"bits_stored": bits, "RescaleSlope": slope, "RescaleIntercept": intercept}
    mirrored = dict(how)
    if window is not None:
        center, width = window
        # Mirrored about the middle of the modality range; LINEAR puts its middle half a step below the center.
        ends = (low + high) * slope + 2 * intercept
        how |= {"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": function}
        shift = 1 if function == "LINEAR" else 0
        mirrored |= how | {"WindowCenter": ends - center + shift}
    first = reread(tmp_path, stored, photometric="MONOCHROME1", **how)
    second = reread(tmp_path, (low + high - stored.astype(int)).astype(stored.dtype), **mirrored)
    if window is None or (window[1] > 1 and slope in (1, 2, 0.25)):  # exact in binary
        assert np.array_equal(first.pixels, second.pixels)
    else:
        assert first.pixels == pytest.approx(second.pixels, abs=1 if window[1] > 1 else 65534)
    assert first.pixels.dtype == second.pixels.dtype


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_brighter_means_more_signal_and_inverse_turns_once(tmp_path: Path, photometric: str) -> None:
    film = reread(tmp_path, RAMP, photometric=photometric, PresentationLUTShape="INVERSE")
    assert np.array_equal(film.pixels, 4095 - RAMP.astype(int))


def test_a_voi_table_is_turned_within_its_own_range(tmp_path: Path) -> None:
    table = lookup_table(0, np.arange(4096) // 16, 8)
    film = reread(tmp_path, RAMP, photometric="MONOCHROME1", VOILUTSequence=[table])
    assert np.array_equal(film.pixels, 255 - RAMP // 16)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2048, "WindowWidth": 4096}], ids=["plain", "window"])
def test_padding_is_never_brighter_than_the_film(tmp_path: Path, photometric: str, window: dict[str, int]) -> None:
    pixels = np.full((20, 20), 1000, np.uint16)
    pixels[5:15, 5:15] = 3000
    pixels[0], pixels[-1] = 0, 4095
    film = reread(tmp_path, pixels, photometric=photometric, PixelPaddingValue=0, **window)
    assert (film.pixels[0] == film.pixels[1:].min()).all()
    assert "padding" in film.flags


def test_a_range_of_padding_is_padding(tmp_path: Path) -> None:
    film = reread(tmp_path, RAMP, PixelPaddingValue=0, PixelPaddingRangeLimit=9)
    assert film.pixels.ravel()[:12].tolist() == [10] * 10 + [10, 11]


def test_thirty_two_bit_pixels_keep_their_values(tmp_path: Path) -> None:
    write_film(tmp_path / "a.dcm", RAMP, photometric="MONOCHROME1")
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 32, 20, 19
    dataset.PixelData = (RAMP.astype("<u4") * 200).tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(tmp_path / "a.dcm")
    assert read_film(tmp_path / "a.dcm").pixels.tolist() == ((1 << 20) - 1 - RAMP.astype(int) * 200).tolist()
