"""A header costs no more than the file has bytes, whatever lengths it claims."""

import io
import struct
import tracemalloc
from pathlib import Path

import pytest

from medcnn.errors import ReadError
from medcnn.io.header import open_header
from medcnn.io.read import read_film

META = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 0xF0000000)  # file meta version, 4 GB
NAMED = struct.pack("<HH2sHI", 0x28, 0x3010, b"SQ", 0, 0xF0000000)  # VOI LUT sequence
NESTED = (
    struct.pack("<HH2sHI", 0x28, 0x3010, b"SQ", 0, 0xFFFFFFFF)
    + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    + struct.pack("<HH2sHI", 0x28, 0x3006, b"OW", 0, 0xF0000000)
)


@pytest.mark.parametrize("claims", [META, NAMED, NESTED], ids=["file meta", "sequence", "item of a sequence"])
def test_a_length_that_is_claimed_is_not_allocated(tmp_path: Path, claims: bytes) -> None:
    transfer_syntax = struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0"
    (tmp_path / "a.dcm").write_bytes(b"\0" * 128 + b"DICM" + (b"" if claims == META else transfer_syntax) + claims)
    tracemalloc.start()
    try:
        with pytest.raises(ReadError) as caught:
            read_film(tmp_path / "a.dcm")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code != "out_of_memory"
    assert peak < 50 << 20


def test_the_stream_is_behind_the_header() -> None:
    element = struct.pack("<HH2sHH", 0x28, 0x10, b"US", 2, 64)
    opened = open_header(io.BytesIO(b"\0" * 128 + b"DICM" + element), [0x280010])
    assert opened.header.Rows == 64
    assert opened.stream.read() == b""
