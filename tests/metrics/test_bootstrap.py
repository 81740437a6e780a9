"""Intervals by drawing patients again, against plain loops over the same draws."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from medcnn.metrics import bootstrap
from medcnn.metrics.bootstrap import bootstrap_auroc, bootstrap_average_precision, bootstrap_mean, bootstrap_weights

FIGURES = np.random.default_rng(0).uniform(0.7, 0.95, size=(40, 2))


def test_it_is_the_interval_of_a_plain_loop() -> None:
    generator, holes = np.random.default_rng(5), FIGURES.copy()
    holes[3, 0] = holes[7] = np.nan
    kept = np.delete(holes, 7, axis=0)
    means = [np.nanmean(kept[generator.integers(0, 39, 39)], axis=0).mean() for _ in range(4000)]
    assert bootstrap_mean(holes, draws=4000) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=2e-3)


def test_it_has_the_width_that_the_standard_error_gives() -> None:
    low, high = bootstrap_mean(FIGURES)
    error = FIGURES.mean(axis=1).std(ddof=1) / np.sqrt(40)
    assert low < FIGURES.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_copies_of_a_case_are_no_evidence_where_the_patient_is_known() -> None:
    copies, patients = np.repeat(FIGURES, 9, axis=0), np.repeat([f"p{i}" for i in range(40)], 9)
    assert bootstrap_mean(copies, patients) == pytest.approx(bootstrap_mean(FIGURES), abs=4e-3)
    low, high = bootstrap_mean(copies)
    assert high - low < 0.5 * np.subtract(*bootstrap_mean(FIGURES)[::-1])


def test_a_seed_gives_one_interval() -> None:
    assert bootstrap_mean(FIGURES, seed=3) == bootstrap_mean(FIGURES, seed=3)
    assert bootstrap_mean(FIGURES, seed=3) != bootstrap_mean(FIGURES, seed=4)


def test_a_class_that_a_draw_lacks_is_left_out_of_its_mean() -> None:
    figures = np.full((6, 2), 0.8)
    figures[1:, 1] = np.nan
    assert bootstrap_mean(figures) == pytest.approx((0.8, 0.8))


@pytest.mark.parametrize("figures", [np.zeros((0, 2)), np.ones((1, 2)), np.full((9, 2), np.nan)])
def test_fewer_than_two_patients_have_no_interval(figures: np.ndarray) -> None:
    assert np.isnan(bootstrap_mean(figures)).all()


def cohort(seed: int = 0, patients: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rounded scores with many ties, some patients with films of both kinds."""
    generator = np.random.default_rng(seed)
    owner = generator.integers(0, patients, 4 * patients)
    positive = (np.arange(patients) % 2 == 0)[owner] ^ (generator.random(len(owner)) < 0.1)
    return np.round(generator.normal(size=len(owner)) + positive, 1), positive, owner


def ends(figures: list[float], positive: np.ndarray, patients: np.ndarray) -> tuple[float, float]:
    """Hesterberg's expanded percentiles: Student's quantile, and the factor that the variance of draws lacks."""
    fewest = min(len(np.unique(patients[side])) for side in (positive, ~positive))
    tail = stats.norm.cdf(stats.t.ppf(0.025, fewest - 1) * np.sqrt(fewest / (fewest - 1)))
    return tuple(np.percentile(figures, [100 * tail, 100 * (1 - tail)]))


@pytest.mark.parametrize(
    ("interval", "theirs"),
    [(bootstrap_auroc, roc_auc_score), (bootstrap_average_precision, average_precision_score)],
)
@pytest.mark.parametrize("clustered", [True, False])
def test_it_is_the_interval_of_a_loop_over_the_same_draws(interval, theirs, clustered) -> None:
    scores, positive, patients = cohort()
    known = patients if clustered else None
    found = interval(scores, positive, known, draws=300, seed=4)
    weights = np.concatenate(list(bootstrap_weights(known, len(scores), 300, 4))).astype(int)
    figures = [theirs(np.repeat(positive, times), np.repeat(scores, times)) for times in weights]
    expected = ends(figures, positive, patients if clustered else np.arange(len(scores)))
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)
    assert found.value == pytest.approx(theirs(positive, scores))


def test_scores_without_ties_go_the_short_way_to_the_same_interval() -> None:
    generator = np.random.default_rng(3)
    positive = generator.random(50) < 0.4
    scores = generator.normal(size=50) + positive
    found = bootstrap_auroc(scores, positive, draws=200)
    weights = np.concatenate(list(bootstrap_weights(None, 50, 200, 0)))
    figures = [roc_auc_score(positive, scores, sample_weight=times) for times in weights]
    assert (found.low, found.high) == pytest.approx(ends(figures, positive, np.arange(50)), abs=1e-12)


def test_draws_take_patients_with_all_of_their_cases_as_often_as_chance_would() -> None:
    patients = np.repeat(["a", "b", "c", "d"], [1, 2, 3, 4])
    weights = np.concatenate(list(bootstrap_weights(patients, 10, 4000, 0)))
    assert (weights[:, 1:3] == weights[:, [1]]).all()
    assert (weights[:, [0, 1, 3, 6]].sum(axis=1) == 4).all()
    # Multinomial: mean 1, variance 1 - 1/4.
    assert weights[:, 0].mean() == pytest.approx(1, abs=4 * np.sqrt(0.75 / 4000))
    assert weights[:, 0].var() == pytest.approx(0.75, abs=0.08)


def test_no_case_has_draws_of_nothing() -> None:
    assert [part.shape for part in bootstrap_weights(None, 0, 10)] == [(10, 0)]


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, positive, patients = cohort()
    whole = bootstrap_auroc(scores, positive, patients, draws=101)
    monkeypatch.setattr(bootstrap, "CHUNK_NUMBERS", 1000)
    assert bootstrap_auroc(scores, positive, patients, draws=101) == whole
    assert {len(part) for part in bootstrap_weights(None, 300, 10, 0)} == {3, 1}


def test_draws_without_a_class_are_left_out_and_told() -> None:
    scores, positive = np.array([3.0, 1.0, 2.0, 0.0, 0.5]), np.array([True, True, False, False, False])
    found = bootstrap_auroc(scores, positive, draws=500)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert "draws lacked a class" in found.reason


@pytest.mark.parametrize(
    ("scores", "positive", "patients", "words"),
    [
        ([], [], None, "no case"),
        ([1, 2], [True, True], None, "every case is positive"),
        ([1, np.nan], [True, False], None, "1 of 2 scores"),
        ([1, 2, 3], [True, False, False], None, "one patient alone"),
        ([1, 2, 1, 2], [True, False, False, True], ["a"] * 4, "one patient alone"),
        ([1, 2, 3, 4], [False, False, True, True], None, "every draw"),
    ],
)
@pytest.mark.parametrize("interval", [bootstrap_auroc, bootstrap_average_precision])
def test_what_cannot_be_told_has_no_interval_and_a_reason(interval, scores, positive, patients, words) -> None:
    found = interval(np.array(scores, float), np.array(positive, bool), patients, draws=50)
    assert np.isnan(found.low)
    assert words in found.reason
