"""Which of two classes is the positive one: as given, or by what their names mean; never by their order."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal

from medcnn.errors import ConfigError
from medcnn.printable import printable

#: Words that name the absence of what is looked for.
ABSENT = frozenset((
    "normal", "normals", "healthy", "control", "controls", "ctrl", "ctl", "cn", "nc", "hc", "nl", "td", "negative",
    "benign", "absent", "unaffected", "uninfected", "unremarkable", "clear", "clean", "well", "background", "none",
    "nothing", "false", "gesund", "sain", "sano", "sana", "0",
))  # fmt: skip
#: Words that name its presence, whatever it is.
PRESENT = frozenset((
    "abnormal", "abnormality", "abnormalities", "anomaly", "positive", "present", "malignant", "cancer", "disease",
    "diseased", "sick", "ill", "unhealthy", "affected", "infected", "case", "cases", "patient", "patients", "finding",
    "findings", "lesion", "lesions", "pathology", "pathologic", "pathological", "pathologies", "yes", "true", "krank",
    "malade", "enfermo", "enferma", "dementia", "demented",
))  # fmt: skip
#: Answers to whether there is a finding, as columns of 0 and 1 are also written.
TRUE = frozenset(("1", "true", "t", "yes", "y", "positive", "pos", "present"))
FALSE = frozenset(("0", "false", "f", "no", "n", "negative", "neg", "absent"))
#: Words that turn the meaning of the others around.
NOT = frozenset(("no", "non", "not", "without", "free", "ohne", "kein", "keine", "sans", "senza", "sin"))
#: The same words cut short.
SHORT = {
    "pos": "positive", "neg": "negative", "absence": "absent",
    "presence": "present", "abn": "abnormal", "wo": "without",
}  # fmt: skip

#: Letters that mean yes or no only where both classes are called so: M and F are no true and false.
_LETTERS = ({"y": "yes", "n": "no"}, {"t": "true", "f": "false"})
#: In place of a positive class, where nothing depends on which it is.
EITHER = ""
Meaning = Literal["absent", "present", ""]
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
#: A healthy-looking word that is part of a disease's name.
_PHRASES = re.compile(r"normal pressure|benign prostatic|negative pressure")


def meanings(names: Sequence[str]) -> tuple[Meaning, Meaning]:
    """Interpret each of two names: the presence or the absence of a finding, or "" where it means neither.

    Words that both names have say nothing, so ``lung normal`` and ``lung opacity`` are as ``normal`` and ``opacity``.

    >>> meanings(["abnormal", "normal"]), meanings(["No Finding", "Finding"]), meanings(["benign tumor", "normal"])
    (('present', 'absent'), ('absent', 'present'), ('absent', 'absent'))
    >>> meanings(["covid", "non-covid"]), meanings(["CN", "AD"]), meanings(["virus", "bacteria"])
    (('', 'absent'), ('absent', ''), ('', ''))
    """
    signs = _signs(names)
    if signs is not None:
        return signs
    words = [_words(name) for name in names]
    first, second = (_meaning(each, other) for each, other in (words, words[::-1]))
    if (first == second) or {first, second} == {"", "present"}:
        rest = [[word for word in each if word not in other] for each, other in (words, words[::-1])]
        alone = [_meaning(each, other) for each, other in (rest, rest[::-1])]
        if "absent" in alone and alone[0] != alone[1]:
            return alone[0], alone[1]
    return first, second


def positive_of(names: Sequence[str]) -> str | None:
    """Return the positive one of two classes by what the names mean; None where that does not decide.

    >>> positive_of(["1", "0"]), positive_of(["-1", "1"]), positive_of(["malignant", "normal, benign"])
    ('1', '1', 'malignant')
    >>> positive_of(["1", "2"]), positive_of(["AD", "MCI"]), positive_of(["MCI", "HC"])
    (None, None, 'MCI')
    """
    first, second = meanings(names)
    if (first == "absent") != (second == "absent"):
        return names[1] if first == "absent" else names[0]
    if (first == "present") != (second == "present"):
        return names[0] if first == "present" else names[1]
    return None


def order_classes(names: Sequence[str], positive: str | None, option: str) -> tuple[str, ...]:
    """Order classes so that of two the positive one is second, and of more the one without a finding is first.

    Args:
        names: The classes as they were found.
        positive: The positive one of two, as the user gave it; None to go by what the names mean; ``EITHER`` to keep
            the order.
        option: How a user gives it, for messages.

    Raises:
        ConfigError: The names do not decide and nothing was given, or no such class was found.
    """
    if positive == EITHER:
        return tuple(names)
    if positive is not None:
        return _as_given(names, positive, option)
    if len(names) != 2:
        healthy = [name for name in names if not name.isdigit() and _meaning(_words(name), ()) == "absent"]
        return (*healthy, *(name for name in names if name not in healthy)) if len(healthy) == 1 else tuple(names)
    found = positive_of(names)
    if found is None:
        shown = [printable(name, 60) for name in names]
        raise ConfigError(
            f"the classes are {shown[0]} and {shown[1]}, and neither name alone means disease or its absence: name the "
            f"class to be detected, {option} {_quoted(shown[0])} or {option} {_quoted(shown[1])}"
        )
    return (names[1], names[0]) if found == names[0] else tuple(names)


def _as_given(names: Sequence[str], positive: str, option: str) -> tuple[str, ...]:
    shown = ", ".join(printable(name, 60) for name in names[:12])
    if len(names) != 2:
        raise ConfigError(
            f"positive is {printable(positive, 60)}, and there are {len(names)} classes ({shown}), each of which is "
            f"rated against the others: leave {option} out"
        )
    if positive not in names:
        raise ConfigError(f"positive is {printable(positive, 60)}; expected one of the classes {shown}")
    return (*(name for name in names if name != positive), positive)


def _signs(names: Sequence[str]) -> tuple[Meaning, Meaning] | None:
    """The meanings of -1 and 1, - and +, y and n, t and f; None for other names."""
    stripped = [name.strip().casefold().removesuffix(".0") for name in names]
    if set(stripped) in ({"-1", "1"}, {"-", "+"}, {"-1", "+1"}):
        return _either(name[0] != "-" for name in stripped)
    for letters in _LETTERS:
        if set(stripped) <= {*letters, *letters.values()}:
            return _either(letters.get(name, name) in ("yes", "true") for name in stripped)
    return None


def _either(present: Iterable[bool]) -> tuple[Meaning, Meaning]:
    first, second = present
    return "present" if first else "absent", "present" if second else "absent"


def _words(name: str) -> list[str]:
    text = unicodedata.normalize("NFKC", name).replace("w/o", "without").strip()
    if re.fullmatch(r"[-+]?\d+\.0+", text):
        text = text.partition(".")[0]
    # A sign at the end of a name, as in COVID-19 + and COVID-19 (-).
    text = re.sub(r"(?<=.)[\s(]*\+\)?$", " positive", text)
    text = re.sub(r"(?<=.)(\s+-|\s*\(-\))$", " negative", text)
    words = re.split(r"[\W_]+", _CAMEL.sub(" ", text).casefold())
    return [SHORT.get(word, word) for word in words if word]


def _meaning(words: Sequence[str], other: Sequence[str]) -> Meaning:
    # Numbers put folders and labels in order; next to words they mean nothing.
    words = [word for word in words if not word.isdigit()] or words
    if _PHRASES.search(" ".join(words)):
        return ""
    prefixed = [word for word in words if word.startswith("non") and word[3:] and word[3:] in {*PRESENT, *other}]
    absent, present = any(word in ABSENT for word in words), any(word in PRESENT for word in words) or bool(prefixed)
    if absent and present:
        return ""
    if (sum(word in NOT for word in words) + len(prefixed)) % 2:
        return "present" if absent else "absent"
    return "absent" if absent else "present" if present else ""


def _quoted(name: str) -> str:
    return f"'{name}'" if re.search(r"[^\w.-]", name) else name
