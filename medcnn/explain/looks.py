"""One look for a shortcut: its effect, its test against a margin, and the correction for how often one looked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from medcnn.explain.influence import Figure, beyond
from medcnn.metrics.by_patient import Owners, quantile
from medcnn.metrics.estimate import NAN


@dataclass(frozen=True)
class Shortcut:
    """One look for a shortcut.

    Attributes:
        name: What was looked at: ``marker L: upper left corner``, ``hidden: ...``, ``border``, ``scanner = A``.
        effect: In the unit that ``sentence`` names; NaN where it cannot be told.
        low: Of its 95 % interval by patient, not corrected for the number of looks.
        high: Of the same.
        p: Of the hypothesis that the effect lies within the margin.
        p_adjusted: By Holm, over all looks of one call.
        flagged: Whether ``p_adjusted`` is below the level.
        sentence: For the reader of a report.
        margin: The effect below which nothing is flagged.
        what: What ``effect`` counts, and in what unit.
        limit: The margin in the words of ``sentence``.
        of_margin: The effect as a share of its margin: above 1 it lies beyond.
    """

    name: str
    effect: float
    low: float
    high: float
    p: float
    p_adjusted: float
    flagged: bool
    sentence: str
    margin: float
    what: str = ""
    limit: str = ""
    of_margin: float = NAN


@dataclass(frozen=True)
class Scale:
    """What an effect counts and from where it is flagged.

    Attributes:
        what: In words, with the unit.
        margin: About ``base``, below which nothing is flagged.
        limit: The margin in words.
        base: The effect where there is none.
        share: Whether the effect is a share: its interval then stays within 0 and 1 by the logit scale.
    """

    what: str
    margin: float
    limit: str
    base: float = 0.0
    share: bool = False


def look(name: str, figure: Figure, scale: Scale, of: Owners, sentence: str) -> Shortcut:
    """A figure about 0 with its interval and its test against the margin; shown with the base of the scale added."""
    error, freedom = figure.error(of)
    reach = quantile(0.95, freedom) * error if math.isfinite(error) else NAN
    effect = figure.value + scale.base
    low, high = _share_ends(effect, reach) if scale.share else (effect - reach, effect + reach)
    return Shortcut(
        name, effect, low, high, beyond(figure, scale.margin, of), NAN, False, sentence, scale.margin,
        scale.what, scale.limit, abs(figure.value) / scale.margin,
    )  # fmt: skip


def _share_ends(share: float, reach: float) -> tuple[float, float]:
    """An interval on the logit scale; none where all pairs are alike, whose spread cannot be told."""
    if not 0 < share < 1:
        return NAN, NAN
    ends = logit(share) + np.array([-1, 1]) * reach / (share * (1 - share))
    return float(expit(ends[0])), float(expit(ends[1]))


def judged(looks: Sequence[Shortcut], alpha: float = 0.05) -> list[Shortcut]:
    """Looks with Holm's correction over those that have a p, and their flags; in the order given."""
    told = sorted((one.p, place) for place, one in enumerate(looks) if math.isfinite(one.p))
    out, greatest = list(looks), 0.0
    for rank, (p, place) in enumerate(told):
        greatest = max(greatest, min(1.0, (len(told) - rank) * p))
        one, flagged = looks[place], greatest < alpha
        out[place] = replace(one, p_adjusted=greatest, flagged=flagged, sentence=one.sentence + _beside(one, flagged))
    return out


def _beside(one: Shortcut, flagged: bool) -> str:
    """What the margin makes of an effect."""
    if flagged:
        return f" This looks like a shortcut: it lies beyond the margin of {one.limit} by more than chance."
    if one.of_margin <= 1:
        return f" That is within the margin of {one.limit}."
    return f" That is beyond the margin of {one.limit}, but not by more than chance."


def in_short(looks: Sequence[Shortcut], named: int = 3) -> str:
    """Summarize all checks in one line: ``none of 14 checks flagged; largest effect: border, 63% of its margin``."""
    flagged = sorted((one for one in looks if one.flagged), key=lambda one: -one.of_margin)
    if flagged:
        more = f" and {len(flagged) - named} more" if len(flagged) > named else ""
        return f"{len(flagged)} of {len(looks)} checks flagged: {', '.join(one.name for one in flagged[:named])}{more}"
    known = [one for one in looks if math.isfinite(one.of_margin)]
    if not known:
        return f"none of {len(looks)} checks could be made"
    largest = max(known, key=lambda one: one.of_margin)
    return f"none of {len(looks)} checks flagged; largest effect: {largest.name}, {_size(largest)}"


def _size(one: Shortcut) -> str:
    """An effect that is not flagged, by its margin, and why it is not flagged where it is beyond that margin."""
    if one.of_margin <= 1:
        return f"{one.of_margin:.0%} of its margin"
    if math.isfinite(one.p_adjusted):
        reason = f"not by more than chance (adjusted p = {one.p_adjusted:.2g})"
    else:
        reason = "too few patients to test it"
    return f"{one.of_margin:.1f} times its margin, but {reason}"


def verdict(looks: Sequence[Shortcut]) -> str:
    """What all looks say together, in one sentence that names the place.

    What the model leans on in these cases comes before what it would fall for.
    """
    flagged = [one for one in looks if one.flagged]
    if not flagged:
        return f"None of {len(looks)} checks for a shortcut is flagged: no effect was shown to be beyond its margin."
    used = [one for one in flagged if not one.name.startswith("marker")]
    worst = max(used or flagged, key=lambda one: one.of_margin)
    more = len(flagged) - 1
    others = f" ({more} more {'check is' if more == 1 else 'checks are'} flagged)" if more else ""
    if worst.name.startswith("marker"):
        return f"The model would fall for a marker in the {worst.name.partition(': ')[2]}{others}."
    place = worst.name.partition(": ")[2]
    what = f"the {place or worst.name}" if place or worst.name == "border" else f"a column, {worst.name}"
    return f"The score follows {what}{others}."
