"""What was typed, as a verb takes it; and what is wrong with it, in one line."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from medcnn.errors import ConfigError

_KEY = re.compile(r'Parser key "([^"]+)"')
_EXPECTED = re.compile(r"Expected an? (?:<class '([\w.]+)'>|typing\.Literal(\[.*?\])|([\w.\[\]|, ]+))")
_GIVEN = re.compile(r"(?:Given value|Got value): (.*)")
#: Types as jsonargparse names them, in words.
_KINDS = {
    "float": "a number", "int": "a whole number", "bool": "true or false", "str": "text",
    "list": "a list, as [one, other]", "Path": "a path", "PosixPath": "a path", "dict": "key: value pairs",
}  # fmt: skip


def parsed(verb: Callable[..., Any], words: Sequence[str], name: str) -> Any:
    """The verb with what was typed.

    Raises:
        ConfigError: A word is missing, unknown, or not of its kind; one line.
    """
    from jsonargparse import ArgumentError, auto_cli

    try:
        return auto_cli(verb, args=list(words), prog=f"medcnn {name}", fail_untyped=False, exit_on_error=False)
    except ArgumentError as error:
        raise ConfigError(f"{in_a_line(str(error))}; medcnn {name} --help tells what it takes") from error


def in_a_line(text: str) -> str:
    """What jsonargparse says over several lines of types, as a person would."""
    key, given = _KEY.search(text), _GIVEN.findall(text)
    kinds = [_in_words(found) for found in _EXPECTED.finditer(text) if found.group(1) != "NoneType"]
    if key and kinds:
        value = given[-1].strip() if given else ""
        hint = ' in quotes, as \'["1", "2"]\'' if kinds == ["text"] and value.startswith("[") else ""
        said = f"{key.group(1)}{f' is {value}' if value else ''}"
        return f"{said}: expected {' or '.join(dict.fromkeys(kinds))}{hint}"
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:300]} ..."


def _in_words(found: re.Match[str]) -> str:
    name, literal, other = found.groups()
    if literal:
        return " or ".join(re.findall(r"'([^']*)'", literal)) or literal
    short = (name or str(other)).strip().rpartition(".")[2]
    return _KINDS.get(short, short)
