"""Radiographs in PNG, JPEG and TIFF to films."""

from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image, ImageFile, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from medcnn.errors import ReadError
from medcnn.io.color import luminance
from medcnn.io.film import Film
from medcnn.io.limits import check_decoded_bytes, check_pixels
from medcnn.io.square_pixels import with_square_pixels

_GRAY_MODES: dict[str, type[np.generic]] = {
    "L": np.uint8,
    "I;16": np.uint16,
    "I;16L": np.uint16,
    "I;16B": np.uint16,
    "I": np.int32,
    "F": np.float32,
}
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 258, 262, 339
_TIFF_X_RESOLUTION, _TIFF_Y_RESOLUTION = 282, 283
_TIFF_TILE_WIDTH, _TIFF_TILE_LENGTH = 322, 323
_TILE_FREE = 1 << 22
_SIGNED = 2
_EXIF_ORIENTATION = 274


def read_raster(path: Path) -> Film:
    """The image in a PNG, JPEG or TIFF file; color becomes luminance with the flag ``color``.

    The orientation in EXIF is honored, 16 bits stay 16 bits, and a TIFF that stores white as zero is turned. Where the
    resolution of rows and columns differs, the image is resampled to square pixels with the flag ``non_square_pixels``.

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
        raise ReadError("too_large", f"{path.name}: more pixels than any radiograph has") from None
    except PermissionError:
        raise ReadError("unreadable", f"{path.name}: may not be read; check its permissions") from None
    except Exception as error:  # noqa: BLE001  # Pillow and the C libraries under it raise what they like
        raise _undecodable(path, error) from None
    return Film(pixels, flags=(*flags, "no_spacing"))


def _undecodable(path: Path, error: Exception) -> ReadError:
    """Name the reason of a decoder's exception: the file system, an early end or damage."""
    if isinstance(error, OSError) and error.errno:  # Pillow's own have no number
        return ReadError("unreadable", f"{path.name}: cannot be read ({type(error).__name__})")
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return ReadError("truncated", f"{path.name}: the file ends before its image does; copy it again")
    return ReadError("decode_failed", f"{path.name}: cannot be decoded ({type(error).__name__}); copy the file again")


def _pixels(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    # By a stream: of a path, Pillow maps an uncompressed TIFF into memory, and scrambles one that is to be turned.
    with path.open("rb") as stream, Image.open(stream, formats=("PNG", "JPEG", "TIFF")) as image:
        check_pixels(image.height, image.width)
        _check_bytes(image, path)
        # Not the number of pages: to count a million of them takes minutes.
        if image.format not in ("JPEG", "MPO") and getattr(image, "is_animated", False):
            raise ReadError("multiframe", "the file holds several pages; expected one image")
        aspect = _aspect(image)
        pixels, flags = _decoded(image, path)
    square, _, squared = with_square_pixels(pixels, None, aspect)
    return square, (*flags, *squared)


def _decoded(image: ImageFile.ImageFile, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    if image.format == "PNG" and _is_deep_color_png(path):
        pixels, flags = _deep_color_png(path)
        return _upright(pixels, image), flags
    if not isinstance(image, TiffImageFile):
        ImageOps.exif_transpose(image, in_place=True)
        return _gray(image, white_is_zero=False)
    _check_tiles(image)
    if len(image.getbands()) > 1 and _depth(image) > 8:
        pixels, flags = _by_tifffile(path)
        return _upright(pixels, image), flags
    white_is_zero = image.tag_v2.get(_TIFF_PHOTOMETRIC) == 0
    depth, signed = _depth(image), _SIGNED in image.tag_v2.get(_TIFF_SAMPLE_FORMAT, ())
    image.load()  # turns a TIFF upright
    pixels, flags = _gray(image, white_is_zero)
    return _with_sign(pixels, depth, signed), flags


def _with_sign(pixels: np.ndarray, depth: int, signed: bool) -> np.ndarray:
    """Samples of a TIFF with the sign that it declares: Pillow takes 8 bits for unsigned and 32 bits for signed."""
    if signed and depth == 8 and pixels.dtype == np.uint8:
        return pixels.view(np.int8).astype(np.int16)
    if not signed and depth == 32 and pixels.dtype == np.int32 and pixels.min() < 0:
        return pixels.view(np.uint32).astype(np.float32)
    return pixels


def _aspect(image: ImageFile.ImageFile) -> float | None:
    """Height of a pixel, as it is displayed, as a multiple of its width; None where the file gives no resolution."""
    info = image.info
    if isinstance(image, TiffImageFile):
        across, down = image.tag_v2.get(_TIFF_X_RESOLUTION), image.tag_v2.get(_TIFF_Y_RESOLUTION)
    elif image.format == "PNG":
        across, down = info.get("aspect") or info.get("dpi") or (None, None)
    else:
        across, down = info.get("jfif_density", (None, None))
    try:
        aspect = float(across) / float(down)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not 0 < aspect < float("inf"):
        return None
    # Orientations from 5 on exchange rows and columns.
    return 1 / aspect if _orientation(image) in (5, 6, 7, 8) else aspect


def _orientation(image: ImageFile.ImageFile) -> int:
    return image.getexif().get(_EXIF_ORIENTATION, 1)


def _upright(pixels: np.ndarray, image: ImageFile.ImageFile) -> np.ndarray:
    """Turn what another library than Pillow decoded as EXIF asks for."""
    orientation = _orientation(image)
    if orientation in (5, 6, 7, 8):
        pixels = pixels.T
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _check_tiles(image: TiffImageFile) -> None:
    """Refuse a tile far larger than the image, which a decoder would allocate whole."""
    tile = float(image.tag_v2.get(_TIFF_TILE_WIDTH, 1)) * float(image.tag_v2.get(_TIFF_TILE_LENGTH, 1))
    if tile > max(_TILE_FREE, 4 * image.width * image.height):
        raise ReadError("bomb", f"an image of {image.height} x {image.width} pixels in a tile of {tile:.0f}")


def _check_bytes(image: ImageFile.ImageFile, path: Path) -> None:
    """Refuse channels that take too much memory together, those of a progressive JPEG before they are transformed."""
    channels = len(image.getbands())
    depth = 2 if "progression" in image.info else 1
    if isinstance(image, TiffImageFile):
        depth = max(depth, -(-_depth(image) // 8))
    elif image.format == "PNG" and _is_deep_color_png(path):
        depth = 2
    check_decoded_bytes(image.width * image.height * channels * depth)


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
        check_decoded_bytes(page.nbytes)
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
