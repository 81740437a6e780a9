"""Where to set the threshold, on data not trained on: for a sensitivity, a specificity, a cost, with a guarantee."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcnn.metrics.by_patient import Owners, owners
from medcnn.metrics.curves import called_at_each_score
from medcnn.metrics.estimate import NAN

Array = NDArray[np.float64]

# Thresholds that a guarantee is tested at: as many as there are up to here, then every second, third, ... place.
MOST_TESTED = 200


class OperatingPoint(NamedTuple):
    """A threshold and what it gave on the data it was chosen on.

    Attributes:
        threshold: A case is called at this score or above; NaN where it could not be chosen.
        sensitivity: Share of the positives that are called.
        specificity: Share of the negatives that are not; NaN where there is none.
        positives: Number of positives.
        reason: Why the threshold is NaN, "" otherwise.
    """

    threshold: float
    sensitivity: float
    specificity: float
    positives: int
    reason: str = ""


def threshold_for_sensitivity(scores: Any, positive: Any, target: float) -> OperatingPoint:
    """The highest threshold at which at least ``target`` of the positives are called.

    Any higher one that changes a call misses the target. Cases of one score are called together.

    Args:
        scores: One number a case ``(n,)``.
        positive: Whether the case has the finding ``(n,)``.
        target: Sensitivity to reach, in (0, 1].

    Raises:
        ValueError: A target outside (0, 1].
    """
    if not 0 < target <= 1:
        raise ValueError(f"the sensitivity to reach is {target}; give a share above 0 and up to 1")
    scores, positive = np.asarray(scores), np.asarray(positive, dtype=bool)
    hits = np.sort(scores[positive])[::-1]
    if not len(hits):
        return _no_point(0, "no positive case to choose a threshold on")
    return _point(float(hits[_needed(target, len(hits)) - 1]), scores, positive)


def threshold_for_specificity(scores: Any, positive: Any, target: float) -> OperatingPoint:
    """The lowest threshold at which at most ``1 - target`` of the negatives are called.

    Any lower one that changes a call misses the target. Cases of one score are called together.

    Args:
        scores: One number a case ``(n,)``; NaN is left out.
        positive: Whether the case has the finding ``(n,)``.
        target: Specificity to reach, in (0, 1].

    Returns:
        The threshold; NaN where only a threshold that calls no case at all would do.

    Raises:
        ValueError: A target outside (0, 1].
    """
    if not 0 < target <= 1:
        raise ValueError(f"the specificity to reach is {target}; give a share above 0 and up to 1")
    scores, positive, _ = _scored(scores, positive)
    negatives, positives = np.sort(scores[~positive]), int(positive.sum())
    if not len(negatives):
        return _no_point(positives, "no negative case to choose a threshold on")
    above = scores[scores > negatives[_needed(target, len(negatives)) - 1]]
    if not len(above):
        return _no_point(positives, f"only calling no case at all reaches a specificity of {target:g}")
    return _point(float(above.min()), scores, positive)


def threshold_for_cost(
    scores: Any, positive: Any, miss_cost: float, alarm_cost: float, prevalence: float | None = None
) -> OperatingPoint:
    """The threshold with the least expected cost a case; of equal ones the lowest, which misses fewer.

    The cost is ``prevalence * miss_cost * (1 - sensitivity) + (1 - prevalence) * alarm_cost * (1 - specificity)``.

    Args:
        scores: One number a case ``(n,)``; NaN is left out.
        positive: Whether the case has the finding ``(n,)``.
        miss_cost: What a positive costs that is not called; only its ratio to ``alarm_cost`` matters.
        alarm_cost: What a negative costs that is called.
        prevalence: Share of positives where the model will work; that of these cases where it is not told.

    Returns:
        The threshold; NaN where calling no case costs least, and where a class is missing.

    Raises:
        ValueError: A cost that is not above 0, a prevalence outside (0, 1).
    """
    if not (miss_cost > 0 and alarm_cost > 0):
        raise ValueError(f"a miss costs {miss_cost} and a false alarm {alarm_cost}; give numbers above 0")
    if prevalence is not None and not 0 < prevalence < 1:
        raise ValueError(f"the prevalence is {prevalence}; give a share between 0 and 1")
    scores, positive, _ = _scored(scores, positive)
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return _no_point(positives, "costs need positive and negative cases to weigh against each other")
    share = positives / len(scores) if prevalence is None else prevalence
    hits, called, threshold = called_at_each_score(scores, positive)
    cost = share * miss_cost * (1 - hits / positives) + (1 - share) * alarm_cost * (called - hits) / negatives
    # From the highest threshold down: the last of equal costs is the lowest. Rounding must not part them.
    best = int(np.flatnonzero(cost <= cost.min() * (1 + 1e-12))[-1])
    if best == 0:
        return _no_point(positives, "at these costs calling no case at all is cheapest")
    return _point(float(threshold[best]), scores, positive)


def threshold_with_guarantee(
    scores: Any,
    positive: Any,
    target_sensitivity: float,
    confidence: float = 0.95,
    patients: Sequence[object] | None = None,
) -> OperatingPoint:
    """A threshold whose sensitivity on new cases is at least the target, with this confidence over validation sets.

    Each threshold is tested by the exact binomial tail of its misses, from the lowest up until the first that fails
    (fixed sequence testing: misses only grow, so no correction for many looks is lost). The tested thresholds are
    scores of positives at places that depend on their number alone, which keeps the guarantee.

    Cases of one patient are not independent. Where patients are told, each stands with the lowest-scoring of his
    positive cases: the guarantee is then for patients all of whose positive cases are called, and holds the more for
    one case of a patient. It asks that validation patients and later ones come from one population.

    Args:
        scores: One number a case ``(n,)``; NaN is left out.
        positive: Whether the case has the finding ``(n,)``.
        target_sensitivity: Sensitivity to guarantee, in (0, 1].
        confidence: In how many of many validation sets the guarantee shall hold, in (0, 1).
        patients: Whose each case is ``(n,)``; every case is its own patient where it is not told.

    Returns:
        The threshold and what it gives on these cases, all of them; NaN and how many positives it takes where there
        are too few.

    Raises:
        ValueError: A target or a confidence that is no such share.

    References:
        Angelopoulos et al., 2021, Learn then Test, arXiv:2110.01052
    """
    if not 0 < target_sensitivity <= 1 or not 0 < confidence < 1:
        raise ValueError(
            f"the sensitivity to guarantee is {target_sensitivity} with confidence {confidence}; give shares above 0, "
            "the confidence below 1"
        )
    whose = owners(patients, len(positive))
    scores, positive, known = _scored(scores, positive)
    hits, count = _lowest_of_each(scores[positive], whose.among(known).among(positive)), int(positive.sum())
    if target_sensitivity == 1:
        return _no_point(count, "no number of cases can guarantee that nothing is missed")
    needed = int(np.ceil(np.log(1 - confidence) / np.log(target_sensitivity) + 1e-9))
    if len(hits) < needed:
        of = "positive cases" if patients is None else "patients with a positive case"
        return _no_point(count, f"{len(hits)} {of} are too few for this guarantee; it takes {needed}")
    return _point(_highest_guaranteed(hits, target_sensitivity, confidence), scores, positive)


def widened(threshold: float, scores: Any) -> float:
    """A threshold moved half-way to the next lower score: every call stays, and rounding cannot change one.

    A score on another machine differs in its last digit; a threshold that equals a score would turn on it.

    Args:
        threshold: A threshold that is one of the scores, or NaN.
        scores: All scores ``(n,)`` it was chosen on.
    """
    scores = np.asarray(scores, dtype=np.float64)
    lower = scores[scores < threshold]
    return float((threshold + lower.max()) / 2) if len(lower) else threshold


def _scored(scores: Any, positive: Any) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Scores and truth of the cases that have a score, and which these are."""
    given, true = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if given.ndim != 1 or given.shape != true.shape:
        raise ValueError(f"scores {given.shape} and truth {true.shape}: give both as (n,)")
    known = ~np.isnan(given)
    return given[known], true[known], known


def _lowest_of_each(hits: Array, of: Owners) -> Array:
    """The lowest score of each patient, in ascending order."""
    lowest = np.full(of.patients, np.inf)
    np.minimum.at(lowest, of.number, hits)
    return np.sort(lowest)


def _highest_guaranteed(ordered: Array, target: float, confidence: float) -> float:
    """The highest of these scores, those of positives in ascending order, that MAPIE finds to hold the target."""
    from mapie.risk_control import BinaryClassificationController, BinaryRisk

    # Misses counted as such: MAPIE's "recall" is 1 minus a share, whose rounding costs a place in 4 of 10 cases.
    missed = BinaryRisk(lambda true, called: called == 0, lambda true, called: true == 1, higher_is_better=False)
    # Places instead of scores: any range of scores will do, and MAPIE takes none for a hard 0 or 1.
    count = len(ordered)
    places = (np.searchsorted(ordered, ordered) + 0.5) / count
    last = min(int(np.ceil((1 - target) * count)), count - 1)
    tested = np.unique(places[np.linspace(0, last, min(last + 1, MOST_TESTED)).astype(np.int64)])
    controller = BinaryClassificationController(
        predict_function=lambda place: np.column_stack([1 - place, place]),
        risk=missed,
        target_level=float(1 - target),
        confidence_level=float(confidence),
        best_predict_param_choice="predicted_positive_fraction",
        # The last calls nobody and never holds: MAPIE warns where every threshold does.
        list_predict_params=np.append(tested, 1.0),
        fwer_method="fixed_sequence",
    )
    # Positives alone: sensitivity knows no others, and the highest threshold that holds calls the fewest of them.
    controller.calibrate(places, np.ones(count, dtype=np.int64))
    return float(ordered[round(controller.best_predict_param * count - 0.5)])


def _needed(target: float, count: int) -> int:
    """How many of ``count`` cases make a share of at least ``target``."""
    # A share as a float may lie a hair above the whole number it means: 0.07 * 100 is 7.000000000000001.
    return max(int(np.ceil(target * count - 1e-9)), 1)


def _point(threshold: float, scores: Any, positive: NDArray[np.bool_]) -> OperatingPoint:
    called, positives = scores >= threshold, int(positive.sum())
    sensitivity = float(called[positive].mean()) if positives else NAN
    specificity = float((~called)[~positive].mean()) if positives < len(positive) else NAN
    return OperatingPoint(threshold, sensitivity, specificity, positives)


def _no_point(positives: int, reason: str) -> OperatingPoint:
    return OperatingPoint(NAN, NAN, NAN, positives, reason)
