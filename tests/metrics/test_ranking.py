"""AUROC and average precision against scikit-learn, by hand, and by their laws."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, roc_auc_score

from medcnn.metrics.ranking import auroc, average_precision

# Few distinct scores, so that ties are the rule.
SCORES = hnp.arrays(np.float64, 40, elements=st.integers(0, 6).map(float))
POSITIVE = hnp.arrays(np.bool_, 40)


def test_by_hand():
    scores = np.array([0.1, 0.4, 0.4, 0.8])
    positive = np.array([False, False, True, True])
    # Four pairs: three won, one tied.
    assert auroc(scores, positive) == 3.5 / 4
    # At 0.8 precision 1 for half the recall; at 0.4 precision 2/3 for the other half.
    assert average_precision(scores, positive) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


@settings(max_examples=200, deadline=None)
@given(SCORES, POSITIVE)
def test_they_equal_scikit_learn_with_ties(scores, positive):
    assume(0 < positive.sum() < len(positive))
    assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert average_precision(scores, positive) == pytest.approx(average_precision_score(positive, scores), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(SCORES, POSITIVE)
def test_turning_the_scores_round_turns_the_auroc_round(scores, positive):
    assume(0 < positive.sum() < len(positive))
    assert auroc(-scores, positive) == pytest.approx(1 - auroc(scores, positive), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(SCORES, POSITIVE)
def test_the_order_of_the_cases_does_not_matter(scores, positive):
    assume(0 < positive.sum() < len(positive))
    order = np.random.default_rng(0).permutation(len(scores))
    assert auroc(scores[order], positive[order]) == auroc(scores, positive)
    assert average_precision(scores[order], positive[order]) == average_precision(scores, positive)


@pytest.mark.parametrize("answer", [True, False])
def test_one_class_alone_has_no_auroc(answer):
    assert math.isnan(auroc(np.arange(3.0), np.full(3, answer)))


def test_no_positive_has_no_average_precision():
    assert math.isnan(average_precision(np.arange(3.0), np.zeros(3, bool)))


def test_a_large_cohort_does_not_overflow():
    positive = np.arange(300_000) % 2 == 0
    assert auroc(np.arange(300_000) // 2 * 1.0, positive) == 0.5
