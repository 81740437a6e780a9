"""Feature maps, filters and patches, against hooks of our own and a literal search."""

import pytest
import torch
from torch import Tensor, nn

from medcnn.explain.units import feature_maps, first_filters, strongest_patches
from medcnn.nets.resnet import ResNet


def built(dims: int) -> nn.Module:
    torch.manual_seed(0)
    return ResNet(spatial_dims=dims, in_channels=2, widths=(4, 8), depths=(1, 1)).eval()


def images(dims: int, count: int = 3, seed: int = 1) -> Tensor:
    return torch.rand(count, 2, *(12, 14, 16)[:dims], generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dims", [2, 3])
def test_feature_maps_are_what_the_layer_gave_before_an_in_place_relu(dims: int) -> None:
    net, given = built(dims), images(dims)
    with torch.no_grad():
        expected = net.features[0][1](net.features[0][0](given))
    assert expected.min() < 0
    torch.testing.assert_close(feature_maps(net, "features.0.1", given), expected)


def test_feature_maps_leave_net_and_mode_alone_inside_inference_mode() -> None:
    net = built(2).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.inference_mode():
        inside = feature_maps(net, "features.1", images(2))
    torch.testing.assert_close(inside, feature_maps(net.eval(), "features.1", images(2)))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize(
    ("layer", "words"),
    [("features.9", "it has features"), ("classifier", "no maps"), ("", "no name"), ("unused", "no part")],
)
def test_a_layer_that_gives_no_maps_is_refused(layer: str, words: str) -> None:
    net = built(2)
    net.unused = nn.Conv2d(1, 1, 1)
    with pytest.raises(ValueError, match=words):
        feature_maps(net, layer, images(2))


@pytest.mark.parametrize("dims", [2, 3])
def test_the_first_filters_are_a_copy_of_the_first_convolution(dims: int) -> None:
    net = built(dims)
    filters = first_filters(net)
    assert filters.shape == (4, 2, *[3] * dims)
    assert torch.equal(filters, net.features[0][0].weight)
    filters.zero_()
    assert net.features[0][0].weight.any()


def test_a_net_without_convolution_has_no_filters() -> None:
    with pytest.raises(ValueError, match="no convolution"):
        first_filters(nn.Linear(3, 3))


@pytest.mark.parametrize("dims", [2, 3])
def test_the_best_of_a_stream_are_the_best_of_all(dims: int) -> None:
    net, stream = built(dims), [images(dims, count, seed) for seed, count in enumerate((3, 1, 4, 2))]
    found = strongest_patches(net, "features.1", 2, iter(stream), n=4)
    every = torch.cat(stream)
    values = feature_maps(net, "features.1", every)[:, 2].flatten(1).amax(1)
    expected = values.sort(descending=True)
    torch.testing.assert_close(found.values, expected.values[:4])
    assert found.cases.tolist() == expected.indices[:4].tolist()
    for patch, case, corner in zip(found.patches, found.cases.tolist(), found.corners.tolist(), strict=True):
        window = (slice(None), *(slice(start, start + 3) for start in corner))
        assert torch.equal(patch, every[case][window])


@pytest.mark.parametrize("dims", [2, 3])
def test_a_patch_is_cut_around_what_excites_the_unit_and_inside_the_image(dims: int) -> None:
    net = nn.Sequential(nn.AvgPool2d(2) if dims == 2 else nn.AvgPool3d(2), nn.Flatten(), nn.LazyLinear(1))
    given = torch.zeros(2, 1, *[20] * dims)
    given[(0, 0, *[9] * dims)] = 1.0
    given[(1, 0, *[19] * dims)] = 2.0
    found = strongest_patches(net, "0", 0, [given], size=5)
    assert found.cases.tolist() == [1, 0]
    assert found.corners.tolist() == [[15] * dims, [6] * dims]  # moved inside; around the middle of pixels 8 and 9
    assert all(bool(patch.any()) for patch in found.patches)


def test_a_short_stream_gives_fewer_and_an_empty_one_is_refused() -> None:
    assert len(strongest_patches(built(2), "features.1", 0, [images(2)], n=9).values) == 3
    with pytest.raises(ValueError, match="no images"):
        strongest_patches(built(2), "features.1", 0, [])
    with pytest.raises(ValueError, match="units 0 to 3"):
        strongest_patches(built(2), "features.1", 4, [images(2)])
