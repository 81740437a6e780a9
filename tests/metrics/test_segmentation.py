"""Figures of label maps: by hand, against MONAI, and for what is empty."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice

from medcnn.metrics.segmentation import case_figures, dice, summarize_cases

CLASSES, SPACING = ("background", "anterior", "posterior"), (1.0, 1.5, 2.0)


def _labels(seed: int, shape: tuple[int, ...] = (9, 8, 7)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, shape)


def _case(prediction: np.ndarray, truth: np.ndarray) -> dict[str, dict[str, float]]:
    return case_figures(prediction, truth, CLASSES, SPACING, 1.0)


def _table(cases: list[dict[str, dict[str, float]]]) -> dict[str, torch.Tensor]:
    names = cases[0]["anterior"]
    return {name: torch.tensor([[case[c][name] for c in CLASSES[1:]] for case in cases]) for name in names}


def _empty() -> np.ndarray:
    return np.zeros((9, 8, 7), np.int64)


def _with(value: int, size: int = 3) -> np.ndarray:
    labels = _empty()
    labels[2 : 2 + size, 2:5, 2:5] = value
    return labels


def test_dice_equals_monai() -> None:
    found, true = torch.from_numpy(_labels(0)), torch.from_numpy(_labels(1))
    expected = compute_dice(*(torch.nn.functional.one_hot(x, 3).movedim(-1, 0)[None] for x in (found, true)), False)[0]
    figures = case_figures(found, true, CLASSES, torch.tensor(SPACING), 1.0)
    assert [figures[c]["dice"] for c in CLASSES[1:]] == pytest.approx(expected.tolist())


def test_a_region_too_large_by_half_by_hand() -> None:
    figures = _case(_with(1, 3), _with(1, 2))["anterior"]
    assert figures["dice"] == pytest.approx(2 * 18 / (27 + 18))
    assert figures["truth_mm3"] == pytest.approx(18 * 3.0)
    assert figures["volume_error_mm3"] == pytest.approx(9 * 3.0)
    assert figures["volume_error"] == pytest.approx(0.5)
    assert figures["hd95_mm"] == pytest.approx(1.0)
    assert figures["nsd"] == 1


def test_a_perfect_answer() -> None:
    figures = _case(_labels(0), _labels(0))["posterior"]
    assert (figures["dice"], figures["nsd"], figures["hd95_mm"], figures["volume_error"]) == (1, 1, 0, 0)


def test_nothing_where_nothing_is_counts_for_nothing() -> None:
    figures = _case(_with(1), _with(1))["posterior"]
    assert all(math.isnan(figures[name]) for name in ("dice", "nsd", "hd95_mm", "volume_error"))
    assert figures["volume_mm3"] == figures["truth_mm3"] == 0


@pytest.mark.parametrize(("found", "true", "error"), [(_with(2), _empty(), math.nan), (_empty(), _with(2), -1)])
def test_something_against_nothing_scores_zero_and_has_no_distance(
    found: np.ndarray, true: np.ndarray, error: float
) -> None:
    figures = _case(found, true)["posterior"]
    assert (figures["dice"], figures["nsd"]) == (0, 0)
    assert math.isnan(figures["hd95_mm"])
    assert figures["volume_error"] == pytest.approx(error, nan_ok=True)


def test_what_is_unknown_takes_no_part() -> None:
    found, true = _labels(0), _labels(1)
    true[4:] = -1
    whole, part = _case(found, true), _case(found[:4], true[:4])
    assert all(whole[name] == pytest.approx(part[name]) for name in CLASSES[1:])


def test_two_dimensions_are_judged_alike() -> None:
    figures = case_figures(_with(1)[2], _with(1)[2], CLASSES, (0.5, 0.5), 1.0)["anterior"]
    assert figures["dice"] == 1
    assert figures["truth_mm3"] == pytest.approx(9 * 0.25)


@pytest.mark.parametrize(
    ("found", "true", "spacing"),
    [
        (_empty(), _empty()[1:], SPACING),
        (_empty(), _empty(), (1.0, 1.0)),
        (_empty(), _empty(), (1.0, 1.0, 0.0)),
        (_with(3), _empty(), SPACING),
        (_with(-1), _empty(), SPACING),
        (_empty(), _with(-2), SPACING),
    ],
)
def test_what_does_not_fit_is_refused(found: np.ndarray, true: np.ndarray, spacing: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"do not fit|has labels"):
        case_figures(found, true, CLASSES, spacing, 1.0)


def test_an_empty_truth_is_left_out_of_the_mean_and_counted() -> None:
    cases = [
        _case(_with(1), _with(1)),
        _case(_with(1, 3), _with(1, 2)),
        _case(_with(2), _empty()),
        _case(_empty(), _with(1)),
    ]
    values = summarize_cases(_table(cases), CLASSES).values
    assert values["dice/anterior"] == pytest.approx((1 + 0.8 + 0) / 3)
    assert values["dice/posterior"] == 0
    assert values["dice"] == pytest.approx(0.3)
    assert values["hd95_mm/anterior"] == pytest.approx((0 + 1) / 2)
    assert (values["empty_truths"], values["false_alarms"], values["missed"]) == (5, 1, 1)
    assert values["volume_error/anterior"] == pytest.approx((0 + 0.5 + 1) / 3)
    assert values["volume_bias/anterior"] == pytest.approx((0 + 0.5 - 1) / 3)


def test_a_class_that_is_nowhere_is_told_and_left_out_of_the_mean() -> None:
    summary = summarize_cases(_table([_case(_with(1), _with(1))] * 3), CLASSES)
    assert math.isnan(summary.values["dice/posterior"])
    assert summary.values["dice"] == 1
    assert "1 of 2 classes" in summary.reasons["dice"]


def test_distances_that_were_not_measured_have_no_place_in_the_summary() -> None:
    table = _table([_case(_labels(0), _labels(1))] * 2)
    table["nsd"] = table["hd95_mm"] = torch.full((2, 2), torch.nan)
    assert not {name for name in summarize_cases(table, CLASSES).values if "nsd" in name or "hd95" in name}


def test_the_interval_is_over_patients() -> None:
    table = _table([_case(_labels(seed), _labels(seed + 1)) for seed in range(6)] * 4)
    alone, together = (summarize_cases(table, CLASSES, who).values for who in (None, list(range(6)) * 4))
    assert together["dice_low"] <= alone["dice_low"] < alone["dice"] < alone["dice_high"] <= together["dice_high"]


def test_dice_of_nothing_is_not_a_number() -> None:
    assert math.isnan(dice(np.zeros(3, bool), np.zeros(3, bool)))
