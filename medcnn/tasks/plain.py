"""Plain data: what a file may hold that is read without running code."""

from collections.abc import Mapping
from typing import Any


def is_plain(value: Any) -> bool:
    """Whether a value is made of numbers, words, truth values, None, lists, tuples and dictionaries only."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str | int) for key in value) and all(is_plain(part) for part in value.values())
    if isinstance(value, list | tuple):
        return all(is_plain(part) for part in value)
    return value is None or type(value) in (bool, int, float, str)


def plain_only(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are plain data; objects that were built in Python are left out, for they cannot be rebuilt."""
    return {name: value for name, value in arguments.items() if is_plain(value)}
