"""Shortcuts that were planted are named, what was not planted is not, and errors are those of a simulation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from medcnn.explain.influence import auroc_of, beyond, mean_of, spread_of
from medcnn.explain.looks import Scale, in_short, judged, look, verdict
from medcnn.explain.probes import corners, hidden, in_border, in_corner, marked
from medcnn.explain.shortcut_columns import column_looks, readable
from medcnn.explain.shortcuts import find_shortcuts
from medcnn.metrics.by_patient import owners
from medcnn.metrics.delong import auroc_interval

SIZE = 28


def films(dims: int = 2, n: int = 200, seed: int = 0) -> tuple[Tensor, np.ndarray]:
    """Noise with a bright middle where there is a finding."""
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    images = torch.from_numpy(rng.normal(size=(n, 1, *[SIZE if dims == 2 else 14] * dims))).float()
    middle = tuple(slice(side * 3 // 8, side * 5 // 8) for side in images.shape[2:])
    images[(..., *middle)] += torch.from_numpy(1.0 * positive).float().view(-1, *[1] * (dims + 1))
    return images, positive


def by_the_middle(images: Tensor) -> Tensor:
    """A reader who looks at the middle of a film alone."""
    side = images.shape[-1]
    middle = images[(..., *[slice(side * 3 // 8, side * 5 // 8)] * (images.ndim - 2))]
    p = torch.sigmoid(6 * (middle.flatten(1).mean(1) - 0.5))
    return torch.stack([1 - p, p], 1)


def by_corner(corner: tuple[int, ...]) -> object:
    """One who also looks at a corner."""

    def answer(images: Tensor) -> Tensor:
        side = images.shape[-1]
        where = (..., *(slice(side - side // 4, side) if end else slice(0, side // 4) for end in corner))
        seen = images[where].flatten(1).mean(1)
        p = torch.sigmoid(torch.logit(by_the_middle(images)[:, 1], eps=1e-6) + 8 * seen)
        return torch.stack([1 - p, p], 1)

    return answer


@pytest.mark.parametrize("dims", [2, 3])
def test_a_reader_of_the_disease_is_not_flagged(dims: int) -> None:
    images, positive = films(dims)
    found = find_shortcuts(by_the_middle, images, positive)
    assert len(found) == 3 * 2**dims + 1
    assert not [one.name for one in found if one.flagged]
    assert verdict(found).startswith("None of")


@pytest.mark.parametrize("dims", [2, 3])
def test_a_marker_that_carries_the_label_is_named_by_its_corner(dims: int) -> None:
    images, positive = films(dims)
    for name, corner in list(corners(dims).items())[:3]:
        shown = images.clone()
        shown[torch.from_numpy(positive)] = marked(images[torch.from_numpy(positive)], corner, "R")
        found = find_shortcuts(by_corner(corner), shown, positive)  # type: ignore[arg-type]
        flagged = {one.name for one in found if one.flagged}
        assert f"hidden: {name}" in flagged
        assert f"the {name}" in verdict(found)
        assert not [other for other in flagged if other.startswith("hidden") and name not in other]


def test_a_model_that_would_fall_for_a_marker_is_named_on_films_without_one() -> None:
    images, positive = films()
    found = find_shortcuts(by_corner((0, 1)), images, positive)  # type: ignore[arg-type]
    flagged = [one.name for one in found if one.flagged]
    assert flagged
    assert all(name.endswith("upper right corner") for name in flagged)
    assert "would fall for a marker in the upper right corner" in verdict(found)


def test_a_border_that_tells_the_label_is_named() -> None:
    images, positive = films()
    images[:, :, :2] += torch.from_numpy(3.0 * positive).float().view(-1, 1, 1, 1)

    def by_the_edge(batch: Tensor) -> Tensor:
        p = torch.sigmoid(2 * batch[:, :, :2].flatten(1).mean(1))
        return torch.stack([1 - p, p], 1)

    (border,) = (one for one in find_shortcuts(by_the_edge, images, positive) if one.name == "border")
    assert border.flagged
    assert border.effect == pytest.approx(1, abs=0.02)
    assert "keeps 100%" in border.sentence


def test_a_score_that_follows_the_scanner_within_the_truth_is_named_and_a_scanner_that_follows_the_truth_is_not() -> (
    None
):
    rng = np.random.default_rng(0)
    positive = rng.random(400) < 0.5
    scanner = np.where(rng.random(400) < 0.5, "A", "B")
    confounded = np.where(rng.random(400) < np.where(positive, 0.9, 0.1), "ward", "clinic")
    scores = 2.0 * positive + rng.normal(size=400) + 1.0 * (scanner == "B")
    columns = {"scanner": scanner.tolist(), "place": confounded.tolist(), "same": ["x"] * 400}
    found = judged(column_looks(scores, positive, columns, owners(None, 400)))
    assert [one.name for one in found] == ["scanner = B", "place = ward"]
    assert [one.flagged for one in found] == [True, False]
    assert "scores higher" in found[0].sentence
    assert verdict(found) == "The score follows a column, scanner = B."


def test_chance_is_flagged_no_more_often_than_it_may() -> None:
    flagged = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        positive, patients = rng.random(150) < 0.5, rng.integers(0, 60, 150)
        drift = rng.normal(size=60)[patients]
        site = np.where((patients % 2).astype(bool), "A", "B")
        columns = {"site": site.tolist(), "kind": rng.choice(["x", "y", "z"], 150).tolist()}
        looks = column_looks(positive + drift + rng.normal(size=150), positive, columns, owners(patients.tolist(), 150))
        flagged += any(one.flagged for one in judged(looks))
    assert flagged <= 10


def test_the_error_of_an_auroc_is_that_of_delong() -> None:
    rng = np.random.default_rng(1)
    positive, patients = rng.random(300) < 0.4, rng.integers(0, 90, 300).tolist()
    scores = positive + rng.normal(size=300)
    for whose in (None, patients):
        figure, told = auroc_of(scores, positive), auroc_interval(scores, positive, whose)
        error, _ = figure.error(owners(whose, 300))
        assert figure.value == pytest.approx(told.value)
        logits = np.log([told.low / (1 - told.low), told.high / (1 - told.high)])
        expected = np.ptp(logits) / 2 / 1.96 * told.value * (1 - told.value)
        assert error == pytest.approx(expected, rel=0.05)


def test_the_error_of_a_ratio_is_that_of_drawing_again() -> None:
    rng = np.random.default_rng(2)
    values, shifts = rng.normal(size=400), 0.5 + rng.normal(size=400)
    ratio = mean_of(shifts) / spread_of(values)
    error, _ = ratio.error(owners(None, 400))
    draws = rng.integers(0, 400, (2000, 400))
    again = shifts[draws].mean(1) / values[draws].std(1)
    assert error == pytest.approx(again.std(), rel=0.06)


def test_the_margin_is_what_the_p_value_is_about() -> None:
    of = owners(None, 100)
    figure = mean_of(np.tile([0.2, 0.4], 50))
    assert beyond(figure, 0.1, of) < 1e-6
    assert beyond(figure, 0.3, of) == pytest.approx(0.5, abs=1e-9)
    assert beyond(figure, 0.5, of) > 0.99
    assert np.isnan(beyond(figure, 0.1, owners(["one"] * 100, 100)))


def test_holm_by_hand() -> None:
    of = owners(None, 3)
    looks = [look(name, mean_of(np.array([0.0, 1, 2])), Scale("shift", 0.1, "0.1"), of, name) for name in "abc"]
    given = [
        one.__class__(**{**one.__dict__, "p": p}) for one, p in zip(looks, (0.03, 0.01, float("nan")), strict=True)
    ]
    found = judged(given)
    assert [one.p_adjusted for one in found][:2] == pytest.approx([0.03, 0.02])
    assert [one.flagged for one in found] == [True, True, False]
    assert np.isnan(found[2].p_adjusted)


def test_a_column_is_read_off_an_embedding_that_holds_it_and_not_off_noise() -> None:
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(100), 2)
    site = np.where(patients % 2 == 1, "A", "B")
    noise = rng.normal(size=(100, 30))[patients]  # the same for both cases of a patient: a leak would show
    of = owners(patients.tolist(), 200)
    assert readable(np.column_stack([noise, *[site == "A"] * 5]), site, of) > 0.9
    assert abs(readable(noise, site, of) - 0.5) < 0.15


@pytest.mark.parametrize("dims", [2, 3])
def test_what_is_marked_and_hidden_lies_where_it_is_said(dims: int) -> None:
    images = torch.rand(4, 2, *[21] * dims)
    for corner in corners(dims).values():
        changed = (marked(images, corner) != images).any(0).any(0)
        assert changed.any()
        assert not (changed & ~in_corner(images.shape[2:], corner)).any()
    border = in_border(images.shape[2:])
    assert border.double().mean() == pytest.approx(1 - (17 / 21) ** dims)
    shown = hidden(images, border, images.mean(0))
    assert torch.equal(shown[..., ~border], images[..., ~border])
    torch.testing.assert_close(shown[..., border], images.mean(0)[..., border].expand(4, -1, -1))


@pytest.mark.parametrize(
    "positive", [[True] * 6, [False] * 6, [True, False] * 3], ids=["one class", "no finding", "few cases"]
)
def test_what_cannot_be_told_is_not_flagged(positive: list[bool]) -> None:
    images, _ = films(n=6)
    found = find_shortcuts(by_the_middle, images, np.array(positive), columns={"site": list("AABBAB")})
    assert not [one.name for one in found if one.flagged]
    alone = find_shortcuts(by_the_middle, images, np.array(positive), patients=["one"] * 6)
    assert all(np.isnan(one.p) for one in alone)
    assert find_shortcuts(by_the_middle, images[:0], np.zeros(0, bool)) == []


def test_shapes_that_do_not_fit_are_refused() -> None:
    images, positive = films(n=12)
    with pytest.raises(ValueError, match="one truth for each image"):
        find_shortcuts(by_the_middle, images, positive[:5])
    with pytest.raises(ValueError, match="one value for each case"):
        find_shortcuts(by_the_middle, images, positive, columns={"site": ["A"]})


def test_a_sentence_names_the_margin_its_p_is_about() -> None:
    of, scale = owners(None, 100), Scale("shift", 0.4, "0.4 standard deviations")
    near, far = mean_of(np.tile([0.098, 0.198], 50)), mean_of(np.tile([0.8, 0.9], 50))
    unsure = mean_of(np.tile([-4.0, 5.0], 50))
    found = judged([look(name, one, scale, of, name) for name, one in (("a", near), ("b", far), ("c", unsure))])
    assert [one.flagged for one in found] == [False, True, False]
    assert found[0].sentence == "a That is within the margin of 0.4 standard deviations."
    assert "beyond the margin of 0.4 standard deviations by more than chance" in found[1].sentence
    assert "not by more than chance" in found[2].sentence
    assert [one.of_margin for one in found] == pytest.approx([0.37, 2.125, 1.25])
    assert in_short(found) == "1 of 3 checks flagged: b"
    assert in_short(found[:1]) == "none of 1 checks flagged; largest effect: a, 37% of its margin"


def test_an_effect_beyond_its_margin_says_why_it_is_not_flagged() -> None:
    of, scale = owners(None, 100), Scale("shift", 0.4, "0.4 standard deviations")
    (unsure,) = judged([look("age_group", mean_of(np.tile([-4.0, 5.0], 50)), scale, of, "")])
    assert in_short([unsure]) == (
        "none of 1 checks flagged; largest effect: age_group, 1.2 times its margin, but not by more than chance "
        f"(adjusted p = {unsure.p_adjusted:.2g})"
    )
    untested = replace(unsure, p=np.nan, p_adjusted=np.nan)
    assert in_short([untested]).endswith("1.2 times its margin, but too few patients to test it")
    assert in_short([replace(untested, of_margin=np.nan)]) == "none of 1 checks could be made"


def test_the_interval_of_a_share_of_pairs_stays_within_0_and_1() -> None:
    rng = np.random.default_rng(0)
    positive, scanner = np.arange(48) % 2 == 0, np.where(np.arange(48) % 4 < 2, "A", "B")
    scores = rng.normal(size=48) + 1.8 * (scanner == "B")
    (found,) = column_looks(scores, positive, {"scanner": scanner.tolist()}, owners(None, 48))
    assert 0.9 < found.effect < 1
    assert 0.5 < found.low < found.effect < found.high < 1
    apart = np.log([p / (1 - p) for p in (found.low, found.effect, found.high)])
    assert apart[1] - apart[0] == pytest.approx(apart[2] - apart[1])


def test_what_is_read_off_the_embedding_is_told_once_for_a_column() -> None:
    rng = np.random.default_rng(0)
    site = rng.choice(["x", "y", "z"], 200)
    features = rng.normal(size=(200, 5)) + 2 * (site == "x")[:, None]
    looks = column_looks(
        rng.normal(size=200), rng.random(200) < 0.5, {"site": site.tolist()}, owners(None, 200), features
    )
    assert len(looks) == 3
    assert ["read off the embedding" in one.sentence for one in looks] == [True, False, False]


def test_a_corner_that_carries_nothing_hardly_changes_the_distance_and_the_cases_are_counted() -> None:
    images, positive = films(n=120)
    found = {one.name: one for one in find_shortcuts(by_the_middle, images, positive)}
    told = found["hidden: upper left corner"].sentence
    assert "hardly change their distance; the AUC of these 120 cases" in told
    assert "-0.00" not in told
    assert "the AUC of these 120 cases" in found["border"].sentence
