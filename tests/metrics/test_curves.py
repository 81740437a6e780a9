"""Points of the curves against scikit-learn."""

import numpy as np
from sklearn import metrics

from medcnn.metrics.curves import confusion, precision_recall_curve, roc_curve

CHANCE = np.random.default_rng(0)
POSITIVE = CHANCE.random(60) < 0.4
SCORES = (CHANCE.normal(size=60) + POSITIVE).round(1)


def test_the_roc_equals_scikit_learn():
    alarms, hits, thresholds = metrics.roc_curve(POSITIVE, SCORES, drop_intermediate=False)
    found = roc_curve(SCORES, POSITIVE)
    np.testing.assert_allclose(found.x, alarms)
    np.testing.assert_allclose(found.y, hits)
    np.testing.assert_array_equal(found.threshold, thresholds)


def test_precision_and_recall_equal_scikit_learn():
    precision, recall, thresholds = metrics.precision_recall_curve(POSITIVE, SCORES)
    found = precision_recall_curve(SCORES, POSITIVE)
    np.testing.assert_allclose(found.x, recall[::-1])
    np.testing.assert_allclose(found.y, precision[::-1])
    np.testing.assert_array_equal(found.threshold[1:], thresholds[::-1])


def test_one_class_alone_has_no_other_axis():
    found = roc_curve(SCORES, np.ones(60, bool))
    assert np.isnan(found.x).all()
    assert found.y[-1] == 1
    assert np.isnan(precision_recall_curve(SCORES, np.zeros(60, bool)).x).all()


def test_the_confusion_leaves_unknown_truth_out():
    true, called = np.array([0, 1, 2, -1, 2, 0]), np.array([0, 2, 2, 1, 0, 1])
    expected = metrics.confusion_matrix(true[true >= 0], called[true >= 0], labels=[0, 1, 2])
    np.testing.assert_array_equal(confusion(true, called, 3), expected)
