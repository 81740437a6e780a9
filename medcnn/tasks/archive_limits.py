"""Limits of a checkpoint file, checked by reading alone, before torch allocates or builds anything of it."""

import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from medcnn.errors import CheckpointError
from medcnn.printable import printable

#: Records of an archive, bytes of its directory and of the structure of its content, and steps to rebuild it.
MAX_RECORDS, MAX_DIRECTORY, MAX_STRUCTURE, MAX_STEPS = 200_000, 64 << 20, 256 << 20, 20_000_000
#: Levels of nesting, and values once every value that is shared is counted at each of its places.
MAX_DEPTH, MAX_VALUES = 64, 20_000_000

_END = struct.Struct("<4s4H2LH")  # end of central directory (APPNOTE 4.3.16)
_LOCAL = struct.Struct("<4s5H3L2H")  # local file header (APPNOTE 4.3.7)
#: What torch.save writes for plain data and dense tensors; a step that is not among them is refused.
_STEPS = frozenset((
    "PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND",
    "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS", "BINPUT", "LONG_BINPUT", "BINGET",
    "LONG_BINGET", "GLOBAL", "REDUCE", "BUILD", "BINPERSID",
))  # fmt: skip
_NAMES = re.compile(
    r"collections (OrderedDict|Counter|defaultdict)|(builtins|__builtin__) (set|complex)|_codecs encode"
    r"|torch\._utils _rebuild_(tensor_v2|tensor_v3|parameter|parameter_with_state)|torch\.nn\.parameter Parameter"
    r"|torch (Size|device|\w+Storage|bool|uint8|int8|int16|int32|int64|float16|float32|float64|bfloat16)"
)
_ITEM_BYTES = {
    "BoolStorage": 1, "ByteStorage": 1, "CharStorage": 1, "ShortStorage": 2, "HalfStorage": 2, "BFloat16Storage": 2,
    "IntStorage": 4, "FloatStorage": 4, "LongStorage": 8, "DoubleStorage": 8,
}  # fmt: skip


class Archive(NamedTuple):
    """The structure of a checkpoint's content, and the bytes of each of its records by name."""

    structure: bytes
    records: dict[str, int]


def check_archive(path: Path) -> None:
    """Check that reading a checkpoint takes no more memory than the file has bytes, and runs nothing.

    Records are stored one after the other without compression, the structure consists of the steps that ``torch.save``
    writes, names no function but those that rebuild a tensor, and no storage is larger than its record.

    Raises:
        CheckpointError: It is not so.
    """
    archive = _read_archive(path)
    _check_structure(archive, path.name)


def check_content(found: Any, name: str, size: int) -> None:
    """Check what was read: no tensor shows more numbers than it stores, and nothing is shared without end.

    Args:
        found: The checkpoint's content.
        name: Of its file, for messages.
        size: Bytes of the file.

    Raises:
        CheckpointError: A tensor with strides of 0 or the like, values nested too deep or in a cycle, or too many.
    """
    if _count(found, 0, {}) > MAX_VALUES:
        raise CheckpointError(f"{name} holds more than {MAX_VALUES:,} values; medcnn did not write it")
    state = found.get("state_dict") if isinstance(found, Mapping) else None
    total = 0
    for key, tensor in state.items() if isinstance(state, Mapping) else ():
        if isinstance(tensor, Tensor):
            total += check_tensor(tensor, f"{name}: {printable(key, 80)}")
    if total > 2 * size:  # tied weights are one tensor under two names
        raise CheckpointError(f"{name} has {size:,} bytes and weights of {total:,}; medcnn did not write it")


def check_tensor(tensor: Tensor, where: str) -> int:
    """Return the bytes of a tensor's numbers.

    Raises:
        CheckpointError: It is sparse or quantized, or has more numbers than are stored.
    """
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise CheckpointError(f"{where} is not a dense tensor on the CPU; medcnn did not write it")
    size, stored = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
    if size > stored:
        raise CheckpointError(f"{where} shows {size:,} bytes and stores {stored:,}; medcnn did not write it")
    return size


def _read_archive(path: Path) -> Archive:
    name = printable(path.name, 80)
    damaged = f"{name} is damaged: its archive %s; copy it again, or take another checkpoint"
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - _END.size))
        end = stream.read()
        # A comment could hold a second directory, which another reader would take for the first.
        if len(end) < _END.size or end[:4] != b"PK\x05\x06" or _END.unpack(end)[7]:
            raise CheckpointError(damaged % "does not end as one that torch writes")
        if 0xFFFFFFFF > _END.unpack(end)[5] > MAX_DIRECTORY:
            raise CheckpointError(damaged % "has a directory of more than 64 MB")
        try:
            with zipfile.ZipFile(stream) as archive:
                parts = archive.infolist()
                records = _checked_records(stream, parts, archive.start_dir, damaged)
                names = [part.filename for part in parts if part.filename.endswith("/data.pkl")]
                if len(names) != 1 or any("/code/" in record for record in records):
                    raise CheckpointError(f"{name} is not a checkpoint of medcnn: it holds no data, or a program")
                if records[names[0]] > MAX_STRUCTURE:
                    raise CheckpointError(damaged % "holds a structure of more than 256 MB")
                return Archive(archive.read(names[0]), {key.partition("/")[2]: value for key, value in records.items()})
        except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError, EOFError) as error:
            raise CheckpointError(damaged % f"cannot be read ({printable(error, 120)})") from error


def _checked_records(stream: Any, parts: list[zipfile.ZipInfo], end: int, damaged: str) -> dict[str, int]:
    """Return the bytes of each record; they are stored as they are, each once, one after the other."""
    if len(parts) > MAX_RECORDS:
        raise CheckpointError(damaged % f"has more than {MAX_RECORDS:,} records")
    records: dict[str, int] = {}
    free = 0
    for part in sorted(parts, key=lambda part: part.header_offset):
        plain = part.compress_type == zipfile.ZIP_STORED and part.file_size == part.compress_size
        stream.seek(part.header_offset)
        header = _LOCAL.unpack(stream.read(_LOCAL.size))
        begin = part.header_offset + _LOCAL.size + header[9] + header[10]
        if not plain or part.flag_bits & 1 or header[0] != b"PK\x03\x04" or header[3] != zipfile.ZIP_STORED:
            raise CheckpointError(damaged % "has a compressed or encrypted record")
        # Nothing but what describes a record (24 bytes at most) is between two: no reader finds another archive inside.
        if not free <= part.header_offset <= free + (24 if records else 0) or part.filename in records:
            raise CheckpointError(damaged % "has records that overlap, or something between them")
        free = begin + part.file_size
        records[part.filename] = part.file_size
    if not free <= end <= free + 24:
        raise CheckpointError(damaged % "has something between its records and its directory")
    return records


def _check_structure(archive: Archive, name: str) -> None:
    name = printable(name, 80)
    memo: dict[int, Any] = {}
    recent: list[tuple[str, Any]] = [("", None)] * 7  # the latest steps that put something in place
    for step, argument in _steps(archive.structure, name):
        if step in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = recent[-1][1]
            continue
        if step not in _STEPS:
            raise CheckpointError(
                f"{name} holds more than data and tensors ({step}); it was refused, and nothing was run"
            )
        if step == "GLOBAL" and not _NAMES.fullmatch(argument):
            wanted = printable(argument.replace(" ", "."), 80)
            raise CheckpointError(f"{name} would run code when loaded ({wanted}); it was refused, and nothing was run")
        if step == "BINPERSID":
            _check_storage(recent, archive.records, name)
        value = memo.get(argument) if step in ("BINGET", "LONG_BINGET") else argument
        recent = [*recent[1:], (step, value)]


def _steps(structure: bytes, name: str) -> Iterator[tuple[str, Any]]:
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(structure)):
            if count > MAX_STEPS:
                raise CheckpointError(f"{name} takes more than {MAX_STEPS:,} steps to rebuild; medcnn did not write it")
            yield opcode.name, argument
    except (ValueError, IndexError, KeyError, struct.error, UnicodeError) as error:
        raise CheckpointError(
            f"{name} is damaged ({type(error).__name__}: {printable(error, 120)}); copy it again, or take another "
            "checkpoint"
        ) from error


def _check_storage(recent: list[tuple[str, Any]], records: dict[str, int], name: str) -> None:
    """Check a reference ``("storage", type, record, place, count)``, as torch does not."""
    steps = [step for step, _ in recent]
    word, kind, record, _, count = (value for _, value in recent[1:6])
    if steps[0] != "MARK" or steps[6] != "TUPLE" or word != "storage" or not isinstance(count, int):
        raise CheckpointError(f"{name} refers to a tensor in an unknown way; medcnn did not write it")
    item = _ITEM_BYTES.get(str(kind).removeprefix("torch "))
    stored = records.get(f"data/{record}")
    if item is None or stored is None or not 0 <= count * item <= stored:
        raise CheckpointError(
            f"{name} is damaged: tensor {printable(record, 40)} has {printable(count, 30)} numbers of type "
            f"{printable(kind, 40)} in {stored or 0:,} bytes; copy it again, or take another checkpoint"
        )


def _count(value: Any, depth: int, known: dict[int, int]) -> int:
    """Count values, with each that is shared at each of its places; a cycle has no end, and is too deep."""
    if not isinstance(value, Mapping | list | tuple | set):
        return 1
    if depth > MAX_DEPTH:
        raise CheckpointError(f"the checkpoint nests values more than {MAX_DEPTH} deep; medcnn did not write it")
    if id(value) not in known:
        parts = [*value.keys(), *value.values()] if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_count(part, depth + 1, known) for part in parts)
    return known[id(value)]
