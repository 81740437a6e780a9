"""Intervals by drawing patients again."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from medcnn.metrics.by_patient import Owners, owners, quantile
from medcnn.metrics.delong import checked, too_few, unknown
from medcnn.metrics.estimate import Estimate
from medcnn.metrics.ranking import auroc, average_precision

Array = NDArray[np.float64]
# Weights of one chunk: 2 MB stay in the cache, which is twice as fast as 32.
CHUNK_NUMBERS = 250_000


def bootstrap_mean(
    figures: Array, patients: Sequence[object] | None = None, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """A percentile interval of the mean over classes of the mean over cases.

    Patients are drawn with replacement, each with all of its cases: cases of one patient are no independent evidence.

    Args:
        figures: One number a case and class ``(n, K)``; NaN is left out.
        patients: Whose each case is ``(n,)``; every case is its own patient where it is not told.
        draws: How often as many patients are drawn as there are.
        level: How much of the draws lies in the interval.
        seed: The same seed gives the same interval.

    Returns:
        Its ends; NaN where fewer than two patients have a figure.
    """
    known = ~np.isnan(figures)
    of = owners(patients, len(figures))
    sums, counts = np.zeros((2, of.patients, figures.shape[1]))
    np.add.at(sums, of.number, np.where(known, figures, 0))
    np.add.at(counts, of.number, known)
    some = counts.any(axis=1)
    sums, counts, n = sums[some], counts[some], int(some.sum())
    if n < 2:
        return float("nan"), float("nan")
    # How often each patient is in each draw: then a draw's sums are one product of matrices.
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
    drawn = times @ counts
    means = np.divide(times @ sums, drawn, out=np.full_like(drawn, np.nan), where=drawn > 0)
    present = (drawn > 0).sum(axis=1)
    of_draws = np.nansum(means, axis=1)[present > 0] / present[present > 0]
    low, high = np.percentile(of_draws, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def bootstrap_weights(
    patients: Sequence[object] | None, n: int, draws: int = 2000, seed: int = 0
) -> Iterator[NDArray[np.float64]]:
    """How often each case stands in each draw of patients, in chunks of bounded memory.

    As many patients are drawn as there are, with replacement, each with all of its cases. Any figure that takes
    weights gets an interval from this.

    Args:
        patients: Whose each case is ``(n,)``; None: every case is its own patient.
        n: Cases.
        draws: Rows over all chunks.
        seed: The same seed gives the same draws.

    Yields:
        Whole numbers ``(chunk, n)``.
    """
    yield from _weights(owners(patients, n), draws, seed)


def bootstrap_auroc(
    scores: Array,
    positive: NDArray[np.bool_],
    patients: Sequence[object] | None = None,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The AUROC with an expanded percentile interval over draws of patients.

    Plain percentiles are too narrow where patients are few: they have the normal quantile for Student's, and the
    variance of draws lacks a factor n / (n - 1). The percentiles are moved out by both, n being the patients of the
    class that has fewer. With a dozen patients in a class and an AUROC near 1 it still falls short where DeLong's does
    not (``benchmarks/results/intervals.md``).

    Args:
        scores: One number a case ``(n,)``, higher is more suspicious.
        positive: Whether the case has the finding ``(n,)``.
        patients: Whose each case is ``(n,)``; None: every case is its own patient.
        draws: How often as many patients are drawn as there are. A draw without both classes is left out.
        level: Coverage to aim at.
        seed: The same seed gives the same interval.

    Returns:
        NaN with a reason where a class is missing or a score is not finite; no interval where a class has one patient,
        or where every draw gives one figure.

    Raises:
        ValueError: Shapes that do not fit, or a level outside (0, 1).

    References:
        Hesterberg, 2015, doi:10.1080/00031305.2015.1089789 (expanded percentiles)
    """
    return _drawn((auroc, _aurocs), *checked(scores, positive, patients), draws, level, seed)


def bootstrap_average_precision(
    scores: Array,
    positive: NDArray[np.bool_],
    patients: Sequence[object] | None = None,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The average precision with an expanded percentile interval over draws of patients, as ``bootstrap_auroc``."""
    return _drawn((average_precision, _average_precisions), *checked(scores, positive, patients), draws, level, seed)


def _drawn(
    figures: tuple[Callable[..., float], Callable[..., Array]],
    scores: Array,
    positive: NDArray[np.bool_],
    of: Owners,
    draws: int,
    level: float,
    seed: int,
) -> Estimate:
    """A figure of the cases as they are, and its interval from the same figure of every draw."""
    of_cases, of_draws = figures
    reason = unknown(scores, positive)
    value = float("nan") if reason else of_cases(scores, positive)
    about = _about(value, positive, of, level)._replace(reason=reason or too_few(positive, of))
    return about if about.reason else _percentiles(of_draws, scores, positive, of, draws, seed, about)


def _about(value: float, positive: NDArray[np.bool_], of: Owners, level: float) -> Estimate:
    quantile(level)
    events, method = int(positive.sum()), "bootstrap over patients"
    return Estimate(value, n=len(positive), patients=of.patients, events=events, method=method, level=level)


def _weights(of: Owners, draws: int, seed: int) -> Iterator[Array]:
    generator, chunk = np.random.default_rng(seed), max(CHUNK_NUMBERS // max(len(of.number), 1), 1)
    for start in range(0, draws, chunk):
        rows = min(chunk, draws - start)
        drawn = generator.integers(0, max(of.patients, 1), (rows, of.patients)) + np.arange(rows)[:, None] * of.patients
        times = np.bincount(drawn.ravel(), minlength=rows * of.patients).reshape(rows, of.patients)
        yield np.take(times, of.number, axis=1).astype(np.float64)


def _percentiles(
    figures: Callable[[Array, Array, NDArray[np.int64]], Array],
    scores: Array,
    positive: NDArray[np.bool_],
    of: Owners,
    draws: int,
    seed: int,
    about: Estimate,
) -> Estimate:
    """``figures`` of every draw: from weights and truth, highest score first, and where each score ends."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    truth, ordered = positive[order].astype(np.float64), Owners(of.number[order], of.patients)
    found = np.concatenate([figures(weights, truth, last) for weights in _weights(ordered, draws, seed)])
    kept = found[~np.isnan(found)]
    if not len(kept) or kept.min() == kept.max():
        return about._replace(reason="every draw of patients gives the same figure: their spread cannot be told")
    fewest = min(of.having(positive), of.having(~positive))
    tail = stats.norm.cdf(-quantile(about.level, fewest - 1) * np.sqrt(fewest / (fewest - 1)))
    low, high = np.quantile(kept, [tail, 1 - tail])
    missing = draws - len(kept)
    reason = f"{missing} of {draws} draws lacked a class and were left out" if missing > 0.05 * draws else ""
    return about._replace(low=float(low), high=float(high), reason=reason)


def _counted(weights: Array, truth: Array, last: NDArray[np.int64]) -> tuple[Array, Array]:
    """Positives and cases down to the end of each score, after a first column of zeros, ``(chunk, scores + 1)``."""
    hits, called = np.cumsum(weights * truth, axis=1), np.cumsum(weights, axis=1)
    if len(last) < len(truth):
        hits, called = hits[:, last], called[:, last]
    return np.pad(hits, ((0, 0), (1, 0))), np.pad(called, ((0, 0), (1, 0)))


def _aurocs(weights: Array, truth: Array, last: NDArray[np.int64]) -> Array:
    hits, called = _counted(weights, truth, last)
    alarms = called - hits
    # The area under the curve by trapezoids: ties half.
    area = np.einsum("ij,ij->i", np.diff(alarms), hits[:, 1:] + hits[:, :-1]) / 2
    pairs = hits[:, -1] * alarms[:, -1]
    return np.divide(area, pairs, out=np.full_like(area, np.nan), where=pairs > 0)


def _average_precisions(weights: Array, truth: Array, last: NDArray[np.int64]) -> Array:
    hits, called = _counted(weights, truth, last)
    precision = hits[:, 1:] / np.maximum(called[:, 1:], 1)
    area, positives = np.einsum("ij,ij->i", np.diff(hits), precision), hits[:, -1]
    return np.divide(area, positives, out=np.full_like(area, np.nan), where=positives > 0)
