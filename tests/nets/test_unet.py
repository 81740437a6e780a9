"""What is particular to the U-Net."""

import pytest
import torch
from torch import nn

from medcnn.nets.unet import UNet, _Block, _InstanceNorm


def _small(spatial_dims: int = 3, **arguments: object) -> UNet:
    torch.manual_seed(0)
    return UNet(spatial_dims, 1, 3, **{"widths": (4, 8, 8), "strides": (2, 2), **arguments})


@pytest.mark.parametrize("spatial", [(24, 16), (25, 17), (7, 31), (5, 4), (16, 8, 24), (9, 13, 6), (3, 5, 1)])
def test_an_image_of_any_size_gets_logits_at_every_voxel(spatial: tuple[int, ...]) -> None:
    assert _small(len(spatial))(torch.randn(2, 1, *spatial)).shape == (2, 3, *spatial)


def test_a_size_that_does_not_divide_is_padded_with_its_border_and_cut_back() -> None:
    net, image = _small(2).eval(), torch.randn(1, 1, 14, 11)
    padded = torch.cat([image, image[..., -1:]], dim=-1)
    padded = torch.cat([padded, padded[..., -1:, :], padded[..., -1:, :]], dim=-2)
    torch.testing.assert_close(net(image), net(padded)[..., :14, :11])


def test_an_image_that_would_shrink_to_one_voxel_is_refused_with_the_size_that_works() -> None:
    with pytest.raises(ValueError, match="axis of at least 5"):
        _small(3)(torch.zeros(1, 1, 4, 4, 4))
    with pytest.raises(ValueError, match=r"\(B, C, \*spatial\)"):
        _small(3)(torch.zeros(1, 1, 32, 32))


def test_deep_supervision_answers_at_each_stage_while_training_and_once_afterwards() -> None:
    net = _small(3, deep_supervision=True, widths=(4, 4, 8, 8), strides=(2, (1, 2, 2), 2))
    image = torch.randn(2, 1, 13, 24, 17)
    assert [logits.shape[2:] for logits in net(image)] == [(13, 24, 17), (7, 12, 9), (7, 6, 5)]
    assert net.eval()(image).shape == (2, 3, 13, 24, 17)


def test_every_parameter_learns_by_deep_supervision() -> None:
    net = _small(2, deep_supervision=True)
    for block in net.modules():
        if isinstance(block, _InstanceNorm):
            nn.init.ones_(block.weight)
    sum(logits.square().sum() for logits in net(torch.randn(2, 1, 16, 16))).backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_an_axis_with_a_stride_and_kernel_of_one_is_left_alone() -> None:
    net = _small(3, strides=((1, 2, 2), (1, 2, 2)), kernels=((1, 3, 3),) * 3).eval()
    image = torch.randn(1, 1, 5, 16, 16)
    other = image.clone()
    other[:, :, 3:] = 0
    for norm in net.modules():
        if isinstance(norm, _InstanceNorm):
            norm.forward = lambda image: image  # type: ignore[method-assign]  # its statistics do see every slice
    torch.testing.assert_close(net(image)[:, :, :3], net(other)[:, :, :3])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_norm_is_instance_norm_and_keeps_layout_and_precision(dtype: torch.dtype) -> None:
    image = (torch.randn(3, 5, 6, 7, 8) * 0.1 + 50).to(dtype).to(memory_format=torch.channels_last_3d)
    found = _InstanceNorm(5)(image)
    expected = nn.functional.instance_norm(image.double())
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-3 if dtype == torch.float32 else 0.02)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last_3d)


def test_a_case_in_a_training_batch_is_not_touched_by_the_others() -> None:
    net, images = _small(2).train(), torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(net(images)[1:2], net(images[1:2]), rtol=1e-4, atol=1e-5)


def test_a_block_starts_as_the_way_around_it() -> None:
    block, image = _Block(2, 4, 4, (3, 3), (1, 1), residual=True), torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(block(image), nn.functional.leaky_relu(image, 0.01))


def test_features_stay_channels_last_all_the_way() -> None:
    net, kept = _small(3), []
    for stage in [*net.down, *net.up]:
        stage.register_forward_hook(
            lambda _module, _inputs, out: kept.append(out.is_contiguous(memory_format=torch.channels_last_3d))
        )
    net(torch.randn(2, 1, 8, 12, 8))
    assert kept == [True] * 5


def test_bfloat16_training_follows_float32() -> None:
    net, image = _small(3), torch.randn(2, 1, 16, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        low = net(image)
    full = net(image)
    assert low.dtype == torch.bfloat16
    assert (low.float() - full).norm() < 0.03 * full.norm()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strides": (2,)}, "3 stages, strides 1"),
        ({"depths": (1, 1)}, "depths 2"),
        ({"widths": (4,), "strides": ()}, "two widths or more"),
        ({"kernels": (3, 3, 2)}, "odd"),
        ({"strides": (2, (2, 2))}, "each of 3 axes"),
        ({"strides": (2, 0)}, "at least 1"),
    ],
)
def test_stages_that_are_not_described_alike_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _small(3, **arguments)
