"""Nothing personal leaves for the store: paths, users and machines are taken out of whatever is tracked.

A path carries names: of the person whose home it is, of the patient whose folder it is, of the site.
"""

import getpass
import re
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import yaml

from medcnn.yaml_reader import YamlError, load_yaml

LOCAL = "<local>"
PERSON = "<person>"
HOST = "<host>"

# A value under one of these keys names a place on this machine, whatever it looks like.
PLACE_KEYS = frozenset({
    "source", "root", "path", "paths", "manifest", "folder", "out", "file", "config", "dirpath", "directory",
    "tracking_uri", "registry_uri", "artifact_location",
})  # fmt: skip
_PLACE_ENDINGS = ("_dir", "_path", "_file", "_folder", "_root")
_NO_PLACE = frozenset({"class_path"})
# Accounts and machines that everybody has name nobody.
_NOBODY = frozenset({"root", "user", "admin", "ubuntu", "runner", "docker", "nobody", "app", "localhost", "unknown"})

# Addresses that say nothing of this machine.
_PUBLIC = r"\b(?:runs|models|mlflow-artifacts|https?):/+[^\s'\"@]*(?:@[A-Za-z][\w-]*)?(?![\w.@-])"
# A folder may be called "Doe, John": a path in running text reaches to the end of its line or quotation.
_REST = r"(?:[^\n\r'\"]|['\"](?=\w))*"  # the apostrophe of O'Brien closes nothing
# A value that is nothing but a path goes whole, whatever its folders are called.
_PATH = re.compile(r"/\S|~[\w.-]*/|\.{1,2}/|\\\\|[A-Za-z]:[\\/]|(?:file|sqlite):/")
_SCRUBBED = re.compile(
    rf"""(?P<public>{_PUBLIC})
    | (?P<person>[\w.+-]+@[\w-]+\.[\w.-]+)                                              # a mail address
    | (?P<place>\b(?:file|sqlite):/+{_REST}                                             # a local address
      | (?<![A-Za-z0-9])[A-Za-z]:[\\/]{_REST} | \\\\{_REST}                             # a drive, a share
      | (?<![\w/])(?:~[\w.-]*|\.\.?)/{_REST}                                            # from home, from here
      | (?<![\w./])/(?=[\w.~-]){_REST}                                                  # absolute
      | (?<![\w./])[\w.^~-]+(?:/[^/\n\r'\"]+)*/[^/\n\r'\"]+\.[A-Za-z]\w{{1,6}}(?![\w/.]))   # relative, to a file
    """,
    re.VERBOSE,
)


def scrub(value: Any, key: str = "") -> Any:
    """``value`` without paths, accounts and host names; nested mappings and lists keep their shape.

    Args:
        value: Plain data. Anything that is not is scrubbed as its text.
        key: The name under which the value stands; under the name of a place any text becomes ``<local>``.

    Returns:
        Plain data of the same shape. Scrubbing twice changes nothing more.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {scrub_text(str(name)): scrub(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [scrub(inner, key) for inner in value]
    if isinstance(value, PurePath):
        return LOCAL
    text = str(value)
    return LOCAL if _is_place(key, text) or _PATH.match(text) else scrub_text(text)


def scrub_text(text: str) -> str:
    """Running text without paths, mail addresses, this account and this machine."""
    text = _SCRUBBED.sub(_replacement, text)
    for pattern, word in _names():
        text = pattern.sub(word, text)
    return text


def scrub_yaml(text: str) -> str:
    """A YAML document scrubbed by its keys; as running text where it does not parse.

    Comments go: they are free text, in which no key says what is a place.
    """
    try:
        parsed = load_yaml(text)
    except YamlError:
        return scrub_text(text)
    return yaml.safe_dump(scrub(parsed), sort_keys=False, allow_unicode=True) if parsed is not None else ""


def _is_place(key: str, text: str) -> bool:
    leaf = key.replace("/", ".").rsplit(".", 1)[-1]
    named = leaf in PLACE_KEYS or (leaf.endswith(_PLACE_ENDINGS) and leaf not in _NO_PLACE)
    return named and bool(text) and not text.startswith(("runs:/", "models:/", "<"))


def _replacement(match: re.Match[str]) -> str:
    if match["public"] is not None:
        return match["public"]
    return PERSON if match["person"] is not None else LOCAL


@cache
def _names() -> tuple[tuple[re.Pattern[str], str], ...]:
    """This account, its home and this machine as whole words: what MLflow and stack traces like to write down."""
    host = socket.gethostname()
    words = {host: HOST, host.split(".")[0]: HOST, Path.home().name: PERSON, _account(): PERSON}
    return tuple(
        (re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])"), word)
        for name, word in sorted(words.items(), key=lambda item: -len(item[0]))
        if len(name) > 2 and name.lower() not in _NOBODY
    )


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without an entry has no name to hide
        return ""
