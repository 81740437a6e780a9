"""Corruptions against hand arithmetic and scipy, and figures that fall as they should."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from medcnn.explain.corruptions import CORRUPTIONS, corrupted, fitting
from medcnn.explain.robustness import Row, drawn_cases, robustness, segmentation_robustness, worst_in_short
from medcnn.metrics.delong import auroc_interval
from medcnn.metrics.estimate import Estimate


def images(dims: int = 2, batch: int = 4, seed: int = 0) -> Tensor:
    size = (24, 32) if dims == 2 else (12, 14, 16)
    return torch.rand(batch, 1, *size, generator=torch.Generator().manual_seed(seed))


def all_fitting() -> list[tuple[int, str]]:
    return [(dims, name) for dims in (2, 3) for name in fitting(dims)]


@pytest.mark.parametrize(("dims", "name"), all_fitting())
def test_each_strength_is_farther_from_the_image_and_leaves_the_image_alone(dims: int, name: str) -> None:
    given = images(dims)
    before = given.clone()
    apart = [float((corrupted(given, name, strength) - given).abs().mean()) for strength in (1, 2, 3, 4, 5)]
    assert torch.equal(given, before)
    assert apart[0] > 0
    # Noise on noise: turning a random image farther cannot take it farther away for ever.
    assert name == "rotation" or apart == sorted(apart)


@pytest.mark.parametrize(("dims", "name"), all_fitting())
def test_a_case_is_made_worse_alike_in_any_batch_and_whatever_its_scale(dims: int, name: str) -> None:
    given = images(dims, 5)
    whole = corrupted(given, name, 3, seed=2)
    torch.testing.assert_close(corrupted(given[3:], name, 3, seed=2, first=3), whole[3:], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(corrupted(given * 40 - 7, name, 3, seed=2), whole * 40 - 7, atol=1e-3, rtol=1e-4)


def test_noise_has_the_deviation_that_it_tells() -> None:
    given = torch.rand(1, 1, 300, 300) * 5
    added = corrupted(given, "noise", 4) - given
    assert float(added.std() / given.std()) == pytest.approx(CORRUPTIONS["noise"].amounts[3], rel=0.02)


@pytest.mark.parametrize("dims", [2, 3])
def test_blur_is_that_of_scipy(dims: int) -> None:
    given = images(dims)
    expected = ndimage.gaussian_filter(given[0, 0].double().numpy(), 1.5, mode="nearest", radius=math.ceil(4.5))
    np.testing.assert_allclose(corrupted(given, "blur", 3)[0, 0].numpy(), expected, atol=1e-5)


def test_a_turn_keeps_angles_and_distances_on_an_oblong_image() -> None:
    rows, columns = torch.meshgrid(torch.arange(40.0) - 19.5, torch.arange(80.0) - 39.5, indexing="ij")
    spot = torch.exp(-((rows - 8) ** 2 + columns**2) / 8)[None, None]
    turned = corrupted(spot, "rotation", 5)[0, 0]
    found = torch.stack([(turned * rows).sum(), (turned * columns).sum()]) / turned.sum()
    assert float(found.norm()) == pytest.approx(8, abs=0.1)
    assert math.degrees(math.atan2(abs(float(found[1])), float(found[0]))) == pytest.approx(25, abs=0.5)


def test_contrast_and_tone_by_hand() -> None:
    given = torch.tensor([0.0, 1, 2, 5]).view(1, 1, 2, 2)
    torch.testing.assert_close(corrupted(given, "contrast", 3), 2 + 0.6 * (given - 2))
    toned = corrupted(given, "gamma", 4)
    assert any(torch.allclose(toned, 5 * (given / 5) ** exponent) for exponent in (2, 0.5))


def test_what_there_is_not_is_refused() -> None:
    for name, strength, dims in (("snow", 1, 2), ("noise", 6, 2), ("bias_field", 1, 2)):
        with pytest.raises(ValueError, match="give one of"):
            corrupted(images(dims), name, strength)


def faint(n: int = 120) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    rng = np.random.default_rng(0)
    truth = torch.from_numpy((rng.random(n) < 0.5).astype(np.int64))
    pictures = torch.from_numpy(rng.normal(size=(n, 1, 16, 16))).float()
    pictures[:, 0, 4:8, 4:8] += 0.75 * truth.view(-1, 1, 1)
    return list(zip(pictures.split(50), truth.split(50), strict=True)), truth


def reader(batch: Tensor) -> Tensor:
    p = torch.sigmoid(4 * (batch[:, 0, 4:8, 4:8].mean((1, 2)) - 0.375))
    return torch.stack([1 - p, p], 1)


def area(probabilities: np.ndarray, truth: np.ndarray) -> Estimate:
    return auroc_interval(probabilities[:, 1], truth == 1)


def test_a_figure_falls_with_strength_and_calls_flip() -> None:
    batches, truth = faint()
    rows = robustness(reader, batches, area, called=lambda p: p[:, 1] >= 0.5)
    assert [rows[0].corruption, rows[0].strength, rows[0].flipped] == ["none", 0, 0]
    assert len(rows) == 1 + 5 * len(fitting(2))
    assert all(row.low <= row.value <= row.high and row.n == len(truth) for row in rows)
    noise = [row for row in rows if row.corruption == "noise"]
    blur = [row for row in rows if row.corruption == "blur"]
    assert rows[0].value > 0.95
    assert blur[-1].value < rows[0].value - 0.02
    assert [row.amount for row in noise] == list(CORRUPTIONS["noise"].amounts)
    assert blur[-1].flipped > blur[0].flipped
    again = robustness(reader, batches, area, called=lambda p: p[:, 1] >= 0.5)
    assert [row.value for row in again] == [row.value for row in rows]


def test_only_as_many_cases_as_wanted_are_looked_at() -> None:
    batches, _ = faint()
    rows = robustness(reader, batches, area, most=70, corruptions=["noise"])
    assert {row.n for row in rows} == {70}
    assert math.isnan(rows[0].flipped)
    assert robustness(reader, [], area) == []


def test_drawn_cases_keep_the_shares_of_labels() -> None:
    labels = ["ill"] * 30 + ["well"] * 90
    drawn = drawn_cases(labels, 40, seed=1)
    assert len(set(drawn.tolist())) == 40
    assert sum(labels[i] == "ill" for i in drawn) == 10
    assert sorted(drawn_cases(labels, 500)) == list(range(120))
    np.testing.assert_array_equal(drawn, drawn_cases(labels, 40, seed=1))


@pytest.mark.parametrize("dims", [2, 3])
def test_dice_of_a_segmentation_falls_with_noise_and_nothing_moves(dims: int) -> None:
    size = [20] * dims
    masks = torch.zeros(5, *size, dtype=torch.int64)
    masks[(slice(None), *[slice(5, 12)] * dims)] = 1
    pictures = masks[:, None].float() + 0.1 * torch.randn(5, 1, *size, generator=torch.Generator().manual_seed(0))

    def answer(batch: Tensor) -> Tensor:
        return torch.cat([1 - batch, batch], 1)

    rows = segmentation_robustness(answer, [(pictures, masks)], patients=list("aabbc"))
    assert {row.corruption for row in rows} == {"none", *fitting(dims)} - {"rotation"}
    assert rows[0].value == pytest.approx(1, abs=0.01)
    strongest = next(row for row in rows if (row.corruption, row.strength) == ("downsampling", 5))
    assert strongest.low <= strongest.value <= strongest.high < 0.98
    with pytest.raises(ValueError, match="moves the image"):
        segmentation_robustness(answer, [(pictures, masks)], corruptions=["rotation"])


def test_no_structure_anywhere_is_no_number() -> None:
    pictures, masks = torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8, dtype=torch.int64)
    rows = segmentation_robustness(lambda b: torch.cat([b + 1, b], 1), [(pictures, masks)], corruptions=["blur"])
    assert all(math.isnan(row.value) and row.reason for row in rows)


def test_what_is_worst_is_told_in_one_line() -> None:
    def row(name: str, strength: int, value: float, flipped: float) -> Row:
        return Row(name, strength, 0.0, "", "auroc", value, value, value, 9, flipped)

    clean = row("none", 0, 0.996, 0)
    rows = [clean, row("noise", 5, 0.68, 0.2), row("contrast", 5, 0.9, 0.324), row("blur", 1, math.nan, 0)]
    assert (
        worst_in_short(rows) == "AUROC falls most at noise 5, from 0.996 to 0.680; 32 % of calls change at contrast 5"
    )
    assert worst_in_short([clean, row("blur", 1, 0.998, 0)]) == "AUROC never falls below its 0.996"
    assert worst_in_short([row("none", 0, math.nan, 0)]).startswith("not known")
    assert worst_in_short([]) == "there was no case"
