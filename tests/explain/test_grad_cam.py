"""Grad-CAM against MONAI's, against hand arithmetic, and closed form against autograd."""

from collections.abc import Callable

import pytest
import torch
from monai.networks.nets import DenseNet, ResNet, SEResNet50
from monai.visualize import GradCAM
from torch import Tensor, nn

from medcnn.explain.grad_cam import NO_EVIDENCE, explain_maps, grad_cam


def densenet(dims: int) -> nn.Module:
    return DenseNet(dims, 1, 3, init_features=8, growth_rate=4, block_config=(2, 2))


def resnet(dims: int) -> nn.Module:
    return ResNet("basic", [1, 1, 1, 1], [4, 8, 8, 16], spatial_dims=dims, n_input_channels=1, num_classes=3)


def seresnet(dims: int) -> nn.Module:
    return SEResNet50(spatial_dims=dims, in_channels=1, num_classes=3, layers=(1, 1, 1, 1))


class PooledTwice(nn.Module):
    """Average and greatest feature side by side, and two linear layers: no closed form."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 6, 3, stride=2), nn.ReLU(inplace=True))
        self.head = nn.Sequential(nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 3))

    def forward(self, image: Tensor) -> Tensor:
        features = self.features(image).flatten(2)
        return self.head(torch.cat([features.mean(2), features.amax(2)], 1))


def built(make: Callable[..., nn.Module], *args: int) -> nn.Module:
    torch.manual_seed(0)
    net = make(*args)
    for module in net.modules():  # statistics and scales as after training, or half of the maps would be zero
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return net.eval()


def images(dims: int, batch: int = 3) -> Tensor:
    size = (48, 64) if dims == 2 else (32, 40, 48)
    return torch.rand(batch, 1, *size, generator=torch.Generator().manual_seed(1))


def unit(maps: Tensor) -> Tensor:
    return maps / maps.flatten(1).amax(1).clamp(min=1e-30).view(-1, *[1] * (maps.ndim - 1))


def module_of(net: nn.Module, name: str) -> nn.Module:
    return net.get_submodule(name)


NETS = [(densenet, "class_layers.relu"), (resnet, "layer4"), (seresnet, "layer4")]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("make", "layer"), NETS)
def test_the_map_equals_monai(make: Callable[..., nn.Module], layer: str, dims: int) -> None:
    net, image = built(make, dims), images(dims)
    for index in range(3):
        ours = grad_cam(net, module_of(net, layer), image, torch.full((3,), index))
        theirs = GradCAM(built(make, dims), layer).compute_map(image, class_idx=index)[:, 0].detach()
        torch.testing.assert_close(ours, unit(theirs), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("make", "layer"), NETS)
def test_closed_form_equals_autograd_and_finds_the_layer(make: Callable[..., nn.Module], layer: str, dims: int) -> None:
    net, image = built(make, dims), images(dims)
    index = torch.tensor([0, 1, 2])
    explained = explain_maps(net, image, index)
    small = grad_cam(net, module_of(net, layer), image, index)
    mode = "bilinear" if dims == 2 else "trilinear"
    expected = unit(nn.functional.interpolate(small[:, None], size=image.shape[2:], mode=mode)[:, 0])
    assert explained.method == "closed_form"
    assert explained.maps.shape == (3, *image.shape[2:])
    torch.testing.assert_close(explained.maps, expected, atol=1e-5, rtol=0)


def test_a_layer_before_an_in_place_relu_is_explained_where_monai_raises() -> None:
    net, image = built(densenet, 2), images(2)
    name = "features.norm5"
    with pytest.raises(RuntimeError):
        GradCAM(built(densenet, 2), name).compute_map(image, class_idx=1)
    before_relu: list[Tensor] = []
    hook = module_of(net, name).register_forward_hook(lambda *call: before_relu.append(call[2].detach().clone()))
    ours = grad_cam(net, module_of(net, name), image, torch.full((3,), 1))
    hook.remove()
    # By hand: through the ReLU and the average, the gradient is the linear weight where the feature is above zero.
    features = before_relu[0]
    weights = net.class_layers.out.weight[1].detach() * (features > 0).float().mean((2, 3))
    by_hand = torch.einsum("bchw,bc->bhw", features, weights).relu()
    torch.testing.assert_close(ours, unit(by_hand), atol=1e-5, rtol=0)


def test_a_net_without_closed_form_goes_by_autograd() -> None:
    net, image = built(PooledTwice), images(2)
    index = torch.tensor([2, 0, 1])
    explained = explain_maps(net, image, index)
    assert explained.method == "autograd"
    theirs = torch.cat([
        GradCAM(built(PooledTwice), "features").compute_map(image[i : i + 1], class_idx=int(index[i]))[:, 0].detach()
        for i in range(3)
    ])  # fmt: skip
    torch.testing.assert_close(grad_cam(net, net.features, image, index), unit(theirs), atol=1e-5, rtol=0)


def test_a_feature_that_speaks_for_the_class_is_shown_where_it_lies() -> None:
    net = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        net[-1].weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, -2.0]]))
    image = torch.zeros(2, 2, 8, 8)
    image[:, 0, 1, 2] = 3.0
    image[:, 1, 6, 6] = 1.0
    maps, flags, _ = explain_maps(net, image, torch.tensor([0, 1]))
    assert maps[0].argmax() == 8 * 1 + 2
    assert maps[0].max() == 1
    assert maps[0].count_nonzero() == 1
    assert maps[1].count_nonzero() == 0
    assert flags == [(), (NO_EVIDENCE,)]


@pytest.mark.parametrize("make", [lambda: densenet(2), PooledTwice])
def test_it_runs_inside_inference_mode_and_leaves_the_net_as_it_was(make: Callable[[], nn.Module]) -> None:
    net, index = built(make), torch.tensor([0, 1, 2])
    expected = explain_maps(net, images(2), index).maps
    net.train()
    frozen = next(module for module in net.modules() if not list(module.children())).eval()
    next(net.parameters()).requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.inference_mode():
        result = explain_maps(net, images(2), index)
        assert torch.is_inference_mode_enabled()
        assert not torch.is_grad_enabled()
    torch.testing.assert_close(result.maps, expected)
    assert torch.is_grad_enabled()
    assert [module for module in net.modules() if not module.training] == [frozen]
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert [parameter.requires_grad for parameter in net.parameters()].count(False) == 1
    assert not any(module._forward_hooks for module in net.modules())


def test_a_failure_in_the_net_leaves_no_hook_and_keeps_the_mode() -> None:
    net = built(PooledTwice).train()
    with pytest.raises(RuntimeError):
        explain_maps(net, torch.rand(1, 2, 48, 64), torch.tensor([0]))  # two channels where one is expected
    assert all(module.training and not module._forward_hooks for module in net.modules())
    assert torch.is_grad_enabled()


def test_a_layer_that_takes_no_part_is_named() -> None:
    net = built(PooledTwice)
    with pytest.raises(ValueError, match="Conv2d took no part"):
        grad_cam(net, nn.Conv2d(1, 1, 1), images(2), torch.zeros(3, dtype=torch.int64))


def test_a_layer_without_positions_is_refused() -> None:
    net = built(PooledTwice)
    with pytest.raises(ValueError, match=r"\(3, 5\)"):
        grad_cam(net, net.head[0], images(2), torch.zeros(3, dtype=torch.int64))


def test_a_net_without_a_map_is_refused() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(ValueError, match="no place to show"):
        explain_maps(net, torch.rand(1, 1, 4, 4), torch.tensor([0]))
