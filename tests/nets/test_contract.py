"""What every network promises, found by looking: a new file in ``medcnn/nets`` is tested without a line here."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from medcnn import nets


def _networks() -> Iterator[type[nn.Module]]:
    for module in pkgutil.iter_modules(nets.__path__, "medcnn.nets."):
        for name, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(found, nn.Module) and found.__module__ == module.name and not name.startswith("_"):
                yield found


NETWORKS = list(_networks())


def _build(network: type[nn.Module], spatial_dims: int, in_channels: int, out_channels: int) -> nn.Module:
    torch.manual_seed(0)
    return network(spatial_dims=spatial_dims, in_channels=in_channels, out_channels=out_channels)


def test_there_is_a_network_to_test() -> None:
    assert NETWORKS


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("spatial", [(33, 28), (64, 64), (17, 16, 20)])
def test_any_image_becomes_one_logit_for_each_output(network: type[nn.Module], spatial: tuple[int, ...]) -> None:
    """One for the image, or one for each of its voxels."""
    net = _build(network, len(spatial), 2, 5)
    assert net(torch.randn(3, 2, *spatial)).shape in ((3, 5), (3, 5, *spatial))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_every_parameter_learns(network: type[nn.Module], spatial_dims: int) -> None:
    net = _build(network, spatial_dims, 1, 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):  # a block that starts as the identity passes its first gradient on in the second step
        optimizer.zero_grad()
        logits = net(torch.randn(4, 1, *[32] * spatial_dims))
        answers = torch.arange(4 * logits[0, 0].numel()).view(4, *logits.shape[2:]) % 3
        nn.functional.cross_entropy(logits, answers).backward()
        optimizer.step()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().any()]
    assert silent == []


@pytest.mark.parametrize("network", NETWORKS)
def test_a_case_scores_the_same_alone_and_in_a_batch(network: type[nn.Module]) -> None:
    net = _build(network, 2, 1, 2).eval()
    images = torch.randn(5, 1, 40, 36)
    with torch.inference_mode():
        together, alone = net(images), torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_dropout_and_batch_statistics_rest_in_evaluation(network: type[nn.Module]) -> None:
    net = _build(network, 2, 1, 2).eval()
    images = torch.randn(2, 1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(net(images), net(images), rtol=0, atol=0)
