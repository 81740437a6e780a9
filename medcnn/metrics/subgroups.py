"""Figures by subgroup, and the gaps between a group and the rest that chance does not explain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medcnn.metrics.by_patient import owners
from medcnn.metrics.delong import auroc_interval
from medcnn.metrics.estimate import NAN, Estimate
from medcnn.metrics.gaps import FIGURES, Judged, calibration_of, gap, holm
from medcnn.metrics.rates import rates
from medcnn.metrics.subgroup_columns import MOST_VALUES, group_names

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Patients with and without the finding that a group needs to be judged.
LEAST_PATIENTS = 5
NO_CALLS = "no threshold is stored"
_NO_PROBABILITIES = "the scores are not probabilities"


@dataclass(frozen=True)
class Group:
    """The cases of one group, and how the model fares on them; figures are NaN where ``reason`` says why.

    Attributes:
        column: Of the manifest.
        name: Value, or ends of the values: ``F``, ``40 to 59``, ``not given``.
        cases: Cases of the group.
        patients: Patients with a case in it.
        events: Cases with the finding.
        auroc: Within the group alone.
        sensitivity: At the one threshold that all groups share.
        specificity: At the same threshold.
        ppv: At the prevalence within the group.
        npv: At the prevalence within the group.
        calibration_intercept: To be added to the log odds; 0 is right, below 0 the probabilities are too high.
        observed_over_expected: Cases with the finding over the sum of their probabilities; 1 is right.
        reason: Why all figures are withheld; "" where one is given.
    """

    column: str
    name: str
    cases: int
    patients: int
    events: int
    auroc: Estimate
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    calibration_intercept: Estimate
    observed_over_expected: Estimate
    reason: str = ""


@dataclass(frozen=True)
class Gap:
    """A group against the rest of its column, in one figure.

    A flag says that a gap this large is rare where there is none: over all looks of a report together, a model
    without any gap gets a flag in at most ``alpha`` of reports. It does not say that the gap matters to a patient
    (see ``value``), nor why it is there: groups may differ in how ill their patients are. And where there is no flag,
    that is no proof of fairness: small groups hide large gaps, as wide as the interval.

    Attributes:
        column: Of the manifest.
        group: Name of the group.
        figure: ``auroc``, ``sensitivity``, ``specificity`` or ``calibration`` (intercept, in log odds).
        value: The group's figure minus that of the rest.
        p: Two-sided, of this look alone; NaN where it cannot be tested.
        p_adjusted: By Holm, for all looks.
        flagged: Whether ``p_adjusted`` is below alpha.
    """

    column: str
    group: str
    figure: str
    value: Estimate
    p: float
    p_adjusted: float = NAN
    flagged: bool = False


@dataclass(frozen=True)
class Subgroups:
    """All groups and gaps of an evaluation.

    Attributes:
        groups: In the order of the columns, and of their values.
        gaps: Of every group that was judged against a rest that could be.
        looks: Tests that were made. The two groups of a column of two are one look: their gaps mirror each other.
        skipped: Column to why it was not looked at.
        left_out: Cases without a score.
    """

    groups: list[Group]
    gaps: list[Gap]
    looks: int
    skipped: dict[str, str]
    left_out: int = 0


def subgroups(
    scores: Array,
    positive: Mask,
    called: Mask | None,
    columns: Mapping[str, Sequence[object]],
    patients: Sequence[object] | None = None,
    minimum: int = 20,
    level: float = 0.95,
    alpha: float = 0.05,
) -> Subgroups:
    """Judge a model in every group of every column, and test each group against the rest of its column.

    A group of fewer than ``minimum`` cases is counted and not judged; of fewer than five patients with the finding no
    sensitivity is told, of fewer than five without no specificity, and of either nothing else. Cases without a score
    are left out. See ``Gap`` for what a flag means.

    Args:
        scores: Probabilities ``(n,)``; for scores that are none, calibration is not told.
        positive: Whether the case has the finding ``(n,)``.
        called: Whether it was called, at one threshold for all ``(n,)``; None where nothing says when to call: then
            sensitivity and the like are not told, and are no looks.
        columns: Name to one value a case; missing ones are a group of their own.
        patients: Whose each case is ``(n,)``; None: every case is its own patient.
        minimum: Cases that a group needs to be judged.
        level: Coverage of the intervals.
        alpha: Chance of any flag where there is no gap.

    Raises:
        ValueError: If something is not given once a case.
    """
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive, bool)
    uncalled = called is None
    called = np.zeros(len(positive), bool) if called is None else np.asarray(called, bool)
    given = [positive, called, *(columns[name] for name in columns), *([] if patients is None else [patients])]
    lengths = {len(one) for one in given}
    if scores.ndim != 1 or lengths != {len(scores)}:
        raise ValueError(f"{scores.shape} scores, and truths, calls, values, patients {lengths}: give one a case")
    rows: list[int] = np.flatnonzero(np.isfinite(scores)).tolist()
    # As lists: a column of a table is asked by its labels, not by place.
    people = None if patients is None else list(patients)
    of = owners(None if people is None else [people[row] for row in rows], len(rows))
    known = scores[rows]
    probable = bool(len(rows)) and bool(((known >= 0) & (known <= 1)).all())
    judged = Judged(known, positive[rows], called[rows], of, probable)
    figures = _figures(probable, uncalled)
    found = Subgroups([], [], 0, {}, len(scores) - len(rows))
    looks: list[list[int]] = []
    for column, values in columns.items():
        whole = list(values)
        names, order = group_names(column, [whole[row] for row in rows])
        reason = _why_not(whole, order)
        if reason:
            found.skipped[column] = reason
            continue
        sides = {name: names == name for name in order}
        groups = [_group(judged, column, name, inside, minimum, level) for name, inside in sides.items()]
        found.groups.extend(_uncalled(group) if uncalled else group for group in groups)
        looks.extend(_look(found.gaps, judged, column, sides, minimum, level, figures))
    return replace(found, gaps=_adjusted(found.gaps, looks, alpha), looks=len(looks))


def _figures(probable: bool, uncalled: bool) -> list[str]:
    """What can be looked at; a figure that cannot be told must not cost the others their power."""
    out = [] if probable else ["calibration"]
    out += ["sensitivity", "specificity"] if uncalled else []
    return [figure for figure in FIGURES if figure not in out]


def _uncalled(group: Group) -> Group:
    none = group.sensitivity._replace(value=NAN, low=NAN, high=NAN, reason=NO_CALLS)
    return replace(group, sensitivity=none, specificity=none, ppv=none, npv=none)


def _why_not(values: Sequence[object], order: list[str]) -> str:
    if len(order) < 2:
        return "all cases are in one group"
    distinct = len({str(value) for value in values})
    if order[-1].startswith("others") and distinct > max(MOST_VALUES, len(values) / 2):
        return "nearly every case has a value of its own"
    return ""


def _withheld(judged: Judged, inside: Mask, minimum: int) -> dict[str, str]:
    """Figure of ``gaps.FIGURES`` to why it is not told of these cases; "" where it is."""
    cases = int(inside.sum())
    if cases < minimum:
        return dict.fromkeys(FIGURES, f"{cases} cases, and fewer than {minimum} are not judged")
    lacking = []
    for kind, words in ((judged.positive, "with"), (~judged.positive, "without")):
        count = judged.of.having(inside & kind)
        few = f"{count} patients {words} the finding, and fewer than {LEAST_PATIENTS} are not judged"
        lacking.append(few if count < LEAST_PATIENTS else "")
    either = lacking[0] or lacking[1]
    return dict.fromkeys(FIGURES, either) | {"sensitivity": lacking[0], "specificity": lacking[1]}


def _group(judged: Judged, column: str, name: str, inside: Mask, minimum: int, level: float) -> Group:
    people, events = judged.of.having(inside), int(judged.positive[inside].sum())
    about = Estimate(NAN, n=int(inside.sum()), patients=people, events=events, level=level)
    withheld = _withheld(judged, inside, minimum)
    patients = judged.of.number[inside].tolist()
    called = rates(judged.called[inside], judged.positive[inside], patients, level)
    none = about._replace(reason=withheld["calibration"] or _NO_PROBABILITIES)
    told = judged.probable and not withheld["calibration"]
    intercept, ratio = calibration_of(judged, inside, level) if told else (none, none)

    def unless(figure: str, estimate: Estimate) -> Estimate:
        return about._replace(reason=withheld[figure]) if withheld[figure] else estimate

    return Group(
        column, name, about.n, people, events,
        unless("auroc", auroc_interval(judged.scores[inside], judged.positive[inside], patients, level)),
        unless("sensitivity", called["sensitivity"]), unless("specificity", called["specificity"]),
        unless("auroc", called["ppv"]), unless("auroc", called["npv"]), intercept, ratio,
        "" if "" in withheld.values() else withheld["auroc"],
    )  # fmt: skip


def _look(
    gaps: list[Gap],
    judged: Judged,
    column: str,
    sides: dict[str, Mask],
    minimum: int,
    level: float,
    figures: Sequence[str] = FIGURES,
) -> list[list[int]]:
    """Add the gaps of a column; returns for each test that was made, which gaps it gave."""
    looks: list[list[int]] = []
    withheld = {
        name: [_withheld(judged, side, minimum) for side in (inside, ~inside)] for name, inside in sides.items()
    }
    for figure in figures:
        judgeable = [name for name in sides if not any(reasons[figure] for reasons in withheld[name])]
        for name in judgeable[:1] if len(sides) == 2 else judgeable:
            value, p = gap(judged, sides[name], figure, level)
            made = [Gap(column, name, figure, value, p)]
            if len(sides) == 2:
                mirrored = value._replace(value=-value.value, low=-value.high, high=-value.low)
                made += [Gap(column, other, figure, mirrored, p) for other in judgeable[1:]]
            if not np.isnan(p):
                looks.append([len(gaps) + place for place in range(len(made))])
            gaps.extend(made)
    return looks


def _adjusted(gaps: list[Gap], looks: list[list[int]], alpha: float) -> list[Gap]:
    adjusted = holm(np.array([gaps[places[0]].p for places in looks]))
    done = list(gaps)
    for places, p in zip(looks, adjusted, strict=True):
        for place in places:
            done[place] = replace(gaps[place], p_adjusted=float(p), flagged=bool(p < alpha))
    return done
