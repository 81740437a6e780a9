"""Costs against torch's own counter and hand arithmetic, receptive fields against what answers to each pixel."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from monai.networks.nets import DenseNet, SegResNet, SEResNet50, ViT
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from medcnn.explain.architecture import architecture
from medcnn.nets.fcn import FCN
from medcnn.nets.folded_unet import FoldedUNet
from medcnn.nets.resnet import ResNet
from medcnn.nets.unet import UNet, _InstanceNorm


def densenet(dims: int) -> nn.Module:
    return DenseNet(dims, 1, 3, init_features=8, growth_rate=4, block_config=(2, 2))


def vit(dims: int) -> nn.Module:
    return ViT(1, (32,) * dims, (16,) * dims, 24, 32, 1, 2, classification=True, num_classes=2, spatial_dims=dims)


def seresnet(dims: int) -> nn.Module:
    return SEResNet50(spatial_dims=dims, in_channels=1, num_classes=3, layers=(1, 1, 1, 1))


NETS: list[Callable[[int], nn.Module]] = [
    lambda dims: ResNet(dims, 1, 2, widths=(4, 8), depths=(1, 1)),
    lambda dims: UNet(dims, 1, 2, widths=(4, 8, 8), strides=(2, 2), deep_supervision=True),
    lambda dims: FoldedUNet(dims, 1, 2, widths=(4, 8), strides=(2,)),
    lambda dims: FCN(dims, 1, 2, widths=(8, 16)),
    lambda dims: SegResNet(dims, 4, blocks_down=(1, 1), blocks_up=(1,), norm=("GROUP", {"num_groups": 2})),
    densenet,
    seresnet,
    vit,
]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("make", NETS)
def test_the_sums_are_those_of_torch(make: Callable[[int], nn.Module], dims: int) -> None:
    net, shape = make(dims), (1, *[32] * dims)
    layers = architecture(net, shape)
    counted = FlopCounterMode(display=False)
    with counted, torch.no_grad():
        net.eval()(torch.zeros(1, *shape))
    assert sum(layer.multiply_adds for layer in layers) == counted.get_total_flops() // 2
    assert sum(layer.parameters for layer in layers) == sum(p.numel() for p in net.parameters())
    assert len({layer.name for layer in layers}) == len(layers)


def test_costs_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1, groups=2), nn.ConvTranspose2d(6, 4, 2, stride=2), nn.Flatten(),
        nn.Linear(4 * 8 * 8, 5),
    )  # fmt: skip
    conv, up, flat, linear = architecture(net, (2, 8, 8))
    assert (conv.parameters, conv.multiply_adds, conv.output_shape) == (6 * 9 + 6, 6 * 16 * 9, (1, 6, 4, 4))
    assert (up.parameters, up.multiply_adds, up.output_shape) == (6 * 4 * 4 + 4, 16 * 6 * 4 * 4, (1, 4, 8, 8))
    assert (linear.parameters, linear.multiply_adds) == (256 * 5 + 5, 256 * 5)
    assert (flat.kind, flat.multiply_adds, flat.receptive_field) == ("Flatten", 0, (8, 8))


def test_shared_weights_count_once_and_what_does_not_run_comes_last() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Linear(3, 3)
            self.scale = nn.Parameter(torch.ones(7))
            self.conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
            self.twin = nn.Conv2d(1, 1, 3, padding=1, bias=False)
            self.twin.weight = self.conv.weight

        def forward(self, image: Tensor) -> Tensor:
            return self.twin(self.conv(self.conv(image))) * self.scale[0]

    layers = {layer.name: layer for layer in architecture(Odd(), (1, 5, 5))}
    assert [(n, one.parameters) for n, one in layers.items()] == [("conv", 9), ("twin", 0), ("", 7), ("unused", 12)]
    assert layers["conv"].multiply_adds == 2 * layers["twin"].multiply_adds == 2 * 25 * 9
    assert (layers["unused"].output_shape, layers["unused"].receptive_field) == ((), None)


class Transparent(nn.Module):
    """The same net where nothing is negative and nothing is added: an output above 0 has seen what is bright."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).double().eval()
        for name, weight in self.net.named_parameters():
            nn.init.constant_(weight, 0.0 if name.endswith("bias") else 0.1)
        for parent in list(self.net.modules()):
            for name, child in parent.named_children():
                if isinstance(child, _InstanceNorm | nn.GroupNorm | nn.InstanceNorm2d | nn.BatchNorm2d):
                    setattr(parent, name, nn.Identity())
                if isinstance(child, nn.MaxPool2d):
                    setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))

    def seen(self, size: int) -> dict[str, tuple[int, int]]:
        """Greatest extent over all positions: which outputs answer to each pixel when it alone is bright."""
        outputs: dict[str, Tensor] = {}
        hooks = [
            module.register_forward_hook(lambda _, __, out, name=name: outputs.update({name: out.clone()}))
            for name, module in self.net.named_modules()
        ]
        with torch.no_grad():
            self.net(torch.eye(size * size, dtype=torch.float64).view(-1, 1, size, size))
        for hook in hooks:
            hook.remove()
        return {name: self._extent(out, size) for name, out in outputs.items()}

    def _extent(self, out: Tensor, size: int) -> tuple[int, int]:
        answers = (out.flatten(2).sum(1) if out.ndim > 2 else out.sum(1, keepdim=True)) > 0
        by_place = answers.T.view(-1, size, size).numpy()
        lengths = []
        for axis in (2, 1):
            some = by_place.any(axis)
            first, last = some.argmax(1), size - 1 - some[:, ::-1].argmax(1)
            lengths.append(int(np.where(some.any(1), last - first + 1, 0).max()))
        return lengths[0], lengths[1]


class Everything(nn.Module):
    """Strides, dilation, unequal kernels, pooling, padding, interpolation, transposition and a way around."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, (3, 5), stride=(1, 2), padding=(2, 1), dilation=(2, 1))
        self.pad = nn.ReplicationPad2d((1, 0, 2, 1))
        self.mirror = nn.ReflectionPad2d((0, 2, 1, 0))
        self.pool = nn.AvgPool2d(3, 2, 1, ceil_mode=True)
        self.max = nn.MaxPool2d(2, 1)
        self.up = nn.ConvTranspose2d(2, 2, 3, stride=2, padding=1, output_padding=1)
        self.linear = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.aligned = nn.Upsample(scale_factor=1.5, mode="bilinear", align_corners=True)
        self.nearest = nn.Upsample(scale_factor=3, mode="nearest")
        self.adaptive = nn.AdaptiveAvgPool2d((5, 3))
        self.last = nn.Conv2d(2, 2, 3)

    def forward(self, image: Tensor) -> Tensor:
        first = self.first(image)
        second = self.up(self.max(self.pool(self.mirror(self.pad(first)))))
        rows, columns = (min(a, b) for a, b in zip(first.shape[2:], second.shape[2:], strict=True))
        joined = torch.cat([first[:, :, :rows, :columns], second[:, :, :rows, :columns]], 1)
        joined = torch.relu_(joined[:, :2] + joined[:, 2:])
        other = self.adaptive(self.nearest(self.aligned(self.linear(joined[:, :, ::2]))))
        return self.last(nn.functional.pad(other, (1, 0, 2, 1)))


@pytest.mark.parametrize(
    ("net", "size"),
    [
        (Everything(), 22),
        (ResNet(2, 1, 2, widths=(2, 2, 2), depths=(1, 1, 1)), 21),
        (UNet(2, 1, 2, widths=(2, 2, 2), strides=(2, 2)), 18),
        (UNet(2, 1, 2, widths=(2, 2), strides=(2,), residual=False), 30),
        (FCN(2, 1, 2, widths=(8, 8)), 23),
        (DenseNet(2, 1, 2, init_features=4, growth_rate=2, block_config=(1, 1)), 32),
    ],
    ids=["everything", "resnet", "unet", "plain unet", "fcn", "densenet"],
)
def test_what_a_layer_sees_is_what_it_answers_to(net: nn.Module, size: int) -> None:
    seen = Transparent(net).seen(size)
    told = {layer.name: layer.receptive_field for layer in architecture(net, (1, size, size))}
    assert None not in told.values()
    compared = {name: seen[name] for name in told if name in seen}
    assert len(compared) > 8
    assert {name: told[name] for name in compared} == compared


def test_the_formula_of_a_plain_chain() -> None:
    net = nn.Sequential(nn.Conv3d(1, 1, 7, 2), nn.MaxPool3d(3, 2), nn.Conv3d(1, 1, 3), nn.Conv3d(1, 1, 3, dilation=2))
    found = [layer.receptive_field for layer in architecture(net, (1, 60, 60, 60))]
    # r + (k - 1) * dilation * jump: 7; 7 + 2 * 2; 11 + 2 * 4; 19 + 4 * 4
    assert found == [(7,) * 3, (11,) * 3, (19,) * 3, (35,) * 3]


def test_what_is_not_followed_is_not_told() -> None:
    fields = [layer.receptive_field for layer in architecture(vit(2), (1, 32, 32))]
    assert fields[0] == (16, 16)  # a patch
    assert fields[-1] is None

    class Rolled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

        def forward(self, image: Tensor) -> Tensor:
            features = self.first(image)
            return self.second(features + features.roll(3, 2))

    assert [layer.receptive_field for layer in architecture(Rolled(), (1, 8, 8))] == [(1, 1), None]


def test_the_net_is_left_as_it_was() -> None:
    net = ResNet(2, 1, 2, widths=(4, 8), depths=(1, 1)).train()
    before = copy.deepcopy(net.state_dict())
    architecture(net, (1, 16, 16))
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_an_image_that_the_net_refuses_is_named() -> None:
    with pytest.raises(ValueError, match=r"ResNet refuses an image of \(3, 16, 16\)"):
        architecture(ResNet(2, 1, 2, widths=(4, 8), depths=(1, 1)), (3, 16, 16))
