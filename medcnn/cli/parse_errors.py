"""What jsonargparse reports over many lines of types, as one line: the key, what it is, what is expected, and where."""

import difflib
import inspect
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from medcnn.allowlist import CONFIG_KINDS, CONFIG_PACKAGES, own_packages, resolve
from medcnn.errors import MedcnnError
from medcnn.printable import printable

LONGEST = 300
# Where: keys and classes, the outermost first.
_LEVEL = re.compile(r"Parser key \"([^\"]+)\"|Problem with given class_path '([^']+)'")
_CALLABLE = re.compile(r"is not accepted\. Got value: Namespace\(class_path='([^']+)'")
_UNKNOWN = re.compile(r"(?:Option '([^']+)' is not accepted|does not accept option '([^']+)')")
_GROUP = re.compile(r"^Group '([^']+)' does")
_NO_CLASS = re.compile(r"module '([\w.]+)' has no attribute '(\w+)'")
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_NO_PATH = re.compile(r"Expected a dot import path string: (\S+)")
_NO_FILE = re.compile(r"File does not exist: '(.*?)'")
_NOT_A_FILE = re.compile(r"Path is not a file: '(.*?)'")
_REQUIRED = re.compile(r"the following arguments are required: (.+)")
_UNRECOGNIZED = re.compile(r"^unrecognized arguments: (.+)", re.DOTALL)
_EXPECTED = re.compile(r"Expected (?:(?:an? )?<class '([\w.]+)'>|an? typing\.Literal(\[.*?\])|an? ([\w.\[\]|, ]+))")
_RESTRICTED = re.compile(r"Not of type \w+: does not conform to restriction v([<>]=?)(\S+)")
_GIVEN = re.compile(r"(?:Given value|Got value): (.*)")
_END = re.compile(r"\n\s*(?:Given value type|Given value): ")
_NOT_A_CLASS = re.compile(r"Not a valid subclass of (\w+)")
_OTHER_CLASS = re.compile(r"Import path (\S+) does not correspond to a subclass of (\w+)")
_NOT_A_NAME = re.compile(r"Key must be a string, got: (.*?)\.?\n")
_RELATIONS = {">": "above", ">=": "of at least", "<": "below", "<=": "of at most"}
#: Types as jsonargparse names them, in words.
_KINDS = {
    "float": "a number", "int": "a whole number", "bool": "true or false", "str": "text", "Sequence": "a list",
    "list": "a list, as [one, other]", "Path": "a path", "PosixPath": "a path", "dict": "key: value pairs",
}  # fmt: skip


class _Report(NamedTuple):
    """An error of jsonargparse: its text up to the values, the key and the class it is about, and what is known."""

    head: str
    text: str
    key: str
    class_path: str
    options: tuple[str, ...]
    place: Callable[[str], str]

    def where(self, key: str) -> str:
        place = self.place(key)
        return f" ({place})" if place else ""


def in_a_line(text: str, options: Iterable[str] = (), place: Callable[[str], str] = lambda _: "") -> str:
    """Return an error of jsonargparse as a person would write it.

    Args:
        text: The error's text.
        options: Dotted names of the options that there are, for a suggestion.
        place: From a dotted key to where it was read, as "tiny.yaml, line 3"; "" where that is not known.
    """
    head = _END.split(text)[0]
    classes = [level[2] for level in _LEVEL.finditer(head) if level[2]]
    report = _Report(head, text, key_in(text), classes[-1] if classes else "", tuple(options), place)
    explanations = (_unrecognized, _unknown, _missing, _no_class, _no_file, _wrong_class, _wrong_value)
    line = next(filter(None, (explain(report) for explain in explanations)), None)
    return printable(" ".join((line or head + report.where(report.key)).split()), LONGEST)


def key_in(text: str) -> str:
    """Return the dotted key that an error of jsonargparse is about, "" where it names none."""
    return ".".join(level[1] for level in _LEVEL.finditer(_END.split(text)[0]) if level[1])


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean X?" for the known name that is most alike, "" where none is."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def arguments_of(class_path: str) -> list[str]:
    """Return the names of the arguments that an allowed class takes, those of its base classes included."""
    try:
        found = resolve(class_path, (*CONFIG_PACKAGES, *own_packages()), CONFIG_KINDS)
    except MedcnnError:
        return []
    names = {
        parameter
        for base in found.__mro__
        if "__init__" in vars(base) and base is not object
        for parameter in inspect.signature(base.__init__).parameters  # type: ignore[misc]
    }
    return sorted(names - {"self", "args", "kwargs"})


def _unrecognized(report: _Report) -> str:
    if not (match := _UNRECOGNIZED.search(report.head)):
        return ""
    words = match[1].split()
    name = words[0].partition("=")[0].lstrip("-")
    hint = nearest(name, report.options).replace("mean ", "mean --")
    return f"unrecognized arguments: {printable(' '.join(words), 120)}{hint}"


def _unknown(report: _Report) -> str:
    if not (match := _UNKNOWN.search(report.head)):
        return ""
    name = match[1] or match[2]
    if match[1]:
        inside = _CALLABLE.search(report.head)
        class_path = inside[1] if inside else report.class_path
        if not class_path:
            return f"{name}: there is no such key{nearest(name, report.options)}{report.where(name)}"
        key = f"{report.key}.{name}"
        owner, known = f"{class_path.rpartition('.')[2]} takes no argument {name}", arguments_of(class_path)
        return f"{key}: {owner}{nearest(name, known)}{report.where(key)}"
    group = _GROUP.search(report.head)
    key = f"{group[1]}.{name}" if group else name
    return f"{key}: there is no such key{nearest(key, report.options)}{report.where(key)}"


def _missing(report: _Report) -> str:
    if not (match := _REQUIRED.search(report.head)):
        return ""
    names = [name.strip() for name in match[1].split(",")]
    if not report.class_path:
        return f"the following arguments are required: {', '.join(names)}"
    owner, where = report.class_path.rpartition(".")[2], report.where(f"{report.key}.{names[0]}")
    return f"{report.key}: {owner} needs {' and '.join(names)}{where or report.where(report.key)}; give a value"


def _no_class(report: _Report) -> str:
    where = report.where(f"{report.key}.class_path") or report.where(report.key)
    if match := _NO_CLASS.search(report.head):
        module = sys.modules.get(match[1])
        known = [name for name, part in vars(module).items() if isinstance(part, type)] if module else []
        return f"{report.key}: {match[1]} has no class {match[2]}{nearest(match[2], known)}{where}"
    if match := _NO_MODULE.search(report.head):
        return f"{report.key}: there is no module {match[1]}{where}; check the class path"
    if match := _NO_PATH.search(report.head):
        return f"{report.key} is {match[1]}, which names no class{where}; give its path, as medcnn.nets.resnet.ResNet"
    return ""


def _no_file(report: _Report) -> str:
    if match := _NO_FILE.search(report.head):
        return f"{report.key}: there is no file {Path(match[1]).name}{report.where(report.key)}"
    if match := _NOT_A_FILE.search(report.head):
        return f"{report.key}: {Path(match[1]).name} is not a file; expected a YAML file"
    return ""


def _wrong_class(report: _Report) -> str:
    if match := _OTHER_CLASS.search(report.head):
        return f"{report.key}: {match[1]} is no {match[2]}{report.where(report.key)}; name a class of that kind"
    if match := _NOT_A_CLASS.search(report.head):
        expected = f"expected a {match[1]}, by class_path and init_args"
        return f"{report.key} names no class{report.where(report.key)}; {expected}"
    if match := _NOT_A_NAME.search(f"{report.head}\n"):
        where = f"{report.key}: " if report.key else ""
        return f"{where}the key {match[1]} is not a name{report.where(report.key) if where else ''}; expected text"
    return ""


def _wrong_value(report: _Report) -> str:
    kinds = [_in_words(found) for found in _EXPECTED.finditer(report.head) if found.group(1) != "NoneType"]
    kinds += [f"a number {_RELATIONS[found[1]]} {found[2]}" for found in _RESTRICTED.finditer(report.head)]
    if not report.key or not kinds:
        return ""
    inner = _GIVEN.findall(report.head)
    given = inner or _GIVEN.findall(report.text)
    value = printable(given[-1].strip(), 60) if given else ""
    hint = ' in quotes, as \'["1", "2"]\'' if kinds == ["text"] and value.startswith("[") else ""
    shown = f"{report.key}{f' is {value}' if value else ''}"
    return f"{shown}: expected {' or '.join(dict.fromkeys(kinds))}{hint}{report.where(report.key)}"


def _in_words(found: re.Match[str]) -> str:
    name, literal, other = found.groups()
    if literal:
        return " or ".join(part.strip(" '") for part in literal.strip("[]").split(","))
    short = (name or str(other)).strip().rpartition(".")[2]
    return _KINDS.get(short, short)
