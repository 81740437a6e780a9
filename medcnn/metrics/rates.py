"""Shares and ratios of a yes-or-no call with intervals that know whose each case is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medcnn.metrics.by_patient import Owners, owners, quantile, spread
from medcnn.metrics.counts import Counts
from medcnn.metrics.estimate import NAN, Estimate

Array = NDArray[np.float64]
Truth = NDArray[np.bool_]


def share(hits: Truth, patients: Sequence[object] | None = None, level: float = 0.95) -> Estimate:
    """One proportion with Wilson's interval.

    Where patients have several cases, their number is divided by the design effect, the ratio of the variance between
    patients to the binomial one, but never raised; and the quantile is Student's t by patients. Where every case is
    alike the design effect cannot be seen: the cases of one patient then count as if they always agreed.

    Args:
        hits: What is counted ``(n,)``.
        patients: Whose each case is ``(n,)``; None: every case is its own patient.
        level: Coverage to aim at.

    Returns:
        NaN with a reason where there is no case; no interval where one patient has several cases and is alone.

    Raises:
        ValueError: Shapes that do not fit, or a level outside (0, 1).

    References:
        Wilson, 1927, doi:10.1080/01621459.1927.10502953
        Franco et al., 2019, PMC6690503 (Wilson with the effective number of cases, beside others)
        Rao and Scott, 1992, doi:10.2307/2532311 (design effect of clustered cases)
    """
    hits = np.asarray(hits, dtype=bool)
    return _share(hits, owners(patients, len(hits)), level)


def rates(
    called: Truth, positive: Truth, patients: Sequence[object] | None = None, level: float = 0.95
) -> dict[str, Estimate]:
    """What a call finds and misses: sensitivity, specificity, ppv, npv, accuracy, lr_positive, lr_negative.

    Shares have the interval of ``share``. Likelihood ratios have one on the log scale, where patients have several
    cases with the delta method over patients. A ratio of 0 or infinity takes its interval from the ends of its two
    shares, which is wider than need be, and says so in ``reason``.

    Args:
        called: Whether the case was called ``(n,)``.
        positive: Whether it has the finding ``(n,)``.
        patients: Whose each case is ``(n,)``; None: every case is its own patient.
        level: Coverage to aim at.

    Raises:
        ValueError: Shapes that do not fit, or a level outside (0, 1).

    References:
        Simel et al., 1991, doi:10.1016/0895-4356(91)90128-V (likelihood ratios)
    """
    called, positive = np.asarray(called, dtype=bool), np.asarray(positive, dtype=bool)
    if called.ndim != 1 or called.shape != positive.shape:
        raise ValueError(f"calls {called.shape} and truth {positive.shape}: give both as (n,)")
    of = owners(patients, len(called))
    parts = {
        "sensitivity": (called, positive),
        "specificity": (~called, ~positive),
        "ppv": (positive, called),
        "npv": (~positive, ~called),
        "accuracy": (called == positive, np.full(len(called), True)),
    }
    reasons = Counts.of(called, positive).reasons() if len(called) else {}
    found = {}
    for name, (hits, among) in parts.items():
        one = _share(hits[among], of.among(among), level)
        found[name] = one._replace(events=int(positive[among].sum()), reason=reasons.get(name, one.reason))
    found["lr_positive"] = _likelihood_ratio(called, positive, of, level)
    found["lr_negative"] = _likelihood_ratio(~called, positive, of, level)
    return found


def at_prevalence(sensitivity: Estimate, specificity: Estimate, prevalence: float) -> dict[str, Estimate]:
    """PPV and NPV where the finding is as common as ``prevalence``, which is taken as known.

    The interval is that of the logit with the delta method. The variances of the two shares are read off their
    intervals, so that a design effect is kept; where a share is 0 or 1 Wilson's center stands for it (the adjusted
    logit interval). A patient with cases of both kinds counts twice in ``patients``.

    Args:
        sensitivity: A share with Wilson's interval, as from ``rates``.
        specificity: The same for the negatives.
        prevalence: Share of patients with the finding where the model will be used, in (0, 1).

    Returns:
        ``ppv`` and ``npv``.

    Raises:
        ValueError: A prevalence outside (0, 1), or two shares with intervals of different levels.

    References:
        Mercaldo et al., 2007, doi:10.1002/sim.2677
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"the prevalence is {prevalence}; give a share between 0 and 1")
    if sensitivity.level != specificity.level:
        raise ValueError(f"intervals of level {sensitivity.level} and {specificity.level}: give two of one level")
    odds = prevalence / (1 - prevalence)
    missed, alarmed = _turned(sensitivity), _turned(specificity)
    return {"ppv": _predictive(sensitivity, alarmed, odds), "npv": _predictive(specificity, missed, 1 / odds)}


def _share(hits: Truth, of: Owners, level: float) -> Estimate:
    about = Estimate(NAN, n=len(hits), patients=of.patients, method="Wilson", level=level)
    reach = quantile(level)
    if not len(hits):
        return about._replace(reason="there is no case")
    value, size = float(hits.mean()), float(len(hits))
    if of.several:
        about = about._replace(value=value, method="Wilson, clustered by patient")
        if of.patients < 2:
            return about._replace(reason="one patient alone: how patients differ cannot be told")
        reach, size = quantile(level, of.patients - 1), _effective(hits, of)
    low, high = _wilson(value, reach**2 / size)
    return about._replace(value=value, low=low, high=high)


def _effective(hits: Truth, of: Owners) -> float:
    """Independent cases that say as much as these."""
    cases, value = np.bincount(of.number, minlength=of.patients).astype(np.float64), hits.mean()
    if value in (0.0, 1.0):
        return float(cases.sum() ** 2 / (cases**2).sum())
    between = of.patients / (of.patients - 1) * float(((of.sums(hits) - cases * value) ** 2).sum())
    return float(min(cases.sum(), cases.sum() ** 2 * value * (1 - value) / between)) if between else len(hits)


def _wilson(value: float, width: float) -> tuple[float, float]:
    """Ends of Wilson's interval; ``width`` is the squared quantile over the number of cases."""
    center, reach = value + width / 2, np.sqrt(width * value * (1 - value) + width**2 / 4)
    low, high = (center - reach) / (1 + width), (center + reach) / (1 + width)
    # Rounding must not leave a share of 0 or 1 outside its own interval.
    return float(low if value else 0.0), float(high if value < 1 else 1.0)


def _likelihood_ratio(called: Truth, positive: Truth, of: Owners, level: float) -> Estimate:
    """How much more often positives are called than negatives."""
    method = "log scale, clustered by patient" if of.several else "log scale"
    about = Estimate(NAN, n=len(called), patients=of.patients, events=int(positive.sum()), method=method, level=level)
    if positive.all() or not positive.any():
        return about._replace(reason="no positive" if not positive.any() else "no negative")
    hits, alarms = called & positive, called & ~positive
    if not hits.any() and not alarms.any():
        return about._replace(reason="no case of either kind had this call")
    patients = np.array([of.having(positive), of.having(~positive)], dtype=np.float64)
    about = about._replace(value=float(called[positive].mean() / called[~positive].mean()) if alarms.any() else np.inf)
    if of.several and patients.min() < 2:
        return about._replace(reason="one patient alone has the cases of a class: how patients differ cannot be told")
    if not hits.any() or not alarms.any():
        return _edge_ratio(called, positive, of, about)
    reach = quantile(level) * np.sqrt(1 / hits.sum() - 1 / positive.sum() + 1 / alarms.sum() - 1 / (~positive).sum())
    if of.several:
        # What each patient adds to the logarithm, through the share of its positives and of its negatives.
        sides = [
            sign * of.sums(np.where(side, called - called[side].mean(), 0.0)) / (called & side).sum()
            for sign, side in ((1, positive), (-1, ~positive))
        ]
        error, freedom = spread(np.stack(sides), positive, of)
        reach = quantile(level, freedom) * error
    if not reach:
        return about._replace(reason="the patients do not differ: their spread cannot be told")
    return about._replace(low=about.value * float(np.exp(-reach)), high=about.value * float(np.exp(reach)))


def _edge_ratio(called: Truth, positive: Truth, of: Owners, about: Estimate) -> Estimate:
    one = _share(called[positive], of.among(positive), about.level)
    other = _share(called[~positive], of.among(~positive), about.level)
    lacking, end = ("positive", "is 0") if not about.value else ("negative", "has no upper end")
    reason = f"no {lacking} had this call: the ratio {end}, its interval is from the ends of two shares"
    low, high = one.low / other.high, one.high / other.low if other.low else np.inf
    return about._replace(low=low, high=high, method="ends of two shares", reason=reason)


def _turned(one: Estimate) -> Estimate:
    return one._replace(value=1 - one.value, low=1 - one.high, high=1 - one.low)


def _predictive(right: Estimate, wrong: Estimate, odds: float) -> Estimate:
    """Share of the right ones among all called: ``odds`` * right / wrong on the scale of odds."""
    about = Estimate(
        NAN, n=right.n + wrong.n, patients=right.patients + wrong.patients, method="logit, delta method",
        level=right.level,
    )  # fmt: skip
    reason = right.reason or wrong.reason
    if np.isnan(right.value) or np.isnan(wrong.value):
        return about._replace(reason=reason)
    if not right.value and not wrong.value:
        return about._replace(reason="no case had this call")
    about = about._replace(value=odds * right.value / (odds * right.value + wrong.value))
    if np.isnan([right.low, right.high, wrong.low, wrong.high]).any():
        return about._replace(reason=reason)
    edge = {right.value, wrong.value} & {0.0, 1.0}
    (one, spread), (other, other_spread) = (_logged(part, bool(edge)) for part in (right, wrong))
    middle, reach = np.log(odds) + one - other, np.sqrt(spread + other_spread)
    low, high = (float(1 / (1 + np.exp(-(middle + end)))) for end in (-reach, reach))
    return about._replace(low=min(low, about.value), high=max(high, about.value))


def _logged(part: Estimate, adjusted: bool) -> tuple[float, float]:
    """Logarithm of a share, and the square of the reach of its interval to either side."""
    # Wilson's ends solve (value - end)**2 = width * end * (1 - end).
    ends = [end for end in (part.low, part.high) if 0 < end < 1]
    width = max(((part.value - end) ** 2 / (end * (1 - end)) for end in ends), default=0.0)
    value = part.value
    if adjusted:
        value, width = (value + width / 2) / (1 + width), width / (1 + width)
    return float(np.log(value)), width * (1 - value) / value
