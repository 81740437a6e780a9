"""Whose each case is, and what that does to a sum over cases."""

import math

import numpy as np
import pytest

from medcnn.metrics.by_patient import owners, quantile, spread


def test_patients_are_numbered_as_they_come_whatever_they_are():
    of = owners(["b", 7, "b", ("a", 1)], 4)
    assert of.number.tolist() == [0, 1, 0, 2]
    assert of.patients == 3
    assert of.several
    assert of.sums(np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [4, 2, 4]
    assert of.having(np.array([True, False, True, False])) == 1


def test_without_patients_every_case_is_its_own():
    of = owners(None, 3)
    assert (of.number.tolist(), of.patients, of.several) == ([0, 1, 2], 3, False)
    assert of.having(np.array([True, True, False])) == 2


def test_cases_without_a_name_are_one_patient():
    of = owners([None, "a", math.nan, np.float64("nan")], 4)
    assert of.number.tolist() == [0, 1, 0, 0]


def test_some_cases_alone_keep_who_is_with_whom():
    of = owners(["a", "b", "a", "c", "b"], 5).among(np.array([False, True, False, True, True]))
    assert of.number.tolist() == [0, 1, 0]
    assert of.patients == 2


def test_the_spread_of_two_means_is_that_of_the_t_test_with_unequal_variances():
    from scipy import stats

    generator = np.random.default_rng(0)
    values, positive = generator.normal(size=30), np.arange(30) < 8
    rests = [np.where(side, values - values[side].mean(), 0) / side.sum() for side in (positive, ~positive)]
    error, freedom = spread(np.stack([rests[0], -rests[1]]), positive, owners(None, 30))
    theirs = stats.ttest_ind(values[positive], values[~positive], equal_var=False)
    assert freedom == pytest.approx(theirs.df)
    assert (values[positive].mean() - values[~positive].mean()) / error == pytest.approx(theirs.statistic)


def test_quantiles_are_the_well_known_ones():
    assert quantile(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert quantile(0.95, 11) == pytest.approx(2.200985, abs=1e-6)
    with pytest.raises(ValueError, match="level"):
        quantile(1.0)


@pytest.mark.parametrize("given", [[7, 3, 7, 0, 3], [10**12, 5, 10**12, -1, 5], [True, False, True, None, False]])
def test_numbers_for_names_group_as_names_do(given):
    of, named = owners(given, 5), owners([str(name) for name in given], 5)
    assert of.patients == named.patients
    same = of.number[:, None] == of.number[None]
    assert np.array_equal(same, named.number[:, None] == named.number[None])
