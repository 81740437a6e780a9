"""A fully convolutional net: coarse scores brought up and added to finer ones, in two or three dimensions."""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from monai.networks.layers import Conv
from torch import Tensor, nn

MODES = {2: "bilinear", 3: "trilinear"}


class FCN(nn.Module):
    """Stages of two convolutions, each half the size of the one before; every stage votes, and the votes are summed.

    From the coarsest stage up the scores are interpolated to the next finer stage and added to its own. Images may be
    of any size; nothing is padded.

    Args:
        spatial_dims: 2 or 3.
        in_channels: Channels of the image.
        out_channels: Classes, background among them.
        widths: Channels of each stage, from the full resolution down; multiples of 8.

    Shapes:
        ``(B, in_channels, *spatial)`` to ``(B, out_channels, *spatial)``.

    References:
        Long et al., 2015, arXiv:1411.4038
    """

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 2,
        widths: Sequence[int] = (16, 32, 64, 128),
    ) -> None:
        super().__init__()
        self.mode = MODES[spatial_dims]
        convolution = Conv[Conv.CONV, spatial_dims]

        def stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
            return nn.Sequential(
                convolution(inputs, outputs, 3, stride=stride, padding=1, bias=False),
                nn.GroupNorm(outputs // 8, outputs),
                nn.ReLU(),
                convolution(outputs, outputs, 3, padding=1, bias=False),
                nn.GroupNorm(outputs // 8, outputs),
                nn.ReLU(),
            )

        self.stages = nn.ModuleList([stage(in_channels, widths[0], 1)])
        self.stages.extend(stage(inputs, outputs, 2) for inputs, outputs in pairwise(widths))
        self.votes = nn.ModuleList(convolution(width, out_channels, 1) for width in widths)

    def forward(self, image: Tensor) -> Tensor:
        """Images ``(B, in_channels, *spatial)`` to logits ``(B, out_channels, *spatial)``."""
        votes = []
        for stage, vote in zip(self.stages, self.votes, strict=True):
            image = stage(image)
            votes.append(vote(image))
        logits = votes.pop()
        while votes:
            finer = votes.pop()
            logits = finer + F.interpolate(logits, size=finer.shape[2:], mode=self.mode, align_corners=False)
        return logits
