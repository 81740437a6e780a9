"""One number that turns logits into probabilities that mean what they say."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Array = NDArray[np.float64]

# A temperature outside says that the data cannot tell: a perfect ranking wants zero, a useless one infinity.
LOWEST, HIGHEST = 0.05, 20.0


class Temperature(NamedTuple):
    """What logits are divided by, and why it is 1 or at a bound if it is.

    Attributes:
        value: In [LOWEST, HIGHEST].
        reason: "" where the fit went well.
    """

    value: float
    reason: str = ""


def fit_temperature(logits: Any, labels: Any, multilabel: bool = False) -> float:
    """The temperature with the least negative log-likelihood; 1 where the data cannot tell. See ``temperature_of``."""
    return temperature_of(logits, labels, multilabel).value


def temperature_of(logits: Any, labels: Any, multilabel: bool = False) -> Temperature:
    """Fit the temperature, and say why where it could not be fitted.

    The likelihood is convex in 1 / temperature, so the search for its slope's zero cannot go astray.

    Args:
        logits: ``(n, K)``.
        labels: int ``(n,)``, -1 unknown; or with ``multilabel`` float ``(n, K)``, NaN unknown.
        multilabel: Whether several findings may stand together: one temperature serves them all.

    References:
        Guo et al., 2017, arXiv:1706.04599
    """
    given, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    known = ~np.isnan(truth) if multilabel else truth >= 0
    rows, answers = given[known], truth[known]
    if not np.isfinite(rows).all():
        return Temperature(1.0, "some logits are not finite")
    if len(np.unique(answers > 0.5 if multilabel else answers)) < 2:
        return Temperature(1.0, "only one class is present")
    slope = (lambda b: _sigmoid_slope(rows, answers, b)) if multilabel else (lambda b: _softmax_slope(rows, answers, b))
    low, high = 1 / HIGHEST, 1 / LOWEST
    if slope(high) <= 0:
        return Temperature(LOWEST, f"a still lower temperature would fit better: it is held at {LOWEST:g}")
    if slope(low) >= 0:
        return Temperature(HIGHEST, "the logits say nothing about the classes")
    return Temperature(1 / float(brentq(slope, low, high, xtol=1e-12)))


def _softmax_slope(logits: Array, labels: NDArray[np.int64], inverse: float) -> float:
    """How the mean negative log-likelihood changes with 1 / temperature."""
    scaled = logits * inverse
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    expected = (weights * logits).sum(axis=1) / weights.sum(axis=1)
    return float(np.mean(expected - logits[np.arange(len(labels)), labels]))


def _sigmoid_slope(logits: Array, findings: Array, inverse: float) -> float:
    """The same for logits and findings ``(m,)`` that stand each by itself."""
    # By tanh: an exponential of a large logit would overflow.
    probability = (1 + np.tanh(logits * inverse / 2)) / 2
    return float(np.mean((probability - findings) * logits))
