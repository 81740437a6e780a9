"""Class names and class numbers from a column or from folders: every spelling one class, the positive one second."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from medcnn.errors import ManifestError
from medcnn.io.table import BLANK, UNKNOWN, refuse_unknown, same_text, without_point
from medcnn.positive import EITHER, FALSE, TRUE, order_classes, positive_of
from medcnn.printable import printable

#: How a user names the positive class of a cohort.
OPTION = "--data.init_args.positive"
#: So many values may be classes in any column.
_MANY = 20
_SHORT = {"y": "yes", "n": "no", "t": "true", "f": "false", "pos": "positive", "neg": "negative"}


def labels(
    column: "pd.Series[str]", classes: Sequence[str] | None, positive: str | None = None
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Class numbers int64 ``(n,)``, -1 for unknown; class names, of two the positive one second; and notes.

    An empty cell is unknown. A word such as None or NA is a class, except among numbers, where R and pandas write it
    for an empty cell, and where ``classes`` does not name it. -1 is unknown, except against 1 alone.

    Args:
        column: Names of classes or whole numbers.
        classes: The classes in order; all values found if None.
        positive: The positive one of two; by what their names mean if None. With ``EITHER`` two spellings are a note.

    Raises:
        ManifestError: If a value is neither a class nor its number, or two spellings may be one class.
        ConfigError: If two classes were found and nothing says which is the positive one.
    """
    values = [without_point(same_text(value)) for value in column]
    blank = _blank_words(values, classes)
    known = [value for value in values if value.lower() not in blank]
    alike = ""
    if classes is None:
        alike = spellings(known, f"column {column.name}") or _too_many(known, column.name)
        if alike and positive != EITHER:
            raise ManifestError(alike)
        given = sorted(set(known), key=lambda value: (0, int(value), "") if _is_whole(value) else (1, 0, value))
    else:
        given = [str(name) for name in classes]
    names, notes = ordered(given, positive, found=classes is None) if given else ((), ())
    number = _numbers(given, names)
    refuse_unknown(column.name, values, set(number), f"expected {', '.join(names)} or blank")
    notes = (*_notes(column.name, values, number), *notes, *([alike] if alike else []))
    return np.array([number.get(value, -1) for value in values], np.int64), names, notes


def ordered(names: Sequence[str], positive: str | None, *, found: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Order classes, of two the positive one second; and a note where a given order contradicts the names.

    Args:
        names: The classes, as they were found or as the user put them in order.
        positive: The positive one of two, if the user gave it.
        found: Whether the classes were found, so that their order means nothing.

    Raises:
        ConfigError: Two classes were found, and nothing says which is the positive one.
    """
    if found or positive is not None:
        return order_classes(names, positive, OPTION), ()
    if len(names) == 2 and positive_of(names) == names[0]:
        shown = [printable(name, 40) for name in names]
        note = (
            f"classes puts {shown[1]} second, so it is the positive class, and not {shown[0]}; {OPTION} names another"
        )
        return tuple(names), (note,)
    return tuple(names), ()


def _too_many(values: Sequence[str], name: object) -> str:
    """Describe a column that holds no classes but measurements or names; "" where its values can be classes."""
    count = len(set(values))
    if count <= max(_MANY, len(values) / 2):
        return ""
    return (
        f"column {name}: {count} different values in {len(values)} cases, as of a measurement or a name; expected "
        "classes: name another column with label, or the classes with classes"
    )


def spellings(values: Iterable[str], where: str, what: str = "class") -> str:
    """Name what differs in capitals, blanks or form of Unicode alone or is short for another, and say what to do."""
    counts = Counter(values)
    words = {_key(value) for value in counts}
    yes_or_no = words <= TRUE | FALSE
    groups: dict[str, list[str]] = defaultdict(list)
    for value, _ in counts.most_common():
        key = _key(value)
        groups[("yes" if key in TRUE else "no") if yes_or_no else _SHORT.get(key, key)].append(value)
    alike = [group for group in groups.values() if len(group) > 1]
    if not alike:
        return ""
    shown = "; ".join(", ".join(_shown(one, group) for one in group[:6]) for group in alike[:4])
    remedy = "; if they are different, name all with classes" if what == "class" else ""
    return (
        f"{where}: {shown} seem to be spellings of one {what} ({len(groups)} in place of {len(counts)}): write each "
        f"alike, as {printable(alike[0][0], 40)}{remedy}"
    )


def _key(value: str) -> str:
    """Reduce a name to what it has in common with its other spellings."""
    visible = "".join(one for one in unicodedata.normalize("NFKC", value) if unicodedata.category(one) != "Cf")
    return without_point(re.sub(r"(?<=\w)(\s+|[_-])(?=\w)", " ", visible.casefold()).strip(" .,;:"))


def _shown(value: str, group: Sequence[str]) -> str:
    """A spelling; with escapes where another one is printed alike."""
    alike = sum(unicodedata.normalize("NFKC", value) == unicodedata.normalize("NFKC", other) for other in group) > 1
    return ascii(value) if alike else printable(value, 40)


def _is_whole(value: str) -> bool:
    return value.lstrip("-").isdecimal() and value.count("-") <= 1


def _blank_words(values: Sequence[str], classes: Sequence[str] | None) -> frozenset[str]:
    """Collect the words, in small letters, that mean that a label is not known."""
    if classes is not None:
        return UNKNOWN - {str(name).lower() for name in classes}
    words = {value for value in values if value}
    whole = {value for value in words if _is_whole(value)}
    if whole == {"-1", "1"} and words == whole:
        return frozenset(("",))
    among_numbers = bool(whole) and all(value.lower() in BLANK for value in words - whole)
    return BLANK | {"-1"} if among_numbers else frozenset(("", "-1"))


def _numbers(given: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """Every text that stands for a class: its name, and its number as given where no name is a number."""
    number = {name: at for at, name in enumerate(names)}
    if not any(_is_whole(name) for name in names):
        number |= {str(at): names.index(name) for at, name in enumerate(given)}
    return number


def _notes(name: object, values: Sequence[str], number: dict[str, int]) -> tuple[str, ...]:
    lacking = Counter(value for value in values if value not in number)
    notes = []
    if lacking:
        words = ", ".join(f"{word or 'blank'} {count}" for word, count in lacking.most_common(4))
        notes.append(f"{lacking.total()} of {len(values)} cases have no label in column {name} ({words})")
    suspect = {value: count for value, count in Counter(values).items() if value in number and value.lower() in BLANK}
    for word, count in suspect.items():
        notes.append(f"{count} cases of column {name} have the label {word}, which counts as a class; empty is unknown")
    return tuple(notes)
