"""Files that hold images in forms that are not read here: which to unpack, and which to convert."""

import zlib
from pathlib import Path

_ARCHIVES = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x1f\x8b", "gzip"),
)
_FORMATS = (
    (b"\x93NUMPY", "a NumPy array"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file"),
    (b"\x89HDF\r\n\x1a\n", "HDF5 (MINC, MATLAB 7.3)"),
    (b"CDF\x01", "NetCDF (MINC)"),
    (b"mrtrix image", "MRtrix (.mif)"),
    (b"MATRIX7", "ECAT 7"),
    (b"BM", "a bitmap (BMP)"),
    (b"GIF8", "GIF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xffO\xffQ", "JPEG 2000"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"# === DATA DESCRIPTION FILE", "Philips PAR/REC"),
)
_BARE = "voxels without a header of their own"
_SUFFIXES = {
    ".par": "Philips PAR/REC", ".rec": "Philips PAR/REC", ".brik": "AFNI", ".head": "AFNI", ".mat": "a MATLAB file",
    ".v": "ECAT 7", ".mnc": "MINC", ".mif": "MRtrix (.mif)", ".avi": "a video", ".mp4": "a video", ".mov": "a video",
    ".raw": _BARE, ".zraw": _BARE, ".img": _BARE,
    ".hdr": "Analyze 7.5, which stores no orientation",
}  # fmt: skip
_ANALYZE = (b"\x5c\x01\0\0", b"\0\0\x01\x5c")
_TAR_AT = 257


def advice(path: Path, head: bytes) -> tuple[str, str] | None:
    """Reason code and what to do for a file that may hold images, None for one that is known not to.

    Args:
        path: Its suffix decides where its bytes do not.
        head: Its first bytes, at least 1,024 where there are as many.

    >>> advice(Path("study.zip"), b"PK\\x03\\x04")
    ('archive', 'a zip archive; unpack it first')
    """
    for magic, name in _ARCHIVES:
        if head.startswith(magic):
            return "archive", f"a {name} archive{_packed(head)}; unpack it first"
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return "archive", "a tar archive; unpack it first"
    name = next((name for magic, name in _FORMATS if head.startswith(magic)), "")
    if not name and len(head) >= 348 and head[:4] in _ANALYZE:
        name = _SUFFIXES[".hdr"]
    if not name and not _is_prose(head):
        name = _SUFFIXES.get(path.suffix.lower(), "")
        name = "a video" if not name and head[4:8] == b"ftyp" else name
    return ("convert", f"{name}; convert it to NIfTI or DICOM first") if name else None


def _packed(head: bytes) -> str:
    """What a gzip holds, as far as its first bytes show."""
    if not head.startswith(b"\x1f\x8b"):
        return ""
    try:
        inside = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, 1024)
    except zlib.error:
        return ""
    if inside[128:132] == b"DICM":
        return " of a DICOM file"
    return " of a tar archive" if inside[_TAR_AT : _TAR_AT + 5] == b"ustar" else ""


def _is_prose(head: bytes) -> bool:
    """Whether a file is text, such as a header that somebody wrote; not a known one of images."""
    return bool(head) and all(char >= 32 or char in b"\t\r\n" for char in head) and head.isascii()
