"""The shape of a U-Net from the images it is for: pure arithmetic, in the manner of nnU-Net.

The patch starts as large as the median image, and no larger than 256 voxels cubed (2048 squared) in proportions that
make it a cube in millimeters. It is cut back along the axis on which it covers most of the image until a training step
with two patches fits the memory. Depth and kernels follow from the patch and the spacing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

#: Voxels that an axis keeps at the coarsest stage.
LEAST = 4
#: Axes with a spacing less than this times the finest are of one kind: they are halved and convolved together.
ALIKE = 2.0
_LARGEST = {2: 2048**2, 3: 256**3}
_WIDEST = {2: 512, 3: 320}
#: Share of all training voxels that one batch may hold.
_SHARE = 0.05

Stages = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Plan:
    """What a U-Net and its patches should look like.

    Attributes:
        channels: Channels of the image.
        classes: Classes, the background among them.
        patch_size: Voxels along each axis; the strides divide it without a remainder.
        widths: Channels of each stage.
        strides: Of each stage after the first, along each axis.
        kernels: Of each stage, along each axis.
        batch_size: Patches in a batch.
    """

    channels: int
    classes: int
    patch_size: tuple[int, ...]
    widths: tuple[int, ...]
    strides: Stages
    kernels: Stages
    batch_size: int = 2

    def parameters(self) -> int:
        """Weights of the net, but for norms and heads, which are few."""
        w, total = (self.channels, *self.widths), 0
        for stage, kernel in enumerate(map(math.prod, self.kernels)):
            total += w[stage + 1] * (kernel * (w[stage] + w[stage + 1]) + w[stage])
        for stage, stride in enumerate(map(math.prod, self.strides), start=1):
            total += w[stage] * (w[stage + 1] * stride + 2 * w[stage] * math.prod(self.kernels[stage - 1]))
        return total

    def memory_gb(self, bytes_a_value: int = 2) -> float:
        """What a training step takes, in 10^9 bytes: estimated, good to a third or so.

        Of a voxel at a stage of width w, twelve values for each channel are kept for the way back: seven in the
        residual block on the way down, five in the convolution on the way up. At full resolution come the logits, what
        the losses make of them and its gradients (40 bytes a class), and the gradients in flight (four times w). Each
        weight takes 16 bytes: itself, its gradient, and two moments of Adam. Peaks measured on a CPU were 0.9 to 1.4
        times this.

        Args:
            bytes_a_value: 2 under half precision, 4 without.
        """
        voxels, values = math.prod(self.patch_size), 0.0
        for stage, width in enumerate(self.widths):
            values += (12 if stage < len(self.strides) else 7) * width * voxels
            if stage < len(self.strides):
                voxels //= math.prod(self.strides[stage])
        full = math.prod(self.patch_size)
        patch = bytes_a_value * (values + 4 * self.widths[0] * full) + 40 * self.classes * full
        return (self.batch_size * patch + 16 * self.parameters()) / 1e9

    def net(self, deep_supervision: bool = True) -> dict[str, Any]:
        """The net as plain data for a configuration."""
        return {
            "class_path": "medcnn.nets.unet.UNet",
            "init_args": {
                "spatial_dims": len(self.patch_size),
                "in_channels": self.channels,
                "out_channels": self.classes,
                "widths": list(self.widths),
                "strides": [list(stride) for stride in self.strides],
                "kernels": [list(kernel) for kernel in self.kernels],
                "deep_supervision": deep_supervision,
            },
        }


def plan_unet(
    spacing_mm: Sequence[float],
    size: Sequence[int],
    channels: int,
    classes: int,
    memory_gb: float = 8.0,
    cases: int | None = None,
    width: int = 32,
    bytes_a_value: int = 2,
) -> Plan:
    """Plan for images as they are after resampling.

    Args:
        spacing_mm: Size of a voxel along each of two or three axes.
        size: Median number of voxels along each axis.
        channels: Channels of the image.
        classes: Classes, the background among them.
        memory_gb: What a training step may take by ``Plan.memory_gb``.
        cases: Training cases: a batch then holds at most 5 % of their voxels (and at least two patches).
        width: Channels of the first stage; each further has twice as many, up to 320 (512 in two dimensions).
        bytes_a_value: 2 under half precision, 4 without.

    Raises:
        ValueError: The arguments do not describe an image, or no patch fits the memory.

    References:
        Isensee et al., 2021, doi:10.1038/s41592-020-01008-z
    """
    _check(spacing_mm, size, channels, classes, width)
    patch = _first_patch(spacing_mm, size)
    while True:
        strides, kernels = halvings(patch, spacing_mm)
        if not strides:
            raise ValueError(
                f"no patch of images of {tuple(size)} voxels can be halved and fits {memory_gb} GB: allow more memory, "
                f"fewer channels at the first stage than {width}, or images of at least {3 * LEAST} voxels"
            )
        divisors = [math.prod(axis) for axis in zip(*strides, strict=True)]
        patch = [-(-n // d) * d for n, d in zip(patch, divisors, strict=True)]
        widths = tuple(min(width << stage, _WIDEST[len(patch)]) for stage in range(len(kernels)))
        plan = Plan(channels, classes, tuple(patch), widths, strides, kernels)
        if plan.memory_gb(bytes_a_value) <= memory_gb:
            break
        # The axis of which most is seen loses least by seeing less.
        axis = max(range(len(patch)), key=lambda a: (patch[a] > divisors[a], patch[a] / size[a]))
        patch[axis] -= divisors[axis]
    return replace(plan, batch_size=_batch_size(plan, memory_gb, bytes_a_value, cases, size))


def halvings(patch_size: Sequence[int], spacing_mm: Sequence[float]) -> tuple[Stages, Stages]:
    """Strides of each stage after the first and kernels of each stage, along each axis.

    An axis is halved while at least ``2 * LEAST`` voxels are left and its spacing is less than ``ALIKE`` times the
    finest among the axes that can be. Its kernel is 1 until its spacing is less than ``ALIKE`` times the finest of all,
    and 3 from there on and at the coarsest stage.
    """
    size, spacing = list(patch_size), list(spacing_mm)
    kernel = [1] * len(size)
    strides: list[tuple[int, ...]] = []
    kernels: list[tuple[int, ...]] = []
    while True:
        kernel = [3 if k == 3 or s < ALIKE * min(spacing) else 1 for k, s in zip(kernel, spacing, strict=True)]
        able = [axis for axis, n in enumerate(size) if n >= 2 * LEAST]
        able = [axis for axis in able if spacing[axis] < ALIKE * min(spacing[a] for a in able)]
        # A single axis is not halved to the very last.
        if not able or (len(able) == 1 and size[able[0]] < 3 * LEAST):
            return tuple(strides), (*kernels, (3,) * len(size))
        kernels.append(tuple(kernel))
        strides.append(tuple(2 if axis in able else 1 for axis in range(len(size))))
        size = [-(-n // step) for n, step in zip(size, strides[-1], strict=True)]
        spacing = [mm * step for mm, step in zip(spacing, strides[-1], strict=True)]


def _first_patch(spacing_mm: Sequence[float], size: Sequence[int]) -> list[int]:
    """As large as the image, and no larger than a cube in millimeters of the largest number of voxels."""
    axes = len(size)
    edge_mm = (_LARGEST[axes] * math.prod(spacing_mm)) ** (1 / axes)
    return [min(n, max(1, round(edge_mm / mm))) for n, mm in zip(size, spacing_mm, strict=True)]


def _batch_size(plan: Plan, memory_gb: float, bytes_a_value: int, cases: int | None, size: Sequence[int]) -> int:
    none, two = (replace(plan, batch_size=n).memory_gb(bytes_a_value) for n in (0, 2))
    batch = int((memory_gb - none) / ((two - none) / 2))
    if cases is not None:
        batch = min(batch, round(_SHARE * cases * math.prod(size) / math.prod(plan.patch_size)))
    return max(2, batch)


def _check(spacing_mm: Sequence[float], size: Sequence[int], channels: int, classes: int, width: int) -> None:
    if len(size) not in _LARGEST or len(spacing_mm) != len(size):
        raise ValueError(f"size {tuple(size)} and spacing {tuple(spacing_mm)}: give both for two axes, or for three")
    if min(size) < 1 or not all(mm > 0 and math.isfinite(mm) for mm in spacing_mm):
        raise ValueError(f"size {tuple(size)} and spacing {tuple(spacing_mm)} mm must be above 0")
    if min(channels, classes, width) < 1:
        raise ValueError(f"channels {channels}, classes {classes} and width {width} must be at least 1")
