"""From a table of predictions back to an outcome: the table of a run, or one that somebody else made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcnn.errors import ReportError
from medcnn.positive import FALSE, TRUE, positive_of
from medcnn.report.outcome import UNKNOWN, Array, Outcome
from medcnn.report.outcome_cells import MISSING, listed, numbers, of_each, texts
from medcnn.report.outcome_logits import CONTRADICTION, contradict, logits_of, with_probabilities

#: Given a frame of texts, the columns that describe groups and the names of those that could name a person.
Describing = Callable[[pd.DataFrame], tuple[pd.DataFrame, tuple[str, ...]]]
RESERVED = ("case", "patient", "label", "probability", "logit", "split", "call")
PARTS = ("label/", "probability/", "logit/", "group/", "call/")
_NO, _YES = ("0.0", *sorted(FALSE)), ("1.0", *sorted(TRUE))


def outcome_from_table(
    frame: pd.DataFrame,
    classes: Sequence[str] | None = None,
    thresholds: Mapping[str, float | None] | None = None,
    split: str = "test",
    describing: Describing | None = None,
) -> Outcome:
    """The inverse of ``Outcome.table``; it also reads a table that another program wrote.

    Of two classes, columns ``label`` and ``probability`` are enough; of more, or of several findings, there is a column
    ``probability/<class>`` for each, and of several findings also ``label/<class>``. In place of
    probabilities there may be ``logit`` or ``logit/<class>``, of which they are then made. What may be there besides:
    ``case``, ``patient``, ``logit`` or ``logit/<class>``, ``call`` (a name or 0 and 1; of several findings names with ;
    between them, or ``call/<class>``), ``group/<column>``.

    Whoever reads a stranger's table sees to it that ``case`` and ``patient`` are pseudonyms: they stand on the page.

    Args:
        frame: One row a case.
        classes: Names, K of them, of two the finding second; told by the columns or by the labels where not given.
        thresholds: Class to the least probability that calls it; None or no entry where there is none.
        split: ``test``, or ``val`` for cases that also chose the model.
        describing: Which of the columns that have no meaning here describe groups; without it they are left out, for
            any of them could name a person. ``medcnn.io.subgroups.describing_columns`` is one.

    Raises:
        ReportError: A column that is missing, or a value that is no probability, label or call.
    """
    frame = with_probabilities(frame.reset_index(drop=True))
    multilabel = any(str(name).startswith("label/") for name in frame)
    _refuse_signs(frame)
    classes = list(classes) if classes else _classes(frame, list(thresholds or {}))
    shares = _probabilities(frame, classes)
    labels = _findings(frame, classes) if multilabel else _labels(frame, classes)
    limits = _limits(classes, multilabel, thresholds or {})
    calls = _given_calls(frame, classes, multilabel)
    # Without a threshold an empty column says that nothing was called, for nothing said when to call.
    bare = bool(limits) and bool(np.isnan(list(limits.values())).all())
    called_by: Literal["stored", "table"] = "table" if bare and calls is not None and any(calls) else "stored"
    if called_by == "table" and not multilabel:
        _refuse_gaps(calls or [])
    calls = _calls(shares, classes, multilabel, limits) if calls is None else calls
    logits, notes = logits_of(frame, classes), []
    if logits is not None and contradict(logits, shares, multilabel):
        logits, notes = None, [CONTRADICTION]
    notes += _unowned(frame)
    named = "case" in frame
    cases = _cases(frame) if named else [f"row {place}" for place in range(1, len(frame) + 1)]
    return Outcome(
        cases, shares, labels, calls, classes, multilabel, limits, _patients(frame, cases), logits,
        _groups(frame, describing), split, called_by, named, notes,
    )  # fmt: skip


def at_threshold(outcome: Outcome, threshold: float) -> Outcome:
    """The same cases, called from one probability on, whatever was stored or called before.

    Args:
        outcome: Of one finding, or of several, each of which gets this threshold.
        threshold: In (0, 1).

    Raises:
        ReportError: Of more than two classes the most probable is called, and no threshold has a part in it.
    """
    if not outcome.multilabel and not outcome.binary:
        raise ReportError(
            f"--threshold judges yes-or-no questions; of {len(outcome.classes)} classes ({', '.join(outcome.classes)}) "
            "the most probable is called: leave it out"
        )
    asked = outcome.classes if outcome.multilabel else outcome.classes[1:]
    limits = dict.fromkeys(asked, float(threshold))
    calls = _calls(outcome.probabilities, outcome.classes, outcome.multilabel, limits)
    return replace(outcome, calls=calls, thresholds=limits, called_by="given")


def _classes(frame: pd.DataFrame, decided: Sequence[str]) -> list[str]:
    """The classes as the columns or the labels name them, of two the positive one second."""
    named = [str(name).removeprefix("probability/") for name in frame if str(name).startswith("probability/")]
    several = any(str(name).startswith("label/") for name in frame)
    if len(named) == 2 and not several:
        return _of_two(named, decided)
    if len(named) > 1 or (named and several):
        return named
    if "probability" not in frame and not named:
        raise ReportError(
            f"a table of predictions has a column probability, or probability/<class> for each class; "
            f"found {listed(frame)}"
        )
    words = set(texts(frame, "label", keep_case=True).unique())
    if named:
        return [f"not {named[0]}", named[0]]
    if not {word.lower() for word in words} <= {*_NO, *_YES, *MISSING}:
        # Among names a word such as None is a name itself.
        raise ReportError(
            _whose_names(sorted(word for word in words if word.lower() not in ("", UNKNOWN, "-1", "nan")))
        )
    return ["negative", "positive"]


def _of_two(names: Sequence[str], decided: Sequence[str]) -> list[str]:
    """Two classes, the positive one second: that with a threshold, or by what the names mean, or as in the columns."""
    positive = decided[0] if len(decided) == 1 and decided[0] in names else positive_of(names) or names[1]
    return [next(name for name in names if name != positive), positive]


def refuse_undecided(frame: pd.DataFrame) -> None:
    """Refuse a table of two classes whose columns are in some order and whose names do not say which is positive.

    Raises:
        ReportError: Naming the two and the option.
    """
    named = [str(name).removeprefix("probability/") for name in frame if str(name).startswith("probability/")]
    several = any(str(name).startswith("label/") for name in frame)
    if len(named) == 2 and not several and positive_of(named) is None:
        raise ReportError(_whose_names(named))


def _whose_names(words: Sequence[str]) -> str:
    kind = "numbers" if all(word.removesuffix(".0").isdigit() for word in words) else "names"
    pair = [word.removesuffix(".0") for word in words[:2]]
    own = "'[healthy, ill]'"
    if len(words) == 2:
        first, second = pair[::-1] if positive_of(words) == words[0] else pair
        own = f'\'["{first}", "{second}"]\'' if kind == "numbers" else f"'[{first}, {second}]'"
    return (
        f"labels are {kind} ({', '.join(words[:4])}): say which is the finding with --classes, the finding second, as "
        f"--classes {own}, or write labels as 0 and 1"
    )


def _refuse_signs(frame: pd.DataFrame) -> None:
    """Refuse -1 for no: as a label it stands for unknown, and every case without the finding would be left out."""
    words = set(texts(frame, "label").str.removesuffix(".0").unique()) if "label" in frame else set()
    if words - {""} == {"-1", "1"}:
        raise ReportError("labels are -1 and 1: write 0 and 1, for -1 stands for unknown")


def _probabilities(frame: pd.DataFrame, classes: Sequence[str]) -> Array:
    """``(n, K)``; of two classes one column is enough. What is missing stays NaN."""
    column = f"probability/{classes[-1]}"
    single = column if column in frame else "probability"
    if len(classes) == 2 and single in frame and f"probability/{classes[0]}" not in frame:
        share = numbers(frame, single)
        shares, told = np.stack([1 - share, share], axis=1), share[:, None]
    else:
        shares = told = of_each(frame, "probability/", classes)
    outside = (told < -1e-6) | (told > 1 + 1e-6)
    if outside.any():
        row, column_of = np.argwhere(outside)[0]
        raise ReportError(
            f"row {row + 1} holds {told[row, column_of]:g} as a probability; expected 0 to 1 (logits go into columns "
            "logit or logit/<class>)"
        )
    return np.clip(shares, 0, 1)


def _labels(frame: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.int64]:
    """Index of the class ``(n,)`` from its name or its number; of two classes also from yes and no."""
    words = texts(frame, "label", keep_case=True)
    place = _places(classes)
    distinct = {word: _place_of(word, place, classes) for word in words.unique()}
    return words.map(distinct).to_numpy(dtype=np.int64)


def _places(classes: Sequence[str]) -> dict[str, int]:
    """Every word that stands for a class: its name, its number, of two classes also yes and no.

    Where names are numbers themselves no other number stands for a class: of classes 1 and 2 a 1 is the first.
    """
    if any(name.isdigit() for name in classes):
        return {f"{name}{tail}": k for k, name in enumerate(classes) for tail in (".0", "")}
    place: dict[str, int] = {}
    if len(classes) == 2:
        place |= {word: int(known is _YES) for known in (_NO, _YES) for word in known}
    place |= {f"{k}{tail}": k for k in range(len(classes)) for tail in ("", ".0")}
    return place | {name: k for k, name in enumerate(classes)}


def _place_of(word: str, place: Mapping[str, int], classes: Sequence[str], what: str = "label") -> int:
    found = place.get(word, place.get(word.lower()))
    if found is None and word.lower() not in MISSING:
        unknown = "an unknown label is empty or 'unknown'" if what == "label" else "expected a name, or 0 and 1"
        raise ReportError(f"{what} {word!r} is none of {', '.join(classes)}; {unknown}")
    return -1 if found is None else found


def _findings(frame: pd.DataFrame, classes: Sequence[str], part: str = "label/") -> Array:
    labels = of_each(frame, part, classes)
    if not np.isin(labels[~np.isnan(labels)], (0, 1)).all():
        raise ReportError(
            f"columns {part}<class> hold 0 for no, 1 for yes and nothing for unknown; found other numbers"
        )
    return labels


def _limits(classes: Sequence[str], multilabel: bool, given: Mapping[str, float | None]) -> dict[str, float]:
    unknown = sorted(set(given) - set(classes))
    if unknown:
        raise ReportError(f"a threshold is given for {unknown[0]!r}; the classes are {', '.join(classes)}")
    asked = classes if multilabel or len(classes) != 2 else classes[1:]
    return {name: float("nan") if given.get(name) is None else float(given[name] or 0) for name in asked}


def _calls(shares: Array, classes: Sequence[str], multilabel: bool, limits: Mapping[str, float]) -> list[str]:
    """By the thresholds; of more than two classes the most probable; "" where there is no threshold."""
    names = np.asarray(classes, dtype=object)
    if not multilabel and len(classes) != 2:
        return names[np.nan_to_num(shares, nan=-1.0).argmax(axis=1)].tolist() if len(shares) else []
    above = shares >= np.array([limits.get(name, np.nan) for name in classes])
    if multilabel:
        patterns, place = np.unique(above, axis=0, return_inverse=True) if len(above) else (above, np.zeros(0, int))
        return np.array([";".join(names[row]) for row in patterns], dtype=object)[place.reshape(-1)].tolist()
    if np.isnan(limits[classes[1]]):
        return [""] * len(shares)
    return names[above[:, 1].astype(int)].tolist()


def _given_calls(frame: pd.DataFrame, classes: Sequence[str], multilabel: bool) -> list[str] | None:
    """What the table called each case: a class, or findings joined by ``;``; None where it does not say."""
    if multilabel and f"call/{classes[0]}" in frame:
        called = np.nan_to_num(_findings(frame, classes, "call/")) > 0.5
        return [";".join(np.asarray(classes, dtype=object)[row]) for row in called]
    if "call" not in frame:
        return None
    calls = texts(frame, "call", keep_case=True)
    if not multilabel:
        place, names = _places(classes), [*classes, ""]
        return calls.map({word: names[_place_of(word, place, classes, "call")] for word in calls.unique()}).tolist()
    parts = {part for call in calls.unique() for part in call.split(";")}
    strange = sorted(parts - set(classes) - {""})
    if strange:
        raise ReportError(f"call {strange[0]!r} is none of {', '.join(classes)}; expected names with ; between them")
    return calls.tolist()


def _refuse_gaps(calls: Sequence[str]) -> None:
    if "" in calls:
        raise ReportError(
            f"row {list(calls).index('') + 1} holds no call and others do: call every case, or leave the column out "
            "and give --threshold"
        )


def _cases(frame: pd.DataFrame) -> list[str]:
    names = texts(frame, "case", keep_case=True).tolist()
    if "" in names:
        blank = names.count("")
        rows = "1 row has" if blank == 1 else f"{blank:,} rows have"
        raise ReportError(
            f"{rows} no case name (first row {names.index('') + 1}): name every case, or leave the column case out"
        )
    return names


def _patients(frame: pd.DataFrame, cases: Sequence[str]) -> list[str] | None:
    """A case whose patient is not told is its own patient."""
    given = _names(frame, "patient")
    if given is None or not any(given):
        return None
    return [patient or f"(of {case})" for patient, case in zip(given, cases, strict=True)]


def _unowned(frame: pd.DataFrame) -> list[str]:
    given = _names(frame, "patient") or []
    blank = given.count("")
    if blank in (0, len(given)):
        return []
    cases = "1 case" if blank == 1 else f"{blank:,} cases"
    said = f"Of {cases} the patient is not told, and each counts as a patient of its own: "
    return [f"{said}where several are of one patient, the intervals are too narrow."]


def _groups(frame: pd.DataFrame, describing: Describing | None) -> pd.DataFrame | None:
    own = {name: str(name).removeprefix("group/") for name in frame if str(name).startswith("group/")}
    found = frame[list(own)].rename(columns=own)
    others = [name for name in frame if str(name) not in RESERVED and not str(name).startswith(PARTS)]
    if describing is not None and others:
        kept, _ = describing(frame[others].astype(object).where(frame[others].notna(), "").astype(str))
        found = pd.concat([found, kept.drop(columns=list(own.values()), errors="ignore")], axis=1)
    return found if len(found.columns) else None


def _names(frame: pd.DataFrame, name: str) -> list[str] | None:
    return None if name not in frame else texts(frame, name, keep_case=True).tolist()
