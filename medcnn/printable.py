"""Text from strangers' files, made safe for terminals, tables and logs."""

import os
import unicodedata

#: Unicode categories that draw nothing and can deceive: controls (ESC, C1), formats (U+202E, zero width), surrogates,
#: private use, unassigned, line and paragraph separators.
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def printable(text: object, limit: int | None = None) -> str:
    r"""Escape what a terminal would act on or a reader could not see.

    Args:
        text: A string, a path, bytes of a file name, or anything with a string form.
        limit: Cut to this many characters, the last of them an ellipsis.

    >>> print(printable("scan\x1b[2J\u202egnp.exe\n"))
    scan\x1b[2J\u202egnp.exe\n
    >>> printable("Müller, 山田", limit=6)
    'Mülle…'
    """
    if isinstance(text, bytes | os.PathLike):
        text = os.fsencode(text).decode("utf-8", errors="backslashreplace")
    shown = "".join(_escape(char) if unicodedata.category(char) in _HIDDEN else char for char in str(text))
    return shown if limit is None or len(shown) <= limit else f"{shown[: limit - 1]}…"


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
