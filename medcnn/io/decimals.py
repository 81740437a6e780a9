"""Decimal numbers as header elements hold them, also those that a writer with another locale left behind."""

import re

_DECIMAL = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)


def parse_decimal(text: str) -> float:
    """Read a decimal string; a comma is read as the decimal point where it can be nothing else.

    Args:
        text: One value, with spaces or NUL around it.

    Raises:
        ValueError: It is no finite decimal number, or it reads as a number of thousands too.

    >>> parse_decimal(" -1024,0 "), parse_decimal("0,143"), parse_decimal("+1.5E-2")
    (-1024.0, 0.143, 0.015)
    >>> parse_decimal("1,024")
    Traceback (most recent call last):
    ValueError: 1.024 or 1024
    """
    stripped = text.strip(" \0\t\r\n")
    if not _DECIMAL.fullmatch(stripped):
        raise ValueError("not a decimal number")
    if _THOUSANDS.fullmatch(stripped):
        raise ValueError(f"{stripped.replace(',', '.')} or {stripped.replace(',', '')}")
    value = float(stripped.replace(",", "."))
    if abs(value) == float("inf"):
        raise ValueError("beyond any floating-point number")
    return value


def parse_decimals(text: str) -> list[float]:
    r"""Read the values of a multi-valued decimal string, which are separated by backslashes; none in an empty one.

    Raises:
        ValueError: As :func:`parse_decimal`, for any of them.

    >>> parse_decimals(r"0,5\0.25")
    [0.5, 0.25]
    """
    return [parse_decimal(one) for one in text.split("\\")] if text.strip(" \0\t\r\n") else []
