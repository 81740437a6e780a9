"""What chance decides about a batch of images, apart from doing it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

Range = tuple[float, float]
#: Control points of a cubic spline beyond one for each cell.
BEYOND = 3


@dataclass(frozen=True)
class Draw:
    """What chance decided for each of ``B`` images with ``d`` spatial axes, on the CPU; neutral values change nothing.

    Attributes:
        rotation: Degrees for each plane ``(B, d(d-1)/2)``; planes as in ``combinations(range(d), 2)``.
        shear: Degrees for each plane, same shape.
        scale: Factor for each axis ``(B, d)``, with crop and mirroring in it.
        shift: Fraction of the size for each axis ``(B, d)``.
        blur_sigma: Pixels ``(B,)``.
        gamma: Exponent ``(B,)``.
        contrast: Factor about the image's mean ``(B,)``.
        brightness: Offset ``(B,)``.
        noise_std: Standard deviation ``(B,)``.
        noise_seed: int64 ``(B,)``.
        erase_center: Fraction of the size for each axis ``(B, d)``.
        erase_extent: Fraction of the size for each axis ``(B, d)``; 0 erases nothing.
        thickness: How many pixels become one along each axis ``(B, d)``; 1 keeps the resolution.
        displacement: Control points of a smooth field, fraction of the size for each axis ``(B, d, *points)``.
        log_bias: Control points of the logarithm of a smooth factor ``(B, 1, *points)``.
    """

    rotation: Tensor
    shear: Tensor
    scale: Tensor
    shift: Tensor
    blur_sigma: Tensor
    gamma: Tensor
    contrast: Tensor
    brightness: Tensor
    noise_std: Tensor
    noise_seed: Tensor
    erase_center: Tensor
    erase_extent: Tensor
    thickness: Tensor
    displacement: Tensor
    log_bias: Tensor

    @classmethod
    def neutral(cls, batch_size: int, spatial_dims: int) -> "Draw":
        """A draw that leaves every image as it is."""
        planes = torch.zeros(batch_size, spatial_dims * (spatial_dims - 1) // 2, dtype=torch.float64)
        axes = torch.zeros(batch_size, spatial_dims, dtype=torch.float64)
        zero = torch.zeros(batch_size)
        points = torch.zeros(batch_size, spatial_dims, *[1 + BEYOND] * spatial_dims, dtype=torch.float64)
        return cls(
            planes, planes, axes + 1, axes, zero, zero + 1, zero + 1, zero, zero, zero.long(), axes, axes,
            axes + 1, points, points[:, :1],
        )  # fmt: skip

    def __getitem__(self, index: slice | Tensor) -> "Draw":
        """The draw of some of the images."""
        return Draw(**{name: values[index] for name, values in vars(self).items()})

    @property
    def resampled(self) -> Tensor:
        """Which images are read at places between their pixels, bool ``(B,)``."""
        turned = self.rotation.any(1) | self.shear.any(1) | self.displacement.flatten(1).any(1)
        return turned | self.shift.any(1) | (self.scale.abs() != 1).any(1)

    @property
    def mirrored(self) -> Tensor:
        """Which images are mirrored along which axis and not moved otherwise, bool ``(B, d)``."""
        return (self.scale < 0) & ~self.resampled[:, None]


class Chance:
    """Columns of chance for a batch, from one generator."""

    def __init__(self, batch_size: int, generator: torch.Generator) -> None:
        self.batch_size, self.generator = batch_size, generator

    def between(self, least: float, largest: float, *columns: int) -> Tensor:
        """Uniform ``(B, *columns)``, float64: the matrices are built on the CPU, where it costs nothing."""
        uniform = torch.rand(self.batch_size, *columns, generator=self.generator, dtype=torch.float64)
        return uniform * (largest - least) + least

    def factor(self, bounds: Range) -> Tensor:
        """``(B, 1)`` uniform in the logarithm: halving is as likely as doubling."""
        return self.between(math.log(bounds[0]), math.log(bounds[1]), 1).exp()

    def happens(self, probability: float, columns: int = 1) -> Tensor:
        """Bool ``(B, columns)``."""
        return self.between(0, 1, columns) < probability

    def sometimes(self, probability: float, least: float, largest: float) -> Tensor:
        """Uniform ``(B,)`` for a share of the images, 0 for the rest."""
        return (self.happens(probability) * self.between(least, largest, 1)).flatten()

    def control_points(self, amount: Tensor, channels: int, cells: int, spatial_dims: int) -> Tensor:
        """Uniform between ``-amount`` and ``amount`` ``(B,)`` of each image: ``(B, channels, *points)``."""
        # Where no image has any, nothing is drawn and the least field stands for nothing.
        points = [(cells if amount.any() else 1) + BEYOND] * spatial_dims
        if not amount.any():
            return torch.zeros(self.batch_size, channels, *points, dtype=torch.float64)
        return amount.view(-1, *[1] * (1 + spatial_dims)) * self.between(-1, 1, channels, *points)
