"""What the slices of one volume must have in common beyond their place."""

from collections.abc import Sequence

from medcnn.errors import ReadError
from medcnn.io.slices import Slice

#: Echo times that differ by a larger share are two contrasts; a scanner's own rounding stays below.
_SAME_ECHO = 0.05
#: Values of the image type that are quantities of their own.
_QUANTITIES = frozenset(("M", "P", "R", "I", "MAGNITUDE", "PHASE", "PHASE MAP", "REAL", "IMAGINARY", "ADC", "FA"))


def refuse_mixed(slices: Sequence[Slice]) -> None:
    """Refuse slices whose values or places cannot be compared.

    Raises:
        ReadError: ``mixed_series``. Its message names files by their names only and attributes by their keywords.
    """
    for keyword, values in (
        ("StudyInstanceUID", [one.study for one in slices]),
        ("FrameOfReferenceUID", [one.frame_of_reference for one in slices]),
        ("ImageType", [one.kind if one.kind in _QUANTITIES else "" for one in slices]),
    ):
        at = next((at for at, value in enumerate(values) if value != values[0]), None)
        if at is not None:
            raise _mixed(keyword, slices[0], slices[at])
    echoes = [_milliseconds(one) for one in slices]
    known = [(time, one) for time, one in zip(echoes, slices, strict=True) if time is not None]
    if known:
        (least, one), (most, other) = min(known, key=lambda pair: pair[0]), max(known, key=lambda pair: pair[0])
        if most - least > _SAME_ECHO * most:
            raise _mixed("EchoTime", one, other)


def _mixed(keyword: str, one: Slice, other: Slice) -> ReadError:
    return ReadError(
        "mixed_series",
        f"{one.where} and {other.where} continue each other and differ in {keyword}; expected one in a series: two "
        "series are mixed, or the header was rewritten",
    )


def _milliseconds(one: Slice) -> float | None:
    try:
        time = float(one.echo[1])
    except ValueError:
        return None
    return time if 0 < time < float("inf") else None
