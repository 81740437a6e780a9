"""First bytes of volume formats that carry no single magic word."""

import re
import struct

_LONGEST = 1 << 15
_META = re.compile(rb"\s*(ObjectType\s*=\s*Image|NDims\s*=)", re.IGNORECASE)


def is_mgh(head: bytes) -> bool:
    """Whether inflated first bytes are of a FreeSurfer volume: version 1, sizes and type in range, big endian."""
    if len(head) < 28 or head[:4] != b"\0\0\0\1":
        return False
    *sizes, kind = struct.unpack_from(">5i", head, 4)
    return all(1 <= size < _LONGEST for size in sizes) and 0 <= kind <= 10


def is_itk(head: bytes) -> bool:
    """Whether first bytes are of an NRRD or a MetaImage."""
    return head.startswith(b"NRRD000") or bool(_META.match(head))
