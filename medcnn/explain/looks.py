"""One look for a shortcut: its effect, its test against a margin, and the correction for how often one looked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

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


def look(name: str, figure: Figure, margin: float, of: Owners, sentence: str, base: float = 0.0) -> Shortcut:
    """A figure with its interval and its test against a margin about 0; shown with ``base`` added."""
    error, freedom = figure.error(of)
    reach = quantile(0.95, freedom) * error if math.isfinite(error) else NAN
    effect = figure.value + base
    p = beyond(figure, margin, of)
    return Shortcut(name, effect, effect - reach, effect + reach, p, NAN, False, sentence, margin)


def judged(looks: Sequence[Shortcut], alpha: float = 0.05) -> list[Shortcut]:
    """Looks with Holm's correction over those that have a p, and their flags; in the order given."""
    told = sorted((one.p, place) for place, one in enumerate(looks) if math.isfinite(one.p))
    out, greatest = list(looks), 0.0
    for rank, (p, place) in enumerate(told):
        greatest = max(greatest, min(1.0, (len(told) - rank) * p))
        one, flagged = looks[place], greatest < alpha
        verdict = " This looks like a shortcut." if flagged else ""
        out[place] = replace(one, p_adjusted=greatest, flagged=flagged, sentence=one.sentence + verdict)
    return out


def verdict(looks: Sequence[Shortcut]) -> str:
    """What all looks say together, in one sentence that names the place.

    What the model leans on in these cases comes before what it would fall for.
    """
    flagged = [one for one in looks if one.flagged]
    if not flagged:
        return f"None of {len(looks)} looks for a shortcut found one."
    used = [one for one in flagged if not one.name.startswith("marker")]
    worst = max(used or flagged, key=lambda one: abs(one.effect) / one.margin)
    more = len(flagged) - 1
    others = f" ({more} more {'look is' if more == 1 else 'looks are'} flagged)" if more else ""
    if worst.name.startswith("marker"):
        return f"The model would fall for a marker in the {worst.name.partition(': ')[2]}{others}."
    place = worst.name.partition(": ")[2]
    what = f"the {place or worst.name}" if place or worst.name == "border" else f"a column, {worst.name}"
    return f"The score follows {what}{others}."
