"""The interval of a mean by drawing patients again."""

import numpy as np
import pytest

from medcnn.metrics.bootstrap import bootstrap_mean

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
