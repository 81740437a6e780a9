"""The sanity check on a net that learned something, on one that learned nothing, and its verdict by hand."""

import copy
import math

import numpy as np
import pytest
import torch
from monai.networks.nets import DenseNet
from torch import Tensor, nn
from trained_on_squares import squares, trained

from medcnn.explain.randomization import (
    TRAINED,
    Step,
    blocks_from_the_logits,
    randomized_similarity,
    steps_table,
    verdict,
)
from medcnn.nets.resnet import ResNet


@pytest.fixture(scope="module")
def finder() -> nn.Module:
    return trained(2, 50, 8, 32, batch=16)


def positives(count: int = 8) -> tuple[Tensor, Tensor]:
    held_out = squares(2, 2 * count, 8, 32, seed=5)
    return held_out.images[1::2], torch.ones(count, dtype=torch.int64)


def small(dims: int) -> nn.Module:
    torch.manual_seed(4)
    return ResNet(spatial_dims=dims, widths=(4, 8), depths=(1, 1)).eval()


def steps_of(*by_draw: list[float]) -> list[Step]:
    made = [np.array(one)[:, None] for one in by_draw]
    return [Step(str(number), one, one) for number, one in enumerate(made)]


def test_what_was_learned_is_lost_from_the_logits_down(finder: nn.Module) -> None:
    steps = randomized_similarity(finder, *positives(), draws=6)
    assert [step.layer for step in steps] == [TRAINED, "classifier", "features.2", "features.1", "features.0"]
    assert (steps[0].spearman, steps[0].ssim) == (1, 1)
    assert steps[-1].spearmans.shape == (6, 8)
    told = verdict(steps)
    assert told.falls
    assert "8 cases, 6 draws" in told.sentence


def test_a_map_that_shows_the_image_alone_does_not_pass() -> None:
    # One positive channel of brightness, whose weight keeps its sign whatever is drawn: an edge detector in disguise.
    class Bright(nn.Module):
        def reset_parameters(self) -> None:
            nn.init.uniform_(self.weight, 0.5, 1.5)

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, image: Tensor) -> Tensor:
            return image * self.weight

    net = nn.Sequential(Bright(), Bright(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    told = verdict(randomized_similarity(net, images, torch.zeros(3, dtype=torch.int64), draws=3))
    assert not told.falls
    assert "it shows the image more than what was learned" in told.sentence


def test_net_mode_and_chance_stay_as_they_were_also_inside_inference_mode(finder: nn.Module) -> None:
    net = copy.deepcopy(finder).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    with torch.inference_mode():
        first = randomized_similarity(net, *positives(2), draws=2)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(module.training and not module._forward_hooks for module in net.modules())
    again = randomized_similarity(net, *positives(2), draws=2)
    other = randomized_similarity(net, *positives(2), draws=2, seed=1)
    assert [step.spearman for step in first] == [step.spearman for step in again]
    assert [step.spearman for step in first] != [step.spearman for step in other]


def test_a_volume_goes_the_same_way() -> None:
    images = torch.rand(2, 1, 10, 12, 14, generator=torch.Generator().manual_seed(2))
    steps = randomized_similarity(small(3), images, torch.tensor([0, 1]), draws=2)
    assert len(steps) == 5
    assert all(math.isfinite(step.spearman) and math.isfinite(step.ssim) for step in steps)


def test_every_parameter_of_the_last_net_is_new_and_norms_are_as_at_birth(finder: nn.Module) -> None:
    from medcnn.explain.randomization import _cascade

    blocks = list(blocks_from_the_logits(finder, positives(1)[0]).values())
    for number, changed in enumerate(_cascade(finder, blocks)):
        touched = {name for block in blocks[: number + 1] for name in block}
        for name, module in changed.named_modules():
            for key, value in module.named_parameters(recurse=False):
                same = torch.equal(value, finder.get_submodule(name).get_parameter(key))
                assert same == (name not in touched), f"{name}.{key} after {number + 1} blocks"
            if name in touched and isinstance(module, nn.BatchNorm2d):
                assert not module.running_mean.any()
                assert (module.running_var == 1).all()


def test_parameters_without_a_reset_keep_their_mean_and_spread() -> None:
    from medcnn.explain.randomization import _make_random

    module = nn.ParameterList([nn.Parameter(torch.randn(4000) * 3 + 7)])
    before = module[0].detach().clone()
    with torch.no_grad():
        _make_random(module)
    assert not torch.equal(module[0], before)
    after = module[0].detach()
    assert abs(float(after.mean() - before.mean())) < 0.3
    assert abs(float(after.std() - before.std())) < 0.3


def test_blocks_go_from_the_logits_to_the_image_whatever_wraps_the_net() -> None:
    class Wrapper(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.inner = nn.ModuleDict({"net": net})

        def forward(self, image: Tensor) -> Tensor:
            out: Tensor = self.inner["net"](image)
            return out

    image = torch.rand(1, 1, 16, 16)
    assert list(blocks_from_the_logits(small(2), image)) == ["classifier", "features.2", "features.1", "features.0"]
    wrapped = list(blocks_from_the_logits(Wrapper(small(2)), image))
    assert wrapped[0] == "inner.net.classifier"
    assert wrapped[-1] == "inner.net.features.0"
    single = blocks_from_the_logits(small(2), image, depth=None)
    assert all(len(names) == 1 for names in single.values())
    assert next(iter(single)) == "classifier"
    assert list(single)[-1] == "features.0.0"
    dense = list(blocks_from_the_logits(DenseNet(2, 1, 2, 4, 4, (1, 1)), torch.rand(1, 1, 32, 32)))
    assert (dense[0], dense[-1]) == ("class_layers.out", "features.conv0")


def test_maps_that_vanish_count_as_zero_and_are_counted() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 1))
    with torch.no_grad():
        net[0].weight.fill_(1)
        net[0].bias.zero_()
        net[-1].weight.fill_(1)
    images = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    last = randomized_similarity(net, images, torch.tensor([0]), draws=40)[1]
    # A positive weight gives the map of before, a negative one none: one half each, by chance.
    assert 0 < last.empty < 40
    assert last.spearman == pytest.approx(1 - last.empty / 40)
    assert last.ssim == pytest.approx(1 - last.empty / 40)


def test_a_net_that_shows_nothing_cannot_be_judged() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 1))
    with torch.no_grad():
        net[-1].weight.fill_(-1)
    steps = randomized_similarity(net, torch.rand(2, 1, 9, 9), torch.tensor([0, 0]), draws=2)
    assert math.isnan(steps[-1].spearman)
    told = verdict(steps)
    assert not told.falls
    assert "no map in any" in told.sentence
    assert len(steps_table(steps)) == 3


def test_the_verdict_by_hand() -> None:
    ones = [1.0, 1.0, 1.0, 1.0]
    assert verdict(steps_of(ones, [0.5, 0.6, 0.5, 0.4], [0.1, 0.0, 0.1, 0.0]))[:3] == (True, True, 0)
    rising = verdict(steps_of(ones, [0.10, 0.12, 0.11, 0.13], [0.15, 0.17, 0.16, 0.18]))
    assert (rising.falls, rising.monotone) == (True, False), "a small rise in every draw is no noise"
    assert rising.rise == pytest.approx(0.05)
    noisy = verdict(steps_of(ones, [0.1, 0.3, 0.2, 0.0], [0.2, 0.1, 0.1, 0.3]))
    assert noisy.monotone
    far = verdict(steps_of(ones, [0.1, -0.3, 0.2, 0.0], [0.9, -0.5, 0.6, 0.0]))
    assert not far.monotone
    assert "comes back by 0.25 on the way, which may be chance in 1 case, 4 draws" in far.sentence
    kept = verdict(steps_of(ones, [0.8, 0.7, 0.9, 0.8], [0.7, 0.6, 0.7, 0.7]))
    assert (kept.falls, kept.monotone) == (False, True)
    unsure = verdict(steps_of(ones, [1.0, 0.1, 0.1, 0.6], [1.0, 0.0, 0.0, 0.5]))
    assert not unsure.falls, "a mean of 0.38 with an upper bound of 0.9"


def test_the_table_has_a_row_a_step() -> None:
    table = steps_table(randomized_similarity(small(2), torch.rand(2, 1, 16, 16), torch.tensor([0, 1]), draws=3))
    assert table["step"].tolist() == [0, 1, 2, 3, 4]
    assert list(table.columns[:4]) == ["step", "layer", "spearman", "ssim"]
    assert (table["maps"] == 3 * table["maps"][0] // 3).all()


def test_a_net_without_weights_is_refused() -> None:
    net = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match="nothing to make random"):
        randomized_similarity(net, torch.rand(1, 1, 8, 8), torch.tensor([0]))
