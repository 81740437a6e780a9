"""Radiographs in PNG, JPEG and TIFF to films."""

from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from medcnn.errors import ReadError
from medcnn.io.color import luminance
from medcnn.io.film import Film
from medcnn.io.limits import MAX_PIXELS

_GRAY_MODES: dict[str, type[np.generic]] = {
    "L": np.uint8,
    "I;16": np.uint16,
    "I;16L": np.uint16,
    "I;16B": np.uint16,
    "I": np.int32,
    "F": np.float32,
}
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_TILE_WIDTH, _TIFF_TILE_LENGTH = 258, 262, 322, 323
_TILE_FREE = 1 << 22


def read_raster(path: Path) -> Film:
    """The image in a PNG, JPEG or TIFF file; color becomes luminance with the flag ``color``.

    The orientation in EXIF is honored, 16 bits stay 16 bits, and a TIFF that stores white as zero is turned.

    Raises:
        ReadError: With one of ``medcnn.io.find.REASONS``; its message names the file by its name only.
    """
    path = Path(path)
    try:
        pixels, flags = _pixels(path)
    except ReadError as error:
        raise ReadError(error.code, f"{path.name}: {error}") from None
    except MemoryError:
        raise ReadError("out_of_memory", f"{path.name}: needs more memory than there is") from None
    except Image.DecompressionBombError:
        raise ReadError("too_large", f"{path.name}: more than {MAX_PIXELS} pixels") from None
    except PermissionError:
        raise ReadError("unreadable", f"{path.name}: may not be read; check its permissions") from None
    except Exception as error:  # noqa: BLE001  # Pillow and the C libraries under it raise what they like
        code = "truncated" if "truncated" in str(error) or isinstance(error, EOFError) else "decode_failed"
        raise ReadError(code, f"{path.name}: cannot be decoded ({type(error).__name__}); copy the file again") from None
    return Film(pixels, flags=(*flags, "no_spacing"))


def _pixels(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    with Image.open(path, formats=("PNG", "JPEG", "TIFF")) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ReadError("too_large", f"{image.height} x {image.width} pixels; at most {MAX_PIXELS} are read")
        if image.format not in ("JPEG", "MPO") and getattr(image, "n_frames", 1) > 1:
            raise ReadError("multiframe", "the file holds several pages; expected one film")
        if image.format == "PNG" and _is_deep_color_png(path):
            return _deep_color_png(path)
        if isinstance(image, TiffImageFile):
            _check_tiles(image)
        if isinstance(image, TiffImageFile) and len(image.getbands()) > 1 and _depth(image) > 8:
            return _by_tifffile(path)
        white_is_zero = isinstance(image, TiffImageFile) and image.tag_v2.get(_TIFF_PHOTOMETRIC) == 0
        image.load()
        return _gray(ImageOps.exif_transpose(image), white_is_zero)


def _check_tiles(image: TiffImageFile) -> None:
    """Refuse a tile far larger than the image, which a decoder would allocate whole."""
    tile = float(image.tag_v2.get(_TIFF_TILE_WIDTH, 1)) * float(image.tag_v2.get(_TIFF_TILE_LENGTH, 1))
    if tile > max(_TILE_FREE, 4 * image.width * image.height):
        raise ReadError("bomb", f"an image of {image.height} x {image.width} pixels in a tile of {tile:.0f}")


def _gray(image: Image.Image, white_is_zero: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    if image.mode == "1":
        image = image.convert("L")
    if image.mode in _GRAY_MODES:
        pixels = np.array(image, dtype=_GRAY_MODES[image.mode])
        if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
            raise ReadError("decode_failed", "the image holds values that are not numbers")
        # Pillow turns white-is-zero itself up to 8 bits and not above.
        return (65535 - pixels if white_is_zero and pixels.dtype == np.uint16 else pixels), ()
    alpha = "A" in image.getbands() or "transparency" in image.info
    return _gray_of_color(np.asarray(image.convert("RGB")), alpha)


def _gray_of_color(rgb: np.ndarray, alpha: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """Luminance, and the flags that apply; gray stored as three equal channels is gray."""
    first = rgb[..., 0]
    colored = not all(np.array_equal(first, rgb[..., channel]) for channel in (1, 2))
    flags = [*(["alpha"] if alpha else []), *(["color"] if colored else [])]
    return (luminance(rgb) if colored else first.copy()), tuple(flags)


def _depth(image: TiffImageFile) -> int:
    return max(image.tag_v2.get(_TIFF_BITS, (1,)))


def _by_tifffile(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Color of more than 8 bits, which Pillow would cut down to 8."""
    import tifffile  # takes a while to import and few films need it

    with tifffile.TiffFile(path) as file:
        page = file.pages[0]  # not a series, whose size a description may give
        if np.prod(page.shape, dtype=np.float64) > 4 * MAX_PIXELS:
            raise ReadError("too_large", f"more than {MAX_PIXELS} pixels")
        values = page.asarray()
    if values.ndim == 3 and values.shape[0] in (3, 4) and values.shape[2] not in (3, 4):
        values = np.moveaxis(values, 0, -1)
    if values.ndim != 3 or values.shape[2] not in (3, 4) or values.dtype != np.uint16:
        raise ReadError("decode_failed", f"color of shape {values.shape} in {values.dtype}; expected 16-bit RGB")
    return _gray_of_color(values, values.shape[2] == 4)


def _is_deep_color_png(path: Path) -> bool:
    """Whether a PNG has 16 bits a channel and more than one: Pillow would drop the lower eight."""
    with path.open("rb") as stream:
        head = stream.read(26)
    return head[24] == 16 and head[25] != 0


def _deep_color_png(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    values = imagecodecs.png_decode(path.read_bytes())
    if values.shape[-1] == 2:
        return np.ascontiguousarray(values[..., 0]), ("alpha",)
    return _gray_of_color(values, values.shape[-1] == 4)
