"""The size of an encoded image is certain before it is decoded."""

import struct
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest

from medcnn.errors import ReadError
from medcnn.io.codecs import Layout, decode
from medcnn.io.codestream import CodeStream, describe

GRAY = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
COLOR = np.stack([GRAY, GRAY[::-1], GRAY // 2], -1)
SYNTAX = {"jpeg": "1.2.840.10008.1.2.4.50", "lossless": "1.2.840.10008.1.2.4.70", "ls": "1.2.840.10008.1.2.4.80",
          "j2k": "1.2.840.10008.1.2.4.90", "rle": "1.2.840.10008.1.2.5"}  # fmt: skip


def layout(rows: int = 48, columns: int = 64, samples: int = 1, photometric: str = "MONOCHROME2") -> Layout:
    return Layout(rows, columns, samples, 8, 8, 7, False, False, photometric)


def encoded(kind: str, pixels: np.ndarray = GRAY) -> bytes:
    encoders: dict[str, Callable[[], object]] = {
        "jpeg": lambda: imagecodecs.jpeg8_encode(pixels, level=95),
        "lossless": lambda: imagecodecs.jpeg8_encode(pixels, lossless=True),
        "ls": lambda: imagecodecs.jpegls_encode(pixels),
        "j2k": lambda: imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True),
        "jp2": lambda: imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2", reversible=True),
    }
    return bytes(encoders[kind]())  # type: ignore[call-overload]


def described(data: bytes) -> CodeStream:
    stream = describe(data)
    assert stream is not None
    return stream


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


@pytest.mark.parametrize("kind", ["jpeg", "lossless", "ls", "j2k", "jp2"])
def test_every_codec_gives_size_and_end(kind: str) -> None:
    data = encoded(kind)
    stream = described(data)
    assert (stream.rows, stream.columns, stream.samples, stream.precision) == (48, 64, 1, 8)
    assert stream.end == len(data)
    assert described(data + bytes(500)).end == len(data)
    assert not described(data[:-40]).end


@pytest.mark.parametrize("junk", [b"\0\0\0\0", b"\xff\xff\xff", b"\0\xff\0junk"])
def test_bytes_before_a_marker_hide_no_size(junk: bytes) -> None:
    # libjpeg skips them (jdmarker.c, next_marker); a parser that gives up would let any size through.
    data = encoded("jpeg")
    at = data.index(b"\xff\xc0")
    larger = data[: at + 5] + struct.pack(">HH", 65500, 65500) + data[at + 9 :]
    assert described(larger[:at] + junk + larger[at:]).rows == 65500


def test_two_sizes_in_one_stream_are_no_size() -> None:
    data = encoded("jpeg")
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 2 + struct.unpack_from(">H", data, at + 2)[0]]
    assert describe(data[:at] + frame[:5] + b"\xff\xdc\xff\xdc" + frame[9:] + data[at:]) is None


def test_boxes_of_any_length_hide_no_code_stream() -> None:
    stream = encoded("j2k")
    boxes = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"free", bytes(6000))
    assert described(boxes + box(b"jp2c", stream)).columns == 64
    extended = struct.pack(">I4sQ", 1, b"jp2c", 16 + len(stream)) + stream
    assert described(boxes + extended).columns == 64
    assert describe(boxes + struct.pack(">I4s", 4, b"free") + stream) is None
    palette = box(b"jp2h", box(b"pclr", struct.pack(">HB", 256, 255)))
    assert describe(boxes + palette + box(b"jp2c", stream)) is None


def test_another_size_of_jpeg_ls_is_no_size() -> None:
    data = encoded("ls")
    oversize = b"\xff\xf8\x00\x0c\x04\x04\x00\x01\x00\x00\x00\x01\x00\x00"
    assert describe(data[:2] + oversize + data[2:]) is None


def test_millions_of_tiles_or_blocks_are_a_bomb() -> None:
    data = bytearray(encoded("j2k"))
    side = 40_000
    struct.pack_into(">8I", data, 8, side, side, 0, 0, side, side, 0, 0)
    whole = described(bytes(data))
    assert whole.rows == side
    struct.pack_into(">2I", data, 24, 8, 8)
    with pytest.raises(ReadError, match="tiles"):
        describe(bytes(data))
    struct.pack_into(">2I", data, 24, side, side)
    cod = data.index(b"\xff\x52")
    data[cod + 10 : cod + 12] = b"\0\0"  # code blocks of 4 x 4
    with pytest.raises(ReadError, match="millions of parts") as caught:
        describe(bytes(data))
    assert caught.value.code == "bomb"


@pytest.mark.parametrize("kind", ["jpeg", "lossless", "ls", "j2k"])
def test_another_size_than_the_header_is_refused(kind: str) -> None:
    with pytest.raises(ReadError) as caught:
        decode(encoded(kind), SYNTAX[kind], layout(rows=47))
    assert caught.value.code == "bad_header"


@pytest.mark.parametrize("kind", ["jpeg", "lossless", "ls", "j2k"])
def test_an_end_and_zeros_behind_it_are_not_truncated(kind: str) -> None:
    data = encoded(kind)
    for tail in (b"", b"\0", bytes(40), bytes(5000), b"\xff" * 9):
        values, _ = decode(data + tail, SYNTAX[kind], layout())
        assert np.abs(values.astype(int) - GRAY).max() <= (3 if kind == "jpeg" else 0)
    with pytest.raises(ReadError) as caught:
        decode(data[: len(data) // 2], SYNTAX[kind], layout())
    assert caught.value.code == "truncated"


def rle(*segments: bytes) -> bytes:
    starts = np.cumsum([64, *map(len, segments[:-1])]).tolist()
    return struct.pack("<16I", len(segments), *starts, *[0] * (15 - len(segments))) + b"".join(segments)


def test_an_rle_segment_holds_what_the_header_announces() -> None:
    # PackBits by hand (PS3.5 G.3.1): 255 repeats the next byte twice, 2 copies three bytes.
    segment = b"\xff\x07\x02\x01\x02\x03"
    values, _ = decode(rle(segment), SYNTAX["rle"], layout(1, 5))
    assert values.tolist() == [[7, 7, 1, 2, 3]]
    padded, _ = decode(rle(segment + b"\0"), SYNTAX["rle"], layout(1, 5))
    assert padded.tolist() == values.tolist()
    for wrong in (
        rle(segment[:-1]),
        rle(b"\x81\0" * 100_000),
        rle(segment)[:60],
        struct.pack("<16I", 1, 1 << 31, *[0] * 14),
    ):
        with pytest.raises(ReadError) as caught:
            decode(wrong, SYNTAX["rle"], layout(1, 5))
        assert caught.value.code == "decode_failed"


@pytest.mark.parametrize("seed", range(200))
def test_damaged_rle_is_an_error_and_never_a_crash(seed: int) -> None:
    draw = np.random.default_rng(seed)
    data = bytearray(rle(*(bytes(draw.integers(0, 256, 40, dtype=np.uint8)) for _ in range(3))))
    for at in draw.integers(0, len(data), 4):
        data[at] = draw.integers(0, 256)
    codes = set()
    try:
        assert decode(bytes(data), SYNTAX["rle"], layout(7, 9, 3, "RGB"))[0].shape == (7, 9, 3)
    except ReadError as error:
        codes.add(error.code)
    assert codes <= {"decode_failed"}


def in_tile_header(data: bytes, segment: bytes) -> bytes:
    """Put a marker segment into the header of the first tile part."""
    at = data.index(b"\xff\x90")
    length = struct.unpack_from(">I", data, at + 6)[0]
    header = data[at : at + 6] + struct.pack(">I", length + len(segment)) + data[at + 10 : at + 12]
    return data[:at] + header + segment + data[at + 12 :]


def test_the_header_of_a_tile_hides_no_millions_of_parts() -> None:
    # A tile may replace the coding style of the image: precincts of 2 x 2 took 9 GB for 64 million pixels.
    data = bytearray(encoded("j2k"))
    struct.pack_into(">8I", data, 8, 8000, 8000, 0, 0, 8000, 8000, 0, 0)
    at = data.index(b"\xff\x52")
    style = bytes(data[at : at + 2 + struct.unpack_from(">H", data, at + 2)[0]])
    levels = style[9]
    tiny = b"\xff\x52" + struct.pack(">H", 12 + levels + 1) + b"\1" + style[5:10] + b"\0\0" + style[12:14]
    with pytest.raises(ReadError, match="millions of parts"):
        describe(in_tile_header(bytes(data), tiny + b"\x11" * (levels + 1)))
    assert described(in_tile_header(bytes(data), style)).rows == 8000


def test_tiles_of_another_color_space_or_unknown_markers_are_refused() -> None:
    data = encoded("j2k", COLOR)
    at = data.index(b"\xff\x52")
    style = bytearray(data[at : at + 2 + struct.unpack_from(">H", data, at + 2)[0]])
    assert described(in_tile_header(data, bytes(style))).samples == 3
    style[8] ^= 1
    assert describe(in_tile_header(data, bytes(style))) is None
    assert describe(data[:at] + b"\xff\x70\x00\x04\x00\x00" + data[at:]) is None
