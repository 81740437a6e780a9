"""Folds: every case validated once, no patient on two sides, the same on every machine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcnn.data.folds import fold_cases
from medcnn.errors import ConfigError


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.lists(st.integers(0, 30), min_size=40, max_size=80), st.integers(0, 9))
def test_over_all_folds_each_case_is_validated_once_and_patients_stay_together(
    folds: int, patients: list[int], seed: int
) -> None:
    labels = np.ones((len(patients), 1), np.float32)
    marks = (
        [fold_cases(patients, labels, folds, fold, 0.0, seed) for fold in range(folds)]
        if len(set(patients)) >= folds
        else []
    )
    if not marks:
        return
    assert (sum(mark == "val" for mark in marks) == 1).all()
    for mark in marks:
        sides = {(patient, side) for patient, side in zip(patients, mark, strict=True)}
        assert len(sides) == len(set(patients))


def test_the_folds_are_even_in_size_and_in_a_rare_structure() -> None:
    labels = (np.arange(100)[:, None] < 10).astype(np.float32)
    for fold in range(5):
        chosen = fold_cases(list(range(100)), labels, 5, fold, 0.0, 3) == "val"
        assert chosen.sum() == 20
        assert labels[chosen].sum() == 2


def test_pseudonyms_under_another_key_and_another_order_of_rows_give_the_same_folds() -> None:
    contents = [f"{n * 7919 % 1000:03d}" for n in range(30)]
    labels, who = np.ones((30, 1), np.float32), [n // 2 for n in range(30)]
    here = fold_cases([f"p{n}" for n in who], labels, 3, 1, 0.0, 0, contents=contents)
    there = fold_cases([f"q{97 - n}" for n in who], labels, 3, 1, 0.0, 0, contents=contents)
    turned = fold_cases([f"p{n}" for n in who[::-1]], labels, 3, 1, 0.0, 0, contents=contents[::-1])
    assert (here == there).all()
    assert (here == turned[::-1]).all()


def test_a_test_split_is_the_same_in_every_fold_whether_given_or_drawn() -> None:
    labels = np.ones((20, 1), np.float32)
    drawn = [fold_cases(list(range(20)), labels, 4, fold, 0.2, 0) == "test" for fold in range(4)]
    assert all((one == drawn[0]).all() for one in drawn)
    assert drawn[0].sum() == 4
    given_test = ["test" if n < 3 else "" for n in range(20)]
    marks = fold_cases(list(range(20)), labels, 4, 0, 0.2, 0, given=given_test)
    assert (marks == "test").tolist() == [n < 3 for n in range(20)]


@pytest.mark.parametrize(
    ("folds", "fold", "said"), [(1, 0, "fold 0 of 1"), (3, 3, "fold 3 of 3"), (9, 0, "4 patients")]
)
def test_a_fold_that_is_not_there_is_refused(folds: int, fold: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        fold_cases([0, 1, 2, 3], np.ones((4, 1)), folds, fold, 0.0, 0)
