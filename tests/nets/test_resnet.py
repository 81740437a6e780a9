"""What is particular to the residual network."""

import pytest
import torch

from medcnn.nets.resnet import ResNet


def test_it_ends_in_average_pooling_and_one_linear_layer() -> None:
    net = ResNet(in_channels=1, out_channels=3).eval()
    image = torch.randn(2, 1, 30, 26)
    with torch.inference_mode():
        features = net.features(image)
        torch.testing.assert_close(net.classifier(features.mean((2, 3))), net(image), rtol=1e-5, atol=1e-6)


def test_a_block_starts_as_the_way_around_it() -> None:
    net = ResNet(widths=(8,), depths=(1,)).eval()
    stem, block = net.features
    features = stem(torch.randn(2, 1, 12, 12))
    torch.testing.assert_close(block(features), features)


def test_every_stage_after_the_first_halves_the_image() -> None:
    net = ResNet(widths=(4, 8, 16), depths=(1, 2, 1), stem_stride=2)
    assert net.features(torch.zeros(1, 1, 64, 48)).shape == (1, 16, 8, 6)


def test_a_depth_is_wanted_for_each_width() -> None:
    with pytest.raises(ValueError, match="2 stages and depths 1"):
        ResNet(widths=(8, 16), depths=(1,))
