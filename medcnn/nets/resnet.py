"""A residual network for small and middle-sized images, in two or three dimensions."""

from collections.abc import Sequence

import torch
from monai.networks.layers import Act, Conv, Norm, Pool
from torch import Tensor, nn


def _conv(spatial_dims: int, inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    conv: nn.Module = Conv[Conv.CONV, spatial_dims](
        inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False
    )
    return conv


class _Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, spatial_dims: int, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        norm = Norm[Norm.BATCH, spatial_dims]
        last = norm(outputs)
        nn.init.zeros_(last.weight)  # a block starts as the way around it: deep nets train from the first step
        self.main = nn.Sequential(
            _conv(spatial_dims, inputs, outputs, 3, stride),
            norm(outputs),
            Act[Act.RELU](inplace=True),
            _conv(spatial_dims, outputs, outputs, 3),
            last,
        )
        self.around: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            # Pooling before the 1x1 convolution sees every pixel; a strided 1x1 would drop three of four.
            pool = Pool[Pool.AVG, spatial_dims](stride, ceil_mode=True) if stride != 1 else nn.Identity()
            self.around = nn.Sequential(pool, _conv(spatial_dims, inputs, outputs, 1), norm(outputs))

    def forward(self, image: Tensor) -> Tensor:
        return torch.relu(self.main(image) + self.around(image))


class ResNet(nn.Module):
    """Residual stages, average pooling and one linear layer: images to logits.

    Args:
        spatial_dims: 2 or 3.
        in_channels: Channels of the image.
        out_channels: Logits.
        widths: Channels of each stage; every stage after the first halves the image.
        depths: Blocks of each stage, as many as ``widths``.
        stem_stride: 1 keeps a 28-pixel image whole, 2 saves three quarters of the work on a larger one.
        dropout: Share of features dropped before the linear layer while training.

    Shapes:
        ``(B, in_channels, *spatial)`` to ``(B, out_channels)``.

    References:
        He et al., 2016, doi:10.1109/CVPR.2016.90
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 2,
        widths: Sequence[int] = (32, 64, 128, 256),
        depths: Sequence[int] = (1, 1, 1, 1),
        stem_stride: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(widths) != len(depths):
            raise ValueError(f"widths names {len(widths)} stages and depths {len(depths)}: give one depth a width")
        stem = nn.Sequential(
            _conv(spatial_dims, in_channels, widths[0], 3, stem_stride),
            Norm[Norm.BATCH, spatial_dims](widths[0]),
            Act[Act.RELU](inplace=True),
        )
        blocks: list[nn.Module] = []
        inputs = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for block in range(depth):
                blocks.append(_Block(spatial_dims, inputs, width, stride=2 if stage and not block else 1))
                inputs = width
        self.features = nn.Sequential(stem, *blocks)
        self.pool = Pool[Pool.ADAPTIVEAVG, spatial_dims](1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(inputs, out_channels)
        # Channels last is what convolutions are fastest in, on CPU and GPU: about twice as fast in bfloat16.
        layout = torch.channels_last if spatial_dims == 2 else torch.channels_last_3d
        self.to(memory_format=layout)  # type: ignore[call-overload]  # torch's stubs do not know it

    def forward(self, image: Tensor) -> Tensor:
        """Images ``(B, in_channels, *spatial)`` to logits ``(B, out_channels)``."""
        pooled = self.pool(self.features(image)).flatten(1)
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits
