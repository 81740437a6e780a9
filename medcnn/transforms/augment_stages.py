"""The stages of a batch augmentation: functions of images ``(B, C, *spatial)`` and a number or row for each."""

import math
from collections.abc import Callable
from itertools import combinations
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Mode = Literal["bilinear", "nearest"]
Padding = Literal["border", "zeros"]


def on_chosen(image: Tensor, chosen: Tensor, stage: Callable[..., Tensor], *per_image: Tensor) -> Tensor:
    """``stage(image, *per_image)`` for the chosen images; the others keep every bit.

    Written into ``image`` unless all are chosen: the caller owns it.

    Args:
        image: Images ``(B, C, *spatial)``.
        chosen: Which images, bool ``(B,)`` on the CPU, so that choosing never waits for a device.
        stage: A function of images and of their rows of ``per_image``.
        per_image: Tensors ``(B, ...)`` on the CPU; floating ones take the dtype of the image.
    """
    index = chosen.nonzero().flatten()
    if not len(index):
        return image
    rows = [_like(values[index], image) for values in per_image]
    if len(index) == len(image):
        return stage(image, *rows)
    index = index.to(image.device)
    return image.index_copy_(0, index, stage(image.index_select(0, index), *rows))


def _like(values: Tensor, image: Tensor) -> Tensor:
    return values.to(device=image.device, dtype=image.dtype if values.is_floating_point() else values.dtype)


def _per_image(values: Tensor, image: Tensor) -> Tensor:
    """``(B,)`` as ``(B, 1, ..., 1)``."""
    return values.view(-1, *[1] * (image.ndim - 1))


def sampling_matrix(size: tuple[int, ...], rotation: Tensor, shear: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Where each output position is read, as :func:`torch.nn.functional.affine_grid` defines it.

    The image is sheared, rotated and scaled about its center, then shifted. Angles are those of the pixel grid, so a
    rotation keeps distances on an image that is not square; unequal voxel spacings are not known here.

    Args:
        size: Spatial size of the image, ``d`` numbers.
        rotation: Degrees for each plane ``(B, d(d-1)/2)``, in the order of ``combinations(range(d), 2)`` and in the
            direction of ``torch.rot90`` with these axes.
        shear: Degrees for each plane, same shape: the first axis moves with the second.
        scale: Factor for each axis ``(B, d)``; negative mirrors it.
        shift: Fraction of the size for each axis ``(B, d)``.

    Returns:
        Matrices ``(B, d, d + 1)``, last axis first.
    """
    axes = len(size)
    linear = torch.diag_embed(scale)
    for plane, (first, second) in enumerate(combinations(range(axes), 2)):
        slant = torch.eye(axes, dtype=scale.dtype).repeat(len(scale), 1, 1)
        slant[:, first, second] = shear[:, plane].deg2rad().tan()
        angle = rotation[:, plane].deg2rad()
        turn = torch.eye(axes, dtype=scale.dtype).repeat(len(scale), 1, 1)
        turn[:, first, first] = turn[:, second, second] = angle.cos()
        turn[:, second, first] = angle.sin()
        turn[:, first, second] = -angle.sin()
        linear = turn @ slant @ linear
    half = torch.tensor(size, dtype=scale.dtype) / 2
    inverse = torch.linalg.inv(linear) * half / half[:, None]  # pixels to the [-1, 1] of each axis
    offset = inverse @ (-2 * shift)[..., None]
    return torch.cat([inverse.flip(1, 2), offset.flip(1)], dim=2)


def resample(image: Tensor, matrix: Tensor, mode: Mode, padding: Padding) -> Tensor:
    """Read ``image`` once at the positions of ``matrix`` ``(B, d, d + 1)``."""
    axes = image.ndim - 2
    # Every axis adds its own share to the position: sums of small tensors, coordinates before pixels so that rows are
    # contiguous. affine_grid multiplies a matrix with a 3-vector at every pixel and takes longer than the reading.
    grid = matrix[..., -1].view(len(image), axes, *[1] * axes)
    for axis, length in enumerate(image.shape[2:]):
        position = (2 * torch.arange(length, device=image.device, dtype=matrix.dtype) + 1) / length - 1
        share = matrix[..., axes - 1 - axis, None] * position
        grid = grid + share.view(len(image), axes, *[length if a == axis else 1 for a in range(axes)])
    return F.grid_sample(image, grid.movedim(1, -1), mode=mode, padding_mode=padding, align_corners=False)


def blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur, one ``sigma`` above 0 in pixels for each image ``(B,)``, cut at 3 sigma, borders repeated.

    Shifted sums rather than a grouped convolution: every image has its own kernel, and this runs in 2-D and 3-D alike.
    """
    reach = (3 * sigma[:, None]).ceil()
    offsets = torch.arange(int(reach.max()) + 1, device=image.device, dtype=sigma.dtype)
    # Cut by each image's own reach, or an image would depend on the strongest blur in its batch.
    weights = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2) * (offsets <= reach)
    weights = weights / (2 * weights.sum(1, keepdim=True) - weights[:, :1])
    taps = [_per_image(weight, image) for weight in weights.unbind(1)]
    radius = len(taps) - 1
    for axis in range(2, image.ndim):
        length = image.shape[axis]
        pad = [0, 0] * (image.ndim - 1 - axis) + [radius, radius] + [0, 0] * (axis - 2)
        wide = F.pad(image, pad, mode="replicate")
        image = image * taps[0]
        for step in range(1, radius + 1):
            both = wide.narrow(axis, radius - step, length) + wide.narrow(axis, radius + step, length)
            image = image.addcmul_(both, taps[step])
    return image


def gamma(image: Tensor, exponent: Tensor) -> Tensor:
    """``image ** exponent`` for each image ``(B,)``; below zero the sign is kept, so that nothing becomes NaN."""
    # exp(log) takes half the time of pow on a CPU.
    return image.abs().log_().mul_(_per_image(exponent, image)).exp_().copysign_(image)


def contrast(image: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
    """Contrast by ``factor`` about each image's mean, then brightness by ``offset``; both ``(B,)``."""
    factor, offset = _per_image(factor, image), _per_image(offset, image)
    mean = image.flatten(1).mean(1).view_as(factor)
    return torch.addcmul(mean * (1 - factor) + offset, image, factor)


def noise(image: Tensor, std: Tensor, seed: Tensor) -> Tensor:
    """Add normal noise of each image's ``std`` ``(B,)``, a function of its ``seed`` and the position alone.

    A hash of the position instead of a generator: every device, and a batch of any size, gives an image the same noise.

    Args:
        image: Images ``(B, C, *spatial)``.
        std: Standard deviation ``(B,)``.
        seed: Whole numbers in ``[0, 2**32)``, int64 ``(B,)``.
    """
    count = image[0].numel()
    half = (count + 1) // 2
    bits = _hash(torch.arange(half, device=image.device) ^ seed[:, None])
    # Box and Muller: 16 bits give the radius (up to 4.9 standard deviations), 16 the angle.
    radius = bits.bitwise_right_shift(16).float().add_(0.5).mul_(2.0**-16).log_().mul_(-2).sqrt_()
    radius *= std[:, None]
    angle = bits.bitwise_and_(0xFFFF).float().mul_(2 * math.pi / 2**16)
    normal = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :count]
    return image + normal.view(image.shape)


def _hash(value: Tensor) -> Tensor:
    """Mix 32 bits in int64; the multipliers stay below 2**31, so that no product overflows on any device."""
    value = (value ^ (value >> 16)).mul_(0x21F0AAAD).bitwise_and_(0xFFFFFFFF)
    value = (value ^ (value >> 15)).mul_(0x735A2D97).bitwise_and_(0xFFFFFFFF)
    return value ^ (value >> 15)


def erase(image: Tensor, center: Tensor, extent: Tensor) -> Tensor:
    """Fill a box of each image with its mean; ``center`` and ``extent`` are fractions of the size ``(B, d)``."""
    inside = torch.ones([len(image), *[1] * (image.ndim - 1)], dtype=torch.bool, device=image.device)
    for axis, length in enumerate(image.shape[2:]):
        position = (torch.arange(length, device=image.device) + 0.5) / length
        within = (position - center[:, axis, None]).abs() <= extent[:, axis, None] / 2
        inside = inside & within.view(len(image), *[length if a == axis + 2 else 1 for a in range(1, image.ndim)])
    mean = image.flatten(1).mean(1)
    return torch.where(inside, _per_image(mean, image), image)
