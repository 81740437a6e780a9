"""A share of the training cases: nested, by patient, stratified; what is measured on stays whole."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labeled_cohort import CLASSES, write_cohort

from medcnn.data.phantom import PhantomDataModule
from medcnn.data.segmentation import SegmentationDataModule
from medcnn.data.share import keep_share
from medcnn.data.split import split_cases
from medcnn.errors import ConfigError

cohorts = st.lists(st.tuples(st.integers(0, 25), st.integers(-1, 3), st.integers(0, 40)), min_size=1, max_size=80)
parts = st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted)


@settings(max_examples=60, deadline=None)
@given(cohorts, parts, st.integers(0, 3))
def test_a_smaller_share_lies_within_a_larger_one_and_no_patient_is_cut(
    rows: list[tuple[int, int, int]], shares: list[float], seed: int
) -> None:
    patients, contents = [str(row[0]) for row in rows], [str(row[2]) for row in rows]
    labels = np.array([row[1] for row in rows])
    splits = split_cases(patients, labels, (0.2, 0.1), seed, contents=contents)
    smaller, larger = (keep_share(splits, patients, labels, share, seed, contents) for share in shares)
    assert set(np.flatnonzero(smaller == "train")) <= set(np.flatnonzero(larger == "train"))
    for kept in (smaller, larger):
        assert ((kept == splits) | ((splits == "train") & (kept == ""))).all()
        for keys in (patients, contents):
            assert all(len({kept[i] for i, other in enumerate(keys) if other == key}) == 1 for key in set(keys))
        assert set(labels[kept == "train"]) - {-1} == set(labels[splits == "train"]) - {-1}


@settings(max_examples=30, deadline=None)
@given(cohorts, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_has_no_part_in_it(rows: list[tuple[int, int, int]], chance: object) -> None:
    order = list(range(len(rows)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    patients, labels = [str(row[0]) for row in rows], np.array([row[1] for row in rows])
    splits = np.full(len(rows), "train", dtype=object)
    straight = keep_share(splits, patients, labels, 0.4, 3)
    shuffled = keep_share(splits, [patients[i] for i in order], labels[order], 0.4, 3)
    assert [straight[i] for i in order] == list(shuffled)


def test_each_class_keeps_its_share_and_a_rare_one_is_not_lost() -> None:
    labels = np.repeat([0, 1, 2], [700, 290, 10])
    kept = keep_share(np.full(1000, "train", dtype=object), list(range(1000)), labels, 0.1, 0) == "train"
    assert np.bincount(labels[kept]).tolist() == [70, 29, 1]
    hot = np.zeros((1000, 2), np.float32)
    hot[:200, 0], hot[150:300, 1] = 1, np.nan
    kept = keep_share(np.full(1000, "train", dtype=object), list(range(1000)), hot, 0.25, 0) == "train"
    assert hot[kept][:, 0].sum() == 50


def test_another_seed_keeps_others() -> None:
    splits, labels = np.full(200, "train", dtype=object), np.zeros(200, np.int64)
    one, other = (keep_share(splits, list(range(200)), labels, 0.5, seed) for seed in (0, 1))
    assert (one != other).sum() > 40


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="train_share"):
        PhantomDataModule(patients=4, size=16, train_share=share)


def test_a_cohort_under_a_share_tells_what_it_left_out() -> None:
    whole, half = (PhantomDataModule(patients=60, size=16, train_share=share) for share in (1.0, 0.5))
    for data in (whole, half):
        data.setup()
    for split in ("val", "test"):
        assert whole.split.rows(split).tolist() == half.split.rows(split).tolist()
    assert set(half.split.rows("train").tolist()) < set(whole.split.rows("train").tolist())
    told = half.describe()
    assert told["train_share"] == 0.5
    assert told["left_out"] == len(whole.split.rows("train")) - told["splits"]["train"]["cases"]
    assert 0.4 < told["splits"]["train"]["cases"] / len(whole.split.rows("train")) < 0.6
    assert "train_share" not in whole.describe()
    assert half.hparams["train_share"] == 0.5


def test_volumes_are_left_out_by_patient_too(tmp_path: Path) -> None:
    root = write_cohort(tmp_path / "cohort", 16)
    data = SegmentationDataModule(
        root, CLASSES, patient="pattern:^(p..)", fractions=(0.25, 0.0), train_share=0.5, workers=0
    )
    data.setup()
    cases = data.cases
    assert 0 < data.describe()["left_out"] == (cases["split"] == "").sum()
    assert (cases.groupby("patient")["split"].nunique() == 1).all()
    assert (cases["split"] == "val").sum() == 4
