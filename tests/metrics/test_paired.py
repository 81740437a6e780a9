"""The paired test of two calls agrees with McNemar's, holds its level by patient, and counts what differs."""

import numpy as np
import pytest
from scipy import stats

from medcnn.metrics.paired import paired_shares


def test_where_cases_stand_alone_p_is_the_exact_sign_test_of_those_that_differ() -> None:
    first = np.array([True] * 9 + [False] * 2 + [True] * 30 + [False] * 9)
    second = np.array([False] * 9 + [True] * 2 + [True] * 30 + [False] * 9)
    found = paired_shares(first, second)
    assert (found.first_only, found.second_only) == (9, 2)
    assert found.p == pytest.approx(2 * stats.binom.cdf(2, 11, 0.5))
    assert found.difference.value == pytest.approx(7 / 50)
    # The interval of a mean of differences, by hand: numpy's sample variance over n.
    differences = first.astype(float) - second
    reach = stats.norm.ppf(0.975) * differences.std(ddof=1) / np.sqrt(50)
    assert found.difference.low == pytest.approx(7 / 50 - stats.t.ppf(0.975, 49) / stats.norm.ppf(0.975) * reach)


def test_two_models_that_never_differ_have_nothing_to_tell_apart() -> None:
    found = paired_shares(np.ones(5, dtype=bool), np.ones(5, dtype=bool))
    assert (found.difference.value, found.p) == (0.0, 1.0)
    assert "agree in every case" in found.difference.reason


def test_no_case_and_one_patient_give_reasons_and_no_error() -> None:
    assert "no case" in paired_shares(np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)).difference.reason
    alone = paired_shares(np.array([True, True]), np.array([False, True]), ["p", "p"])
    assert np.isnan(alone.p)
    assert "one patient" in alone.difference.reason


def test_by_patient_the_test_keeps_its_level_where_the_naive_one_does_not() -> None:
    chance = np.random.default_rng(0)
    clustered, naive = [], []
    for _ in range(400):
        # Five alike cases a patient: which model errs is drawn by patient, without a difference between the two.
        first, second = (np.repeat(chance.random(60) < 0.7, 5) for _ in range(2))
        owners = np.repeat(np.arange(60), 5).tolist()
        clustered.append(paired_shares(first, second, owners).p < 0.05)
        naive.append(paired_shares(first, second).p < 0.05)
    assert 0.02 <= np.mean(clustered) <= 0.08
    assert np.mean(naive) > 0.2
