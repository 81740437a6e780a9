"""A residual U-Net: images to logits for every voxel, in two or three dimensions, of any size."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from monai.networks.layers import Conv, Dropout, Pool
from torch import Tensor, nn

Axes = int | Sequence[int]
SLOPE = 0.01  # of the leaky ReLU


class _InstanceNorm(nn.Module):
    """Instance normalization that keeps the memory layout; statistics in float32 whatever the image is in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, image: Tensor) -> Tensor:
        if image.device.type != "cpu":
            return F.instance_norm(image, weight=self.weight, bias=self.bias)
        # On a CPU torch's own copies a channels-last image into the plain layout, and the next convolution back.
        cases = [F.batch_norm(case, None, None, self.weight, self.bias, training=True) for case in image.split(1)]
        return cases[0] if len(cases) == 1 else torch.cat(cases)


class _ConvNorm(nn.Sequential):
    """A convolution without a bias, which the norm behind it would take out again."""

    def __init__(self, spatial_dims: int, inputs: int, outputs: int, kernel: Axes, stride: Axes = 1) -> None:
        padding = kernel // 2 if isinstance(kernel, int) else [k // 2 for k in kernel]
        conv = Conv[Conv.CONV, spatial_dims](inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
        super().__init__(conv, _InstanceNorm(outputs))


class _Block(nn.Module):
    """Two convolutions and, where wanted, a way around them."""

    def __init__(
        self, spatial_dims: int, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int], residual: bool
    ) -> None:
        super().__init__()
        self.first = _ConvNorm(spatial_dims, inputs, outputs, kernel, stride)
        self.second = _ConvNorm(spatial_dims, outputs, outputs, kernel)
        self.around: nn.Module | None = None
        if residual:
            nn.init.zeros_(self.second.get_parameter("1.weight"))  # a block starts as the way around it
            pool = Pool[Pool.AVG, spatial_dims](tuple(stride)) if max(stride) > 1 else nn.Identity()
            fit = nn.Identity() if inputs == outputs else _ConvNorm(spatial_dims, inputs, outputs, 1)
            self.around = nn.Sequential(pool, fit)

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.second(F.leaky_relu(self.first(image), SLOPE))
        if self.around is not None:
            features = features + self.around(image)
        return F.leaky_relu(features, SLOPE)


class _Up(nn.Module):
    """Brings coarse features to the next finer stage and joins them with what that stage saw on the way down."""

    def __init__(self, spatial_dims: int, inputs: int, outputs: int, kernel: Sequence[int], stride: Axes) -> None:
        super().__init__()
        self.up = Conv[Conv.CONVTRANS, spatial_dims](inputs, outputs, stride, stride=stride, bias=False)
        self.join = _ConvNorm(spatial_dims, 2 * outputs, outputs, kernel)

    def forward(self, coarse: Tensor, seen: Tensor) -> Tensor:
        return F.leaky_relu(self.join(torch.cat([self.up(coarse), seen], dim=1)), SLOPE)


class UNet(nn.Module):
    """Residual stages down, transposed convolutions up: one logit for each class at every voxel.

    An image of a size that cannot be halved so often is padded with its border values, and the logits are cut back.

    Args:
        spatial_dims: 2 or 3.
        in_channels: Channels of the image.
        out_channels: Classes, background among them.
        widths: Channels of each stage, from the full resolution down.
        strides: What each stage after the first divides the size by: one number, or one for each axis.
        kernels: Kernel of each stage: one odd number, or one for each axis; 3 where none are given.
        depths: Blocks of each stage on the way down; 1 where none are given. The way up has one convolution a stage.
        deep_supervision: While training, answer with the logits of every stage but the coarsest.
        dropout: Share of channels dropped after each stage on the way down while training.
        residual: Whether blocks have a way around them.

    Shapes:
        ``(B, in_channels, *spatial)`` to ``(B, out_channels, *spatial)``; while training with deep supervision to a
        list of such logits from the full resolution down, an axis of n voxels having ``ceil(n / divisor)``.

    Raises:
        ValueError: Stages that are not described alike, or an image that shrinks to a single voxel.

    References:
        Isensee et al., 2021, doi:10.1038/s41592-020-01008-z
    """

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 2,
        widths: Sequence[int] = (16, 32, 64, 128),
        strides: Sequence[Axes] = (2, 2, 2),
        kernels: Sequence[Axes] | None = None,
        depths: Sequence[int] | None = None,
        deep_supervision: bool = False,
        dropout: float = 0.0,
        residual: bool = True,
    ) -> None:
        super().__init__()
        count = len(widths)
        steps = [(1,) * spatial_dims, *(_for_each_axis("stride", s, spatial_dims) for s in strides)]
        sizes = [_for_each_axis("kernel", k, spatial_dims) for k in (kernels or [3] * count)]
        depths = depths or [1] * count
        _check_stages(count, len(steps), sizes, depths)
        self.deep_supervision = deep_supervision
        self.divisors = [tuple(map(math.prod, zip(*steps[: stage + 1], strict=True))) for stage in range(count)]

        self.down = nn.ModuleList()
        inputs = in_channels
        for width, size, step, depth in zip(widths, sizes, steps, depths, strict=True):
            blocks = [_Block(spatial_dims, inputs, width, size, step, residual)]
            blocks += [_Block(spatial_dims, width, width, size, steps[0], residual) for _ in range(depth - 1)]
            self.down.append(nn.Sequential(*blocks, Dropout[Dropout.DROPOUT, spatial_dims](dropout)))
            inputs = width
        upwards = range(count - 2, -1, -1)
        self.up = nn.ModuleList(
            _Up(spatial_dims, widths[stage + 1], widths[stage], sizes[stage], steps[stage + 1]) for stage in upwards
        )
        heads = upwards if deep_supervision else [0]
        self.heads = nn.ModuleDict(
            {str(stage): Conv[Conv.CONV, spatial_dims](widths[stage], out_channels, 1) for stage in heads}
        )
        # Channels last is what convolutions are fastest in.
        layout = torch.channels_last if spatial_dims == 2 else torch.channels_last_3d
        self.to(memory_format=layout)  # type: ignore[call-overload]  # torch's stubs do not know it

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Images ``(B, in_channels, *spatial)`` to logits ``(B, out_channels, *spatial)``, or a list of them."""
        spatial = image.shape[2:]
        features = self._padded(image)
        seen: list[Tensor] = []
        for down in self.down:
            features = down(features)
            seen.append(features)
        logits: list[Tensor] = []
        every = self.training and self.deep_supervision
        for stage, up in zip(range(len(self.up) - 1, -1, -1), self.up, strict=True):
            features = up(features, seen[stage])
            if every or stage == 0:
                logits.insert(0, _cut(self.heads[str(stage)](features), spatial, self.divisors[stage]))
        return logits if every else logits[0]

    def _padded(self, image: Tensor) -> Tensor:
        spatial, divisor = image.shape[2:], self.divisors[-1]
        if image.ndim != len(divisor) + 2 or all(n <= d for n, d in zip(spatial, divisor, strict=True)):
            raise ValueError(
                f"the image is {tuple(image.shape)}; the net divides its {len(divisor)} axes by {divisor} and must be "
                f"left with more than one voxel: give (B, C, *spatial) with an axis of at least {min(divisor) + 1}"
            )
        short = [-n % d for n, d in zip(spatial, divisor, strict=True)]
        if not any(short):
            return image
        return F.pad(image, [p for amount in reversed(short) for p in (0, amount)], mode="replicate")


def _cut(logits: Tensor, spatial: Sequence[int], divisor: Sequence[int]) -> Tensor:
    for axis, (n, d) in enumerate(zip(spatial, divisor, strict=True), start=2):
        logits = logits.narrow(axis, 0, -(-n // d))
    return logits


def _for_each_axis(name: str, value: Axes, spatial_dims: int) -> tuple[int, ...]:
    values = (value,) * spatial_dims if isinstance(value, int) else tuple(value)
    if len(values) != spatial_dims or min(values) < 1:
        raise ValueError(f"a {name} is {value}; give one number of at least 1, or one for each of {spatial_dims} axes")
    return values


def _check_stages(count: int, steps: int, kernels: Sequence[Sequence[int]], depths: Sequence[int]) -> None:
    if count < 2 or not count == steps == len(kernels) == len(depths):
        raise ValueError(
            f"widths names {count} stages, strides {steps - 1}, kernels {len(kernels)} and depths {len(depths)}: give "
            "two widths or more, a kernel and a depth for each, and a stride for each after the first"
        )
    if any(k % 2 == 0 for kernel in kernels for k in kernel):
        raise ValueError(f"kernels are {kernels}; an even one would shift the image by half a voxel: give odd ones")
