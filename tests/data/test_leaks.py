"""Leaks: refused by name, dropped from the earlier split, or allowed in the open."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcnn.data.leaks import label_conflicts, leak_proof, settle_leaks
from medcnn.errors import LeakError

NAMES = ["a.png", "b.png", "c.png", "d.png"]


def test_equal_pixels_in_two_splits_are_refused_and_both_files_named() -> None:
    with pytest.raises(LeakError, match=r"b\.png \(train\) and d\.png \(test\) hold the same pixels.*on_leak"):
        settle_leaks(["train", "train", "val", "test"], [1, 2, 3, 4], ["p", "q", "r", "q"], "refuse", NAMES.__getitem__)


def test_a_patient_in_two_splits_is_refused() -> None:
    with pytest.raises(LeakError, match=r"a\.png \(train\) and c\.png \(val\) show the same patient"):
        settle_leaks(["train", "train", "val", "test"], [1, 2, 1, 4], ["p", "q", "r", "s"], "refuse", NAMES.__getitem__)


def test_dropping_keeps_what_is_measured_and_counts_what_it_takes() -> None:
    splits = ["train", "val", "test", "train", "val"]
    settled = settle_leaks(splits, range(5), ["p", "p", "p", "q", "q"], "drop", str)
    assert list(settled.splits) == ["", "", "test", "", "val"]
    assert settled.dropped == {"train": 2, "val": 1}
    assert settled.proof == {"patients_shared": 0, "contents_shared": 0, "checked": 2}


def test_allowing_changes_nothing_and_the_proof_says_so() -> None:
    settled = settle_leaks(["train", "test"], [1, 2], ["p", "p"], "allow", str)
    assert list(settled.splits) == ["train", "test"]
    assert settled.proof["contents_shared"] == 1


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["train", "val", "test"]), st.integers(0, 6), st.integers(0, 6)), min_size=1))
def test_after_dropping_nothing_is_shared(rows: list[tuple[str, int, int]]) -> None:
    splits, patients, contents = ([row[0] for row in rows], [row[1] for row in rows], [str(row[2]) for row in rows])
    settled = settle_leaks(splits, patients, contents, "drop", str)
    proof = leak_proof(settled.splits, patients, contents)
    assert (proof["patients_shared"], proof["contents_shared"]) == (0, 0)
    assert all(after in ("", before) for before, after in zip(splits, settled.splits, strict=True))


def test_the_same_pixels_under_two_labels_are_a_conflict_and_unknown_labels_are_none() -> None:
    contents = ["p", "p", "q", "q", "r"]
    assert label_conflicts(contents, np.array([0, 1, 1, -1, 0])) == [(0, 1)]
    several = np.array([[1, np.nan], [1, 0], [0, 0], [1, 0], [1, 1]])
    assert label_conflicts(contents, several) == [(2, 3)]
