"""The stages of a batch augmentation: functions of images ``(B, C, *spatial)`` and a number or row for each."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from medcnn.transforms.augment_grid import smooth_field


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


def low_resolution(image: Tensor, thickness: Tensor) -> Tensor:
    """As if scanned with larger pixels, ``thickness`` ``(B, d)`` of the given ones, and brought back to the grid.

    Every larger pixel is the mean over its extent, and values in between are linear: both at once are one small matrix
    an axis, whatever the thickness of each image. The extent of an image holds a whole number of larger pixels.
    """
    for axis, length in enumerate(image.shape[2:]):
        count = (length / thickness[:, axis]).round().clamp_(1, length)
        matrix = _fewer_and_back(length, count)
        moved = image.movedim(axis + 2, -1)
        # One product a image: rows of the image times the matrix transposed.
        image = torch.bmm(moved.flatten(1, -2), matrix.mT).view(moved.shape).movedim(-1, axis + 2)
    return image.contiguous()


def _fewer_and_back(length: int, count: Tensor) -> Tensor:
    """``(B, length, length)``: the means of ``count`` equal parts ``(B,)``, read linearly at every pixel."""
    pixel = torch.arange(length, device=count.device, dtype=count.dtype)
    part, extent = pixel[:, None], (length / count)[:, None, None]
    overlap = torch.minimum((part + 1) * extent, pixel + 1) - torch.maximum(part * extent, pixel)
    means = overlap.clamp_(min=0) / extent
    last = (count - 1)[:, None]
    place = ((pixel + 0.5) / extent[:, 0] - 0.5).clamp_(min=0).minimum(last)
    # A part beyond the last is never near a place.
    return (1 - (place[:, :, None] - pixel).abs()).clamp_(min=0) @ means


def bias_field(image: Tensor, log_bias: Tensor) -> Tensor:
    """Times a smooth factor, the same for all channels; ``log_bias`` ``(B, 1, *points)`` controls its logarithm."""
    return image * smooth_field(log_bias, image.shape[2:]).exp_()


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
