"""Whole images through windows: against MONAI's own, by laws, and by counting forward passes."""

import pytest
import torch
from monai.inferers import SlidingWindowInferer

from medcnn.tasks.window import in_windows, mirrored


class Seen:
    """A voxelwise predictor that counts its calls."""

    def __init__(self):
        self.shapes = []

    def __call__(self, image):
        self.shapes.append(tuple(image.shape))
        return torch.cat([image.sigmoid(), 1 - image.sigmoid()], dim=1)


@pytest.mark.parametrize("size", [(10, 12, 9), (16, 20)])
@pytest.mark.parametrize("patch", [None, "same", "larger"])
def test_an_image_that_fits_into_one_window_is_one_forward_pass(size, patch):
    image, seen = torch.randn(1, 1, *size), Seen()
    window = {None: None, "same": size, "larger": tuple(n + 5 for n in size)}[patch]
    found = in_windows(seen, image, window)
    assert len(seen.shapes) == 1
    torch.testing.assert_close(found, Seen()(image)[0])
    assert found.dtype == torch.float32


def test_windows_of_a_voxelwise_net_give_what_the_whole_image_gives():
    image = torch.randn(1, 1, 21, 17, 13)
    found = in_windows(Seen(), image, (8, 16, 16), overlap=0.5)
    torch.testing.assert_close(found, Seen()(image)[0], rtol=1e-5, atol=1e-6)


def test_windows_are_weighed_as_monai_weighs_them():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 5, padding=2), torch.nn.Softmax(dim=1))
    image = torch.randn(1, 1, 24, 20, 12)
    with torch.no_grad():
        found = in_windows(net, image, (10, 10, 10), overlap=0.4)
        expected = SlidingWindowInferer((10, 10, 10), 1, 0.4, mode="gaussian")(image, net)[0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.sum(0), torch.ones(24, 20, 12))


@pytest.mark.parametrize("axes", [(0,), (1, 2), (0, 1, 2)])
def test_the_mean_over_mirror_images_does_not_depend_on_the_side(axes):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3, padding=1), torch.nn.Softmax(dim=1))
    image = torch.randn(1, 1, 6, 7, 8)
    both = mirrored(net, axes)
    with torch.no_grad():
        for axis in axes:
            torch.testing.assert_close(both(image.flip(axis + 2)), both(image).flip(axis + 2))
        torch.testing.assert_close(both(image).sum(1), torch.ones(1, 6, 7, 8))


def test_without_axes_nothing_is_added():
    net = Seen()
    assert mirrored(net, ()) is net
