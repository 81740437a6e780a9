"""Intervals hold the truth as often as they say, where films of a patient are alike (``benchmarks/intervals.py``)."""

import math

import numpy as np
import pytest
from scipy import stats

from medcnn.metrics.bootstrap import bootstrap_auroc
from medcnn.metrics.delong import auroc_interval
from medcnn.metrics.rates import share

COHORTS, PATIENTS, FILMS = 100, 100, 5
# What a true coverage of 0.95 gives by chance, all but 1 in 500 times.
LEAST, MOST = stats.binom.ppf([0.001, 0.999], COHORTS, 0.95)


def cohort(seed, shift=1.2, between=0.6):
    """Films of patients with one label each and a part of the score in common."""
    generator = np.random.default_rng(seed)
    owner = np.repeat(np.arange(PATIENTS), FILMS)
    positive = (generator.random(PATIENTS) < 0.4)[owner]
    common, own = generator.normal(size=PATIENTS)[owner], generator.normal(size=len(owner))
    return shift * positive + math.sqrt(between) * common + math.sqrt(1 - between) * own, positive, owner


def covered(interval, truth):
    found = [interval(*cohort(seed)) for seed in range(COHORTS)]
    return sum(one.low <= truth <= one.high for one in found)


AUROC, SENSITIVITY = stats.norm.cdf(1.2 / math.sqrt(2)), stats.norm.sf(0.6 - 1.2)


@pytest.mark.parametrize(
    ("interval", "truth"),
    [
        (auroc_interval, AUROC),
        (lambda s, y, p: bootstrap_auroc(s, y, p, draws=200), AUROC),
        (lambda s, y, p: share((s > 0.6)[y], p[y]), SENSITIVITY),
    ],
    ids=["DeLong", "bootstrap", "sensitivity"],
)
def test_intervals_by_patient_cover_the_truth(interval, truth):
    assert LEAST <= covered(interval, truth) <= MOST


@pytest.mark.parametrize(
    ("interval", "truth"),
    [(lambda s, y, _: auroc_interval(s, y), AUROC), (lambda s, y, _: share((s > 0.6)[y]), SENSITIVITY)],
    ids=["DeLong", "sensitivity"],
)
def test_intervals_that_take_films_for_patients_do_not(interval, truth):
    assert covered(interval, truth) < LEAST
