"""A U-Net that works on blocks of voxels: as sharp as one at full resolution, in half the time on a CPU."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from monai.networks.layers import Act, Conv
from torch import Tensor, nn

from medcnn.nets.unet import Axes, UNet, _ConvNorm


def folded(image: Tensor, block: int) -> Tensor:
    """Blocks of voxels as channels: ``(B, C, *spatial)`` to ``(B, C * block**d, *spatial / block)``."""
    corners: Iterator[tuple[int, ...]] = itertools.product(range(block), repeat=image.ndim - 2)
    wheres: list[tuple[Any, ...]] = [(..., *(slice(start, None, block) for start in corner)) for corner in corners]
    parts = [image[where] for where in wheres]
    return torch.cat(parts, dim=1)


def unfolded(features: Tensor, block: int) -> Tensor:
    """Channels back as blocks of voxels, the inverse of ``folded``."""
    axes = features.ndim - 2
    channels, small = features.shape[1] // block**axes, features.shape[2:]
    parts = features.unflatten(1, (*[block] * axes, channels))
    # (B, block..., C, *small) to (B, C, small, block, small, block, ...)
    order = [0, axes + 1, *itertools.chain.from_iterable((axes + 2 + a, a + 1) for a in range(axes))]
    return parts.permute(order).reshape(len(features), channels, *(n * block for n in small))


class FoldedUNet(nn.Module):
    """A U-Net on an image whose 2 x 2 x 2 blocks became channels, and one light convolution at full resolution.

    On a CPU the time of a U-Net goes into few channels at full resolution. Here the first stage has an eighth of the
    positions and all the values; nothing is averaged away, and a head that sees the unfolded features beside the image
    draws the outlines.

    Args:
        spatial_dims: 2 or 3.
        in_channels: Channels of the image.
        out_channels: Classes, background among them.
        widths: Channels of each stage of the U-Net, the first at half resolution.
        strides: What each stage after the first divides the size by.
        depths: Blocks of each stage on the way down; 1 where none are given.
        block: Edge of a block in voxels.
        head: Channels at full resolution that the U-Net hands to the head.
        dropout: Share of channels dropped after each stage on the way down while training.

    Shapes:
        ``(B, in_channels, *spatial)`` to ``(B, out_channels, *spatial)``, any size.
    """

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 2,
        widths: Sequence[int] = (32, 64, 128),
        strides: Sequence[Axes] = (2, 2),
        depths: Sequence[int] | None = None,
        block: int = 2,
        head: int = 8,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if block < 2:
            raise ValueError(f"block is {block}; give the edge of a block of voxels, 2 or more")
        self.block, inside = block, block**spatial_dims
        self.core = UNet(
            spatial_dims, in_channels * inside, head * inside, widths, strides, depths=depths, dropout=dropout
        )
        middle = head + 4
        self.head = nn.Sequential(
            _ConvNorm(spatial_dims, head + in_channels, middle, 3),
            Act[Act.LEAKYRELU](inplace=True),
            Conv[Conv.CONV, spatial_dims](middle, out_channels, 1),
        )
        layout = torch.channels_last if spatial_dims == 2 else torch.channels_last_3d
        self.to(memory_format=layout)  # type: ignore[call-overload]  # torch's stubs do not know it

    def forward(self, image: Tensor) -> Tensor:
        """Images ``(B, in_channels, *spatial)`` to logits ``(B, out_channels, *spatial)``."""
        short = [-n % self.block for n in image.shape[2:]]
        whole = image
        if any(short):
            whole = F.pad(image, [p for amount in reversed(short) for p in (0, amount)], mode="replicate")
        features = unfolded(self.core(folded(whole, self.block)), self.block)
        logits: Tensor = self.head(torch.cat([features, whole], dim=1))
        for axis, n in enumerate(image.shape[2:], start=2):
            logits = logits.narrow(axis, 0, n)
        return logits
