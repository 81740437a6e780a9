from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from medcnn.errors import ReadError
from medcnn.io.find import REASONS
from medcnn.io.raster import read_raster

GRAY = np.random.default_rng(0).integers(0, 256, (37, 51), np.uint8)
DEEP = np.random.default_rng(1).integers(0, 65536, (37, 51), np.uint16)
COLOR = np.random.default_rng(2).integers(0, 256, (37, 51, 3), np.uint8)


def saved(folder: Path, name: str, pixels: np.ndarray, mode: str | None = None, **how: Any) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(folder / name, **how)
    return folder / name


def code_of(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        read_raster(path)
    assert str(caught.value).startswith(path.name + ": ")
    assert str(path.parent) not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("pixels", [GRAY, DEEP], ids=["8 bits", "16 bits"])
def test_gray_of_both_depths_keeps_its_values(tmp_path: Path, name: str, pixels: np.ndarray) -> None:
    film = read_raster(saved(tmp_path, name, pixels))
    assert film.pixels.dtype == pixels.dtype
    assert np.array_equal(film.pixels, pixels)
    assert film.flags == ("no_spacing",)


def test_a_gray_jpeg_is_what_pillow_decodes(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.jpeg", GRAY)
    assert np.array_equal(read_raster(path).pixels, np.asarray(Image.open(path)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_color_becomes_the_luminance_that_pillow_gives(tmp_path: Path, mode: str) -> None:
    path = saved(tmp_path, "a.png", COLOR, mode)
    film = read_raster(path)
    assert np.array_equal(film.pixels, np.asarray(Image.open(path).convert("RGB").convert("L")))
    assert "color" in film.flags
    assert ("alpha" in film.flags) == (mode == "RGBA")


def test_gray_stored_as_color_is_gray(tmp_path: Path) -> None:
    film = read_raster(saved(tmp_path, "a.png", np.dstack([GRAY] * 3)))
    assert np.array_equal(film.pixels, GRAY)
    assert "color" not in film.flags


def test_sixteen_bit_color_keeps_its_depth(tmp_path: Path) -> None:
    import imagecodecs

    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.dstack([DEEP] * 3)))
    film = read_raster(tmp_path / "a.png")
    assert film.pixels.dtype == np.uint16
    assert np.array_equal(film.pixels, DEEP)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    film = read_raster(saved(tmp_path, "a.png", GRAY > 128))
    assert film.pixels.dtype == np.uint8
    assert np.array_equal(film.pixels, np.where(GRAY > 128, 255, 0))


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored rows and columns as the EXIF standard defines the orientation."""
    return {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.T,
        6: np.rot90(stored, -1), 7: stored[::-1, ::-1].T, 8: np.rot90(stored, 1),
    }[orientation]  # fmt: skip


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_the_orientation_in_exif_is_honored(tmp_path: Path, turn: int, name: str) -> None:
    exif = Image.Exif()
    exif[274] = turn
    film = read_raster(saved(tmp_path, name, GRAY, exif=exif))
    assert np.array_equal(film.pixels, upright(GRAY, turn))


@pytest.mark.parametrize("turn", range(1, 9))
def test_the_orientation_of_deep_color_is_honored(tmp_path: Path, turn: int) -> None:
    color = np.dstack([DEEP] * 3)
    tifffile.imwrite(tmp_path / "a.tif", color, photometric="rgb", extratags=[(274, "H", 1, turn, True)])
    assert np.array_equal(read_raster(tmp_path / "a.tif").pixels, upright(DEEP, turn))


@pytest.mark.parametrize("pixels", [GRAY, DEEP], ids=["8 bits", "16 bits"])
def test_a_tiff_that_stores_white_as_zero_is_turned(tmp_path: Path, pixels: np.ndarray) -> None:
    top = np.iinfo(pixels.dtype).max
    tifffile.imwrite(tmp_path / "a.tif", top - pixels, photometric="miniswhite")
    assert np.array_equal(read_raster(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits", "zstd"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_is_read_in_either_byte_order_and_compressed(tmp_path: Path, compression: str, order: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DEEP, compression=compression, byteorder=order, photometric="minisblack")
    assert np.array_equal(read_raster(tmp_path / "a.tif").pixels, DEEP)


def test_sixteen_bit_color_in_a_tiff_keeps_its_depth(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([DEEP] * 3), photometric="rgb")
    assert np.array_equal(read_raster(tmp_path / "a.tif").pixels, DEEP)


def test_several_pages_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GRAY, GRAY]), photometric="minisblack")
    assert code_of(tmp_path / "a.tif") == "multiframe"


@pytest.mark.parametrize("name", ["a.jpeg", "a.png"])
def test_a_film_that_ends_early_is_refused_and_not_half_gray(tmp_path: Path, name: str) -> None:
    data = saved(tmp_path, name, GRAY).read_bytes()
    for end in range(4, len(data) - 14, 23):
        (tmp_path / "cut.img").write_bytes(data[:end])
        assert code_of(tmp_path / "cut.img") in ("truncated", "decode_failed"), end


def test_more_pixels_than_any_film_has_are_refused(tmp_path: Path) -> None:
    data = bytearray(saved(tmp_path, "a.png", GRAY).read_bytes())
    import zlib

    for side in (13000, 60000):  # the first passes Pillow's own limit
        data[16:24] = side.to_bytes(4, "big") * 2
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
        (tmp_path / "b.png").write_bytes(data)
        assert code_of(tmp_path / "b.png") == "too_large"


@pytest.mark.parametrize("name", ["a.png", "a.jpeg", "a.tif"])
def test_a_damaged_file_gives_a_film_or_a_read_error_and_nothing_else(tmp_path: Path, name: str) -> None:
    data = saved(tmp_path, name, GRAY).read_bytes()
    codes: set[str] = set()
    chance = np.random.default_rng(3)
    for _ in range(200):
        hurt = bytearray(data)
        for _ in range(3):
            hurt[int(chance.integers(2, len(hurt)))] ^= 1 << int(chance.integers(8))
        (tmp_path / "b").write_bytes(hurt)
        try:
            assert read_raster(tmp_path / "b").pixels.ndim == 2
        except ReadError as error:
            codes.add(error.code)
    assert codes <= REASONS.keys()


@pytest.mark.parametrize("name", ["a.png", "a.jpeg", "a.tif"])
def test_a_resolution_that_differs_by_axis_gives_square_pixels(tmp_path: Path, name: str) -> None:
    # 200 pixels an inch across and 100 down: a pixel is twice as high as it is wide.
    film = read_raster(saved(tmp_path, name, GRAY, dpi=(200, 100)))
    assert film.pixels.shape == (74, 51)
    assert film.flags == ("no_spacing", "non_square_pixels") or film.flags == ("non_square_pixels", "no_spacing")
    turned = Image.Exif()
    turned[274] = 6
    assert read_raster(saved(tmp_path, name, GRAY, dpi=(200, 100), exif=turned)).pixels.shape == (51, 74)
    assert read_raster(saved(tmp_path, name, GRAY, dpi=(300, 300))).pixels.shape == (37, 51)


def test_a_ratio_without_a_unit_counts(tmp_path: Path) -> None:
    data = saved(tmp_path, "a.jpeg", GRAY).read_bytes()
    at = data.index(b"JFIF\0") + 7
    (tmp_path / "a.jpeg").write_bytes(data[:at] + bytes.fromhex("00 0001 0002") + data[at + 5 :])
    assert read_raster(tmp_path / "a.jpeg").pixels.shape == (37, 102)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint32])
def test_samples_of_a_tiff_keep_their_sign(tmp_path: Path, dtype: type) -> None:
    ends = np.iinfo(dtype)
    pixels = np.array([[ends.min, 1], [100, ends.max]], dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    assert read_raster(tmp_path / "a.tif").pixels.astype(np.float32).tolist() == pixels.astype(np.float32).tolist()


def test_pages_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Pillow needs five minutes for 200,000 of them, which a file of 35 MB holds.
    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile.n_frames", property(lambda _: pytest.fail("counted")))
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GRAY] * 3), photometric="minisblack")
    assert code_of(tmp_path / "a.tif") == "multiframe"


def test_channels_count_towards_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import imagecodecs

    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(np.dstack([DEEP] * 3)))
    tifffile.imwrite(tmp_path / "deep.tif", np.dstack([DEEP] * 3), photometric="rgb")
    Image.fromarray(COLOR).save(tmp_path / "progressive.jpeg", progressive=True)
    monkeypatch.setenv("MEDCNN_MAX_PIXELS", str(DEEP.size))
    for name in ("deep.png", "deep.tif", "progressive.jpeg"):
        assert code_of(tmp_path / name) == "too_large", name
    assert read_raster(saved(tmp_path, "a.png", COLOR)).pixels.shape == COLOR.shape[:2]


def test_reasons_tell_the_file_system_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_of(tmp_path / "gone.png") == "unreadable"
    path = saved(tmp_path, "a.png", GRAY)
    (tmp_path / "cut.png").write_bytes(path.read_bytes()[:60])
    assert code_of(tmp_path / "cut.png") == "truncated"

    def fail(error: Exception) -> None:
        def load(_: Image.Image) -> None:
            raise error

        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)

    fail(MemoryError())
    assert code_of(path) == "out_of_memory"
    fail(OSError(5, "Input/output error"))
    assert code_of(path) == "unreadable"
    fail(OSError("broken data stream when reading image file"))
    assert code_of(path) == "decode_failed"
