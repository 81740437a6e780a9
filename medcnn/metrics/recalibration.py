"""The logistic line that would set probabilities right: intercept 0 and slope 1 where nothing has to be."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from medcnn.metrics.estimate import NAN

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Probabilities are held this far from 0 and 1: their logits would be infinite. float32 keeps none nearer to 1 but 1.
CLIP = 1e-9
_STEPS = 100


def logits_of(probabilities: Array) -> Array:
    """Log odds ``(n,)``, finite: probabilities are held ``CLIP`` away from 0 and 1."""
    held = np.clip(probabilities, CLIP, 1 - CLIP)
    return np.log(held) - np.log1p(-held)


def calibration_intercept(logits: Array, positive: Bools) -> tuple[float, str]:
    """What has to be added to every logit for the expected positives to be those observed.

    Also called calibration-in-the-large: above 0 the probabilities are too low on average.

    Args:
        logits: Log odds ``(n,)``, finite.
        positive: Whether the case has the finding ``(n,)``.

    Returns:
        The intercept of a logistic regression with slope 1, and "" ; NaN and a reason where a class is missing.
    """
    if positive.all() or not positive.any():
        return NAN, "only one class is present"
    observed, edge = positive.mean(), float(np.abs(logits).max()) + 40
    return float(brentq(lambda a: float(probability_of(logits + a).mean() - observed), -edge, edge, xtol=1e-12)), ""


def calibration_line(logits: Array, positive: Bools) -> tuple[float, float, str]:
    """Intercept and slope of the logistic regression of the finding on the logit, without a penalty.

    A slope below 1 says that the probabilities are too extreme, one above 1 that they are too timid.

    Args:
        logits: Log odds ``(n,)``, finite.
        positive: Whether the case has the finding ``(n,)``.

    Returns:
        Both and "" ; NaN and a reason where no finite line fits best.
    """
    reason = _no_line(logits, positive)
    if reason:
        return NAN, NAN, reason
    # Newton's steps on the standardized logit, halved where one would make the fit worse: the likelihood is concave.
    center, spread = float(logits.mean()), float(logits.std())
    design = np.stack([np.ones_like(logits), (logits - center) / spread], axis=1)
    line, best = np.zeros(2), _log_likelihood(np.zeros_like(logits), positive)
    for _ in range(_STEPS):
        fitted = probability_of(design @ line)
        weight = fitted * (1 - fitted)
        step = np.linalg.lstsq((design * weight[:, None]).T @ design, design.T @ (positive - fitted), rcond=None)[0]
        while (found := _log_likelihood(design @ (line + step), positive)) < best and np.abs(step).max() > 1e-12:
            step /= 2
        line, best = line + step, max(found, best)
        if np.abs(step).max() < 1e-10 * max(1.0, float(np.abs(line).max())):
            return float(line[0] - line[1] * center / spread), float(line[1] / spread), ""
    return NAN, NAN, "the fit of the slope did not settle: the probabilities all but separate the classes"


def probability_of(logits: Array) -> Array:
    """The logistic function, by tanh: an exponential of a large logit would overflow."""
    return (1 + np.tanh(logits / 2)) / 2


def _no_line(logits: Array, positive: Bools) -> str:
    """Why no finite slope fits best, "" where one does."""
    if positive.all() or not positive.any():
        return "only one class is present"
    with_it, without = logits[positive], logits[~positive]
    if np.ptp(logits) <= 1e-9 * max(1.0, float(np.abs(logits).max())):
        return "every case has the same probability"
    # Also where the classes touch in one value only: there the likelihood still grows without end.
    if with_it.min() >= without.max() or with_it.max() <= without.min():
        return "one threshold separates the classes without error: no finite slope fits best"
    return ""


def _log_likelihood(logits: Array, positive: Bools) -> float:
    return -float(np.logaddexp(0, np.where(positive, -logits, logits)).sum())
