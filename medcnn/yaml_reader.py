"""YAML read within limits: no text can take more than seconds and megabytes, and no key is given twice."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from medcnn.errors import MedcnnError
from medcnn.printable import printable

#: Bytes of a text, levels of nesting, and values once every alias is written out.
MAX_BYTES, MAX_DEPTH, MAX_VALUES = 2_000_000, 50, 200_000
# What constructing a value raises besides YAMLError: an integer of 5,000 digits, a date that is none.
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL, _STRING = "tag:yaml.org,2002:null", "tag:yaml.org,2002:str"


class YamlError(MedcnnError):
    """A text that is not YAML, is larger or deeper than any that medcnn needs, or has a key twice."""


class Key(NamedTuple):
    """A key by its dotted path, the line it is in, and whether it has a value (``batch_size:`` has none)."""

    path: str
    line: int
    has_value: bool


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds, as plain data.

    Raises:
        YamlError: Not a readable file of UTF-8 text, or whatever ``load_yaml`` refuses.
    """
    return load_yaml(read_text(path), path.name)


def read_text(path: Path) -> str:
    """Return the text of a file that is to be read as YAML.

    Raises:
        YamlError: Not there, a folder or a device, not UTF-8, or larger than ``MAX_BYTES``.
    """
    name = printable(path.name, 80)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not a file" if path.exists() else "does not exist"
        raise YamlError(f"{name} {what}; expected a YAML file")
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        _check_size(len(content), name)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlError(f"{name} is not text in UTF-8 (byte {error.start}); expected a YAML file") from error
    except OSError as error:
        raise YamlError(f"{name} cannot be read: {error.strerror}") from error


def load_yaml(text: str, name: str = "the YAML text") -> Any:
    """Return what a YAML text holds, as plain data.

    Args:
        text: The text.
        name: Of its source, for messages.

    Raises:
        YamlError: Not YAML, a tag, a key given twice, a cycle, or larger or deeper than the limits.

    >>> load_yaml("net: {widths: [8, 16]}")
    {'net': {'widths': [8, 16]}}
    >>> load_yaml("lr: 1", "tiny.yaml"), load_yaml("")
    ({'lr': 1}, None)
    """
    try:
        check_yaml(text, name)
        return yaml.load(text, Loader=_LOADER)  # noqa: S506  # a SafeLoader
    except yaml.YAMLError as error:
        raise YamlError(syntax_line(error, name)) from error
    except _MALFORMED as error:
        raise YamlError(f"{printable(name, 80)}: a value cannot be read ({printable(error, 120)})") from error


def check_yaml(text: str, name: str = "the YAML text") -> list[Key]:
    """Check a YAML text against the limits before anything is constructed from it.

    Returns:
        Its keys.

    Raises:
        YamlError: A tag, a key given twice, a cycle, or larger or deeper than the limits.
        yaml.YAMLError: Not YAML.
    """
    name = printable(name, 80)
    _check_size(len(text), name)
    _check_events(text, name)
    keys: list[Key] = []
    root = yaml.compose(text, Loader=_LOADER)
    if root is not None:
        _check_node(root, "", name, set(), keys)
    return keys


def syntax_line(error: yaml.YAMLError, name: str) -> str:
    """Return a parser's message in one line: the file, the line, and the problem."""
    mark = getattr(error, "problem_mark", None)
    where = f", line {mark.line + 1}" if mark is not None else ""
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"{printable(name, 80)}{where} is not YAML: {printable(problem, 160)}"


def _check_size(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise YamlError(f"{name} has more than {MAX_BYTES:,} bytes; expected a YAML file of a few kilobytes")


def _check_events(text: str, name: str) -> None:
    """Count depth and values as they would be with every alias written out; nothing is built."""
    sizes: dict[str | None, int] = {}
    open_nodes: list[list[Any]] = [[None, 0]]  # anchor and values of every collection that has begun
    for event in yaml.parse(text, Loader=_LOADER):
        where = f"{name}, line {event.start_mark.line + 1 if event.start_mark else 1}"
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                anchor = printable(event.anchor, 40)
                raise YamlError(f"{where}: *{anchor} refers to a value that is not complete before it; write it out")
            open_nodes[-1][1] += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.tag not in (None, "!", _STRING):
                raise YamlError(f"{where}: the tag {printable(event.tag, 60)} is not allowed; write plain values")
            if isinstance(event, yaml.ScalarEvent):
                open_nodes[-1][1] += 1
                sizes[event.anchor] = 1
            else:
                open_nodes.append([event.anchor, 1])
                sizes.pop(event.anchor, None)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
            sizes[anchor] = size
            open_nodes[-1][1] += size
        if len(open_nodes) > MAX_DEPTH:
            raise YamlError(f"{where}: nested more than {MAX_DEPTH} levels deep; no configuration needs that")
        if open_nodes[-1][1] > MAX_VALUES:
            raise YamlError(f"{where}: more than {MAX_VALUES:,} values, aliases included; no configuration needs that")


def _check_node(node: yaml.Node, path: str, name: str, seen: set[int], keys: list[Key]) -> None:
    """Refuse a key that a mapping has twice, and gather the keys."""
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for place, part in enumerate(node.value):
            _check_node(part, f"{path}.{place}" if path else str(place), name, seen, keys)
        return
    lines: dict[tuple[str, Any], int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError(f"{name}, line {line}: a key is a list or a mapping; expected a name")
        if (key.tag, key.value) in lines:
            first, shown = lines[key.tag, key.value], printable(key.value, 60)
            where = f"line {line}" if first == line else f"lines {first} and {line}"
            raise YamlError(f"{name}, {where}: {shown!r} is given twice; keep one of them")
        lines[key.tag, key.value] = line
        inner = f"{path}.{key.value}" if path else key.value
        keys.append(Key(inner, line, not (isinstance(value, yaml.ScalarNode) and value.tag == _NULL)))
        _check_node(value, inner, name, seen, keys)
