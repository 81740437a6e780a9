"""Encoded image data to stored values, by whichever decoder is installed for the transfer syntax."""

import struct
from collections.abc import Callable
from typing import NamedTuple

import imagecodecs
import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID, AllTransferSyntaxes

from medcnn.errors import ReadError
from medcnn.io.codestream import CodeStream, describe


class Layout(NamedTuple):
    """The stored pixels as the header describes them.

    Attributes:
        padding: First and last value that mark padding, or None.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: bool
    photometric: str
    padding: tuple[int, int] | None = None


class Codec(NamedTuple):
    """One transfer syntax and what opens it here."""

    uid: str
    name: str
    decoder: str
    install: str


Decode = Callable[[bytes, Layout], np.ndarray]


def _jpeg(data: bytes, layout: Layout) -> np.ndarray:
    # libjpeg gives RGB, by the stream's own markers; without any it takes the stream for YCbCr, which DICOM may deny.
    unmarked = b"JFIF" not in data[:64] and b"\xff\xee\x00\x0eAdobe" not in data[:4096]
    if layout.samples == 3 and layout.photometric == "RGB" and unmarked:
        return imagecodecs.jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB")
    return imagecodecs.jpeg8_decode(data)


def _jpeg_lossless(data: bytes, layout: Layout) -> np.ndarray:
    if layout.samples == 3:
        return np.ascontiguousarray(imagecodecs.jpegsof3_decode(data))
    return imagecodecs.jpeg8_decode(data)


def _jpeg_ls(data: bytes, layout: Layout) -> np.ndarray:
    return imagecodecs.jpegls_decode(data)


def _jpeg_2000(data: bytes, layout: Layout) -> np.ndarray:
    return imagecodecs.jpeg2k_decode(data)


def _rle(data: bytes, layout: Layout) -> np.ndarray:
    """Decode RLE segment by segment into buffers of the size that the header announces, never a larger one."""
    size = layout.bits_allocated // 8
    segments, *offsets = struct.unpack_from("<16I", data)
    if segments != layout.samples * size:
        raise ValueError(f"{segments} RLE segments, the header asks for {layout.samples * size}")
    ends = [*offsets[1:segments], len(data)]
    # Each sample is cut into bytes, the highest first; samples come one plane after the other.
    planes = np.empty((layout.samples, size, layout.rows * layout.columns), np.uint8)
    for number, (start, end) in enumerate(zip(offsets[:segments], ends, strict=True)):
        if not 64 <= start < end <= len(data):
            raise ValueError("an RLE segment is outside the data")
        plane = planes[number // size, number % size]
        plane[:] = _packbits(data[start:end], plane.size)
    values = np.ascontiguousarray(planes[:, ::-1].swapaxes(1, 2)).view(f"<u{size}")
    shaped = values.reshape(layout.samples, layout.rows, layout.columns)
    return shaped[0] if layout.samples == 1 else np.moveaxis(shaped, 0, -1)


def _packbits(data: bytes, size: int) -> np.ndarray:
    """Decode exactly ``size`` bytes; more than that is refused as soon as the buffer is full."""
    decoded = imagecodecs.packbits_decode(data, out=bytearray(size))
    if len(decoded) != size:
        raise ValueError(f"{len(decoded)} of {size} bytes in an RLE segment")
    return np.frombuffer(decoded, np.uint8)


#: Transfer syntax -> what decodes it first, and the part of imagecodecs that this needs. HTJ2K is left to pydicom's
#: plugin: a failure of imagecodecs' OpenJPH is printed, never raised, and half an image comes back as if it were whole.
_FIRST: dict[str, tuple[Decode, str]] = {
    "1.2.840.10008.1.2.4.50": (_jpeg, "JPEG8"),
    "1.2.840.10008.1.2.4.51": (_jpeg, "JPEG8"),
    "1.2.840.10008.1.2.4.57": (_jpeg_lossless, "JPEG8"),
    "1.2.840.10008.1.2.4.70": (_jpeg_lossless, "JPEG8"),
    "1.2.840.10008.1.2.4.80": (_jpeg_ls, "JPEGLS"),
    "1.2.840.10008.1.2.4.81": (_jpeg_ls, "JPEGLS"),
    "1.2.840.10008.1.2.4.90": (_jpeg_2000, "JPEG2K"),
    "1.2.840.10008.1.2.4.91": (_jpeg_2000, "JPEG2K"),
    "1.2.840.10008.1.2.5": (_rle, "PACKBITS"),
}
_NAMES = {
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended, 8 and 12 bits",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless, first order",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "HTJ2K lossless",
    "1.2.840.10008.1.2.4.202": "HTJ2K lossless, RPCL",
    "1.2.840.10008.1.2.4.203": "HTJ2K",
    "1.2.840.10008.1.2.5": "RLE lossless",
}
_RLE = "1.2.840.10008.1.2.5"

NATIVE: dict[str, str] = {
    "1.2.840.10008.1.2": "implicit VR little endian",
    "1.2.840.10008.1.2.1": "explicit VR little endian",
    "1.2.840.10008.1.2.1.99": "deflated explicit VR little endian",
    "1.2.840.10008.1.2.2": "explicit VR big endian",
}

#: Syntaxes that always throw something away; the others that may are told by the header.
LOSSY = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in ("50", "51", "81"))


def installed_codecs() -> list[Codec]:
    """Every transfer syntax known here, its decoder (empty where none is installed) and what to install."""
    rows = [Codec(uid, name, "medcnn", "") for uid, name in NATIVE.items()]
    for uid, name in _NAMES.items():
        decoder = "imagecodecs" if _first(uid) else _plugin(uid)
        package = "imagecodecs" if uid in _FIRST else "pylibjpeg-openjpeg"
        rows.append(Codec(uid, name, decoder, "" if decoder else f"pip install {package}"))
    return rows


def _first(syntax: str) -> Decode | None:
    decode, part = _FIRST.get(syntax, (None, ""))
    return decode if decode and getattr(imagecodecs, part).available else None


def _plugin(syntax: str) -> str:
    """The plugin of pydicom that decodes a syntax here, empty where there is none."""
    if syntax == _RLE:
        return ""  # those of pydicom bound no output, and the compiled one panics on damaged data
    if syntax not in AllTransferSyntaxes:
        return ""
    try:
        plugins = get_decoder(UID(syntax)).available_plugins
    except NotImplementedError:
        return ""
    return "gdcm" if "gdcm" in plugins else plugins[-1] if plugins else ""


def decode(data: bytes, syntax: str, layout: Layout) -> tuple[np.ndarray, CodeStream | None]:
    """Stored values of one encoded frame.

    Args:
        data: The frame, its fragments joined.
        syntax: Transfer syntax UID.
        layout: As the header gives it; a stream of another or of no certain size is refused before it is decoded.

    Returns:
        ``(rows, columns)`` or ``(rows, columns, samples)``, and what the stream says of itself where it does.

    Raises:
        ReadError: ``no_decoder``, ``decode_failed``, ``truncated`` or ``bad_header``.
    """
    if not _first(syntax) and not _plugin(syntax):
        wanted = _printable(syntax)
        raise ReadError("no_decoder", f"no decoder for transfer syntax {wanted}; try pip install 'medcnn[gdcm]'")
    stream = None
    if syntax != _RLE:
        stream = _described(data, layout)
        # What follows the end marker, such as zeros that fill a block, is no part of the image.
        data = data[: stream.end]
    values = _first_that_decodes(data, syntax, layout)
    shape = (layout.rows, layout.columns, layout.samples)[: 2 if layout.samples == 1 else 3]
    if values.shape != shape:
        raise ReadError("decode_failed", f"expected pixels {shape}, decoded {values.shape}")
    return values, stream


def _described(data: bytes, layout: Layout) -> CodeStream:
    """The markers of an encoded image, which must give a size, that of the header, and end."""
    stream = describe(data)
    if stream is None:
        raise ReadError("decode_failed", "the encoded image does not give its size: it is damaged or of another syntax")
    if (stream.rows, stream.columns, stream.samples) != (layout.rows, layout.columns, layout.samples):
        found = f"{stream.rows} x {stream.columns} x {stream.samples}"
        expected = f"{layout.rows} x {layout.columns} x {layout.samples}"
        raise ReadError("bad_header", f"the header gives {expected} pixels, the encoded image {found}")
    if not stream.end:
        raise ReadError("truncated", "the encoded image has no end; copy the file again")
    return stream


def _first_that_decodes(data: bytes, syntax: str, layout: Layout) -> np.ndarray:
    """By imagecodecs, else by a plugin of pydicom: some streams are read by one of them alone."""
    first, plugin, failures = _first(syntax), _plugin(syntax), []
    if first:
        try:
            return first(data, layout)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # C libraries raise what they like; the plugin gets its turn
            failures.append(type(error).__name__)
    if plugin:
        try:
            return _by_pydicom(data, syntax, layout, plugin)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            failures.append(type(error).__name__)
    raise ReadError("decode_failed", f"the decoder refused the encoded image ({', '.join(failures)})")


def _printable(syntax: str) -> str:
    """A transfer syntax for a message: registered ones only, for a damaged header may hold anything here."""
    return syntax if syntax in AllTransferSyntaxes else "outside the standard"


def _by_pydicom(data: bytes, syntax: str, layout: Layout, plugin: str) -> np.ndarray:
    values, _ = get_decoder(UID(syntax)).as_array(
        encapsulate([data]),
        raw=True,
        decoding_plugin=plugin,
        rows=layout.rows,
        columns=layout.columns,
        number_of_frames=1,
        samples_per_pixel=layout.samples,
        photometric_interpretation=layout.photometric,
        bits_allocated=layout.bits_allocated,
        bits_stored=layout.bits_stored,
        pixel_representation=int(layout.signed),
        planar_configuration=int(layout.planar),
        pixel_keyword="PixelData",
    )
    return values
