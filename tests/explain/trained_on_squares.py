"""A small net that learned to find a bright square (a cube) in noise, in seconds."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from medcnn.explain.pointing import plant, random_corners
from medcnn.nets.resnet import ResNet


class Squares(NamedTuple):
    """Half of the images hold a square; ``masks`` say where, and are empty in the others."""

    images: Tensor
    labels: Tensor
    masks: Tensor


def squares(dims: int, count: int, size: int, side: int, seed: int) -> Squares:
    """Noise from -0.5 to 0.5, as dark as the padding at the border on average, and squares of 0.5."""
    generator = torch.Generator().manual_seed(seed)
    spatial = (side,) * dims
    images = torch.rand(count, 1, *spatial, generator=generator) - 0.5
    labels = torch.arange(count) % 2
    planted = plant(images, size, random_corners(count, spatial, size, generator), 0.5)
    held = labels.view(-1, *[1] * dims).bool()
    return Squares(torch.where(held[:, None], planted.images, images), labels, planted.masks & held)


def trained(dims: int, steps: int, size: int, side: int, batch: int = 32) -> nn.Module:
    """The net, fitted on fresh squares each step; in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = ResNet(spatial_dims=dims, widths=(8, 16), depths=(1, 1))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for step in range(steps):
        given = squares(dims, batch, size, side, seed=10_000 + step)
        loss = nn.functional.cross_entropy(net(given.images), given.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()
