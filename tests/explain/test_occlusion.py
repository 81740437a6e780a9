"""Occlusion against a literal loop, against MONAI's, and by hand."""

from itertools import product

import pytest
import torch
from monai.visualize import OcclusionSensitivity
from torch import Tensor, nn

from medcnn.explain.occlusion import Fill, occlusion_maps, occlusion_window
from medcnn.nets.resnet import ResNet


def built(dims: int, channels: int = 2) -> nn.Module:
    torch.manual_seed(0)
    return ResNet(spatial_dims=dims, in_channels=channels, out_channels=3, widths=(4, 8), depths=(1, 1)).eval()


def images(dims: int, channels: int = 2) -> Tensor:
    return torch.rand(2, channels, *(13, 11, 9)[:dims], generator=torch.Generator().manual_seed(1))


def literally(
    net: nn.Module, image: Tensor, k: int, patch: tuple[int, ...], stride: tuple[int, ...], fill: str
) -> Tensor:
    spatial = image.shape[1:]
    drops: dict[tuple[int, ...], list[float]] = {}
    starts = [[s for s in range(size) if (s % step == 0 and s + side <= size) or s + side == size]
              for size, side, step in zip(spatial, patch, stride, strict=True)]  # fmt: skip
    whole = net(image[None])[0, k]
    for corner in product(*starts):
        hidden = image.clone()
        places = list(product(*(range(a, a + side) for a, side in zip(corner, patch, strict=True))))
        for place in places:
            for channel in range(len(image)):
                low, high, mean = image[channel].min(), image[channel].max(), image[channel].mean()
                hidden[(channel, *place)] = mean if fill == "mean" else (low + high) / 2
        drop = float(whole - net(hidden[None])[0, k])
        for place in places:
            drops.setdefault(place, []).append(drop)
    out = torch.zeros(spatial)
    for place, found in drops.items():
        out[place] = sum(found) / len(found)
    return out


@pytest.mark.parametrize("fill", ["mean", "gray"])
@pytest.mark.parametrize(("dims", "patch", "stride"), [(2, (4, 3), (3, 2)), (3, (6, 5, 4), (5, 5, 3))])
def test_the_map_is_that_of_a_literal_loop(
    dims: int, patch: tuple[int, ...], stride: tuple[int, ...], fill: Fill
) -> None:
    net, given, index = built(dims), images(dims), torch.tensor([2, 0])
    with torch.no_grad():
        expected = torch.stack(
            [literally(net, one, int(k), patch, stride, fill) for one, k in zip(given, index, strict=True)]
        )
    torch.testing.assert_close(
        occlusion_maps(net, given, index, patch, stride, fill, batch=7), expected, atol=1e-5, rtol=0
    )


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")  # inside MONAI
@pytest.mark.parametrize("dims", [2, 3])
def test_windows_side_by_side_give_what_monai_gives(dims: int) -> None:
    net, given = built(dims, 1), torch.rand(1, 1, *(12, 8, 8)[:dims], generator=torch.Generator().manual_seed(2))
    theirs, _ = OcclusionSensitivity(net, mask_size=4, mode="mean_img", overlap=0, activate=False, verbose=False)(given)
    ours = occlusion_maps(net, given, torch.tensor([1]), 4, 4)
    with torch.no_grad():
        drop = net(given)[:, 1].view(-1, *[1] * dims) - theirs[:, 1]
    torch.testing.assert_close(ours, drop, atol=1e-5, rtol=0)


def test_the_only_part_that_speaks_is_where_the_answer_drops() -> None:
    given = torch.zeros(1, 1, 20, 20)
    given[0, 0, 5:8, 12:15] = 9.0
    drops = occlusion_maps(lambda x: x.flatten(1).sum(1, keepdim=True), given, torch.tensor([0]), 3, 1, "gray")
    assert drops.shape == (1, 20, 20)
    assert divmod(int(drops[0].argmax()), 20) == (6, 13)


def test_a_blurred_cover_of_a_flat_image_hides_nothing() -> None:
    drops = occlusion_maps(built(2, 1), torch.full((1, 1, 40, 40), 0.5), torch.tensor([0]), 4, fill="blurred")
    inner = drops[0, 8:-8, 8:-8]  # the blur is darker at the border, beyond which there is nothing
    torch.testing.assert_close(inner, torch.zeros_like(inner), atol=1e-4, rtol=0)


def test_it_runs_inside_inference_mode_and_leaves_net_and_chance_alone() -> None:
    net, given = built(2).train(), images(2)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    with torch.inference_mode():
        inside = occlusion_maps(net, given, torch.tensor([1, 1]), 4)
        assert torch.is_inference_mode_enabled()
    torch.testing.assert_close(inside, occlusion_maps(net.eval(), given, torch.tensor([1, 1]), 4))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("patch", "stride", "words"), [(14, 2, "does not fit"), (4, 5, "leaves pixels"), ((3, 3, 3), 1, "one number or 2")]
)
def test_windows_that_do_not_cover_the_image_are_refused(patch: int, stride: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        occlusion_maps(built(2), images(2), torch.tensor([0, 0]), patch, stride)


def test_an_unknown_fill_is_refused() -> None:
    with pytest.raises(ValueError, match="mean, gray or blurred"):
        occlusion_maps(built(2), images(2), torch.tensor([0, 0]), 4, fill="black")  # type: ignore[arg-type]


def test_the_usual_window_is_a_part_of_the_shorter_side() -> None:
    assert [occlusion_window(shape) for shape in ((112, 96), (28, 28, 40), (5, 5))] == [12, 7, 1]
