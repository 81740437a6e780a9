"""Splits: by patient, stratified, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcnn.data.split import SPLITS, groups_of, split_cases
from medcnn.errors import ConfigError, ManifestError

cohorts = st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 2), st.integers(0, 30)), min_size=1, max_size=60)


def shares(splits: np.ndarray) -> dict[str, float]:
    return {split: float((splits == split).mean()) for split in SPLITS}


@settings(max_examples=60, deadline=None)
@given(cohorts, st.integers(0, 5))
def test_no_patient_and_no_content_stands_on_two_sides(rows: list[tuple[int, int, int]], seed: int) -> None:
    patients, labels, contents = (
        [str(row[0]) for row in rows],
        np.array([row[1] for row in rows]),
        [str(row[2]) for row in rows],
    )
    splits = split_cases(patients, labels, (0.2, 0.2), seed, contents=contents)
    for keys in (patients, contents):
        for key in set(keys):
            assert len({split for split, other in zip(splits, keys, strict=True) if other == key}) == 1


@settings(max_examples=30, deadline=None)
@given(cohorts, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_has_no_part_in_it(rows: list[tuple[int, int, int]], chance: object) -> None:
    order = list(range(len(rows)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    patients, labels = [str(row[0]) for row in rows], np.array([row[1] for row in rows])
    straight = split_cases(patients, labels, (0.2, 0.2), 3)
    shuffled = split_cases([patients[i] for i in order], labels[order], (0.2, 0.2), 3)
    assert [straight[i] for i in order] == list(shuffled)


@settings(max_examples=30, deadline=None)
@given(cohorts, st.randoms(use_true_random=False))
def test_the_names_of_patients_have_no_part_in_it(rows: list[tuple[int, int, int]], chance: object) -> None:
    # Another key gives other pseudonyms; who is one patient stays the same.
    names = [f"p{number}" for number in range(13)]
    chance.shuffle(names)  # type: ignore[attr-defined]
    labels, contents = np.array([row[1] for row in rows]), [f"{row[2]:032x}" for row in rows]
    one = split_cases([f"p{row[0]}" for row in rows], labels, (0.2, 0.2), 3, contents=contents)
    other = split_cases([names[row[0]] for row in rows], labels, (0.2, 0.2), 3, contents=contents)
    assert list(one) == list(other)


def test_each_class_is_spread_by_the_fractions() -> None:
    chance = np.random.default_rng(0)
    patients = chance.integers(0, 800, 2000)
    labels = np.where(patients % 10 == 0, 1, 0)
    splits = split_cases(patients.tolist(), labels, (0.15, 0.25), 7)
    for label in (0, 1):
        assert shares(splits[labels == label]) == pytest.approx({"train": 0.60, "val": 0.15, "test": 0.25}, abs=0.02)


def test_a_class_of_three_patients_is_seen_in_all_three_splits() -> None:
    labels = np.array([1] * 3 + [0] * 97)
    splits = split_cases(list(range(100)), labels, (0.1, 0.1), 0)
    assert set(splits[:3]) == set(SPLITS)


def test_several_findings_are_spread_each() -> None:
    chance = np.random.default_rng(1)
    labels = (chance.random((1000, 3)) < [0.5, 0.1, 0.03]).astype(np.float32)
    labels[::7, 1] = np.nan
    splits = split_cases(list(range(1000)), labels, (0.2, 0.2), 0)
    for column in range(3):
        assert shares(splits[labels[:, column] == 1]) == pytest.approx(
            {"train": 0.6, "val": 0.2, "test": 0.2}, abs=0.04
        )


def test_another_seed_gives_another_split() -> None:
    labels = np.arange(200) % 2
    one, other = (split_cases(list(range(200)), labels, (0.2, 0.2), seed) for seed in (0, 1))
    assert (one != other).any()


def test_a_fraction_of_zero_leaves_its_split_empty() -> None:
    splits = split_cases(list(range(50)), np.zeros(50, int), (0.2, 0.0), 0)
    assert (splits == "test").sum() == 0
    assert (splits == "val").sum() == 10


def test_a_given_split_is_honored_and_missing_validation_is_carved_out_of_training_by_patient() -> None:
    patients = [i // 2 for i in range(100)]
    given_splits = ["train"] * 80 + ["test"] * 20
    splits = split_cases(patients, np.zeros(100, int), (0.25, 0.9 - 0.25), 0, given=given_splits)
    assert list(splits[80:]) == ["test"] * 20
    assert (splits[:80] == "val").sum() == 20
    assert list(splits[0:80:2]) == list(splits[1:80:2])


def test_a_given_split_with_validation_stays_as_it_is() -> None:
    given_splits = ["val", "train", "train"]
    assert list(split_cases([1, 2, 3], np.zeros(3, int), (0.5, 0), 0, given=given_splits)) == given_splits


def test_a_half_filled_or_unknown_split_is_refused() -> None:
    with pytest.raises(ManifestError, match="1 of 3 cases have no split"):
        split_cases([1, 2, 3], np.zeros(3, int), (0.2, 0), 0, given=["train", "", "test"])
    with pytest.raises(ManifestError, match="'holdout'"):
        split_cases([1, 2], np.zeros(2, int), (0.2, 0), 0, given=["train", "holdout"])


def test_fractions_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ConfigError, match="leave something to train on"):
        split_cases([1, 2], np.zeros(2, int), (0.5, 0.5), 0)


def test_groups_reach_through_shared_patients_and_contents() -> None:
    groups = groups_of(["a", "a", "b", "c"], ["1", "2", "2", "3"])
    assert groups[0] == groups[1] == groups[2] != groups[3]
