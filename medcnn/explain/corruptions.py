"""Images made worse by what happens to images: noise, blur, contrast, tone, shading, rotation, coarser pixels."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

STRENGTHS = (1, 2, 3, 4, 5)
INTERPOLATION = {2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class Corruption:
    """One way for an image to get worse.

    Attributes:
        amounts: For strengths 1 to 5.
        unit: What an amount counts.
        apply: Images, an amount and a generator for each image to images.
        keeps_place: Whether what was drawn on the image still fits it.
        volumes_only: Whether it is a fault of volumes alone.
    """

    amounts: tuple[float, ...]
    unit: str
    apply: Callable[[Tensor, float, Sequence[torch.Generator]], Tensor]
    keeps_place: bool = True
    volumes_only: bool = False


def corrupted(images: Tensor, name: str, strength: int, seed: int = 0, first: int = 0) -> Tensor:
    """Images made worse; each by its own chance, whatever batch it is in.

    Args:
        images: Prepared images ``(B, C, *spatial)``; their range is kept in mind, not assumed.
        name: One of ``CORRUPTIONS``.
        strength: 1 to 5.
        seed: The same seed gives the same images.
        first: Number of the first case of this batch.

    Returns:
        The same shape; the input is untouched.

    Raises:
        ValueError: If there is no such corruption, or not for these images.
    """
    kind = CORRUPTIONS.get(name)
    if kind is None or strength not in STRENGTHS or (kind.volumes_only and images.ndim != 5):
        raise ValueError(f"{name!r} at strength {strength} for images {tuple(images.shape)}: give one of "
                         f"{', '.join(CORRUPTIONS)} at 1 to 5; bias_field is for volumes")  # fmt: skip
    draws = [torch.Generator().manual_seed(seed * 1_000_003 + first + place) for place in range(len(images))]
    return kind.apply(images.as_subclass(Tensor), kind.amounts[strength - 1], draws)


def fitting(axes: int) -> list[str]:
    """Names of the corruptions for images of so many axes."""
    return [name for name, kind in CORRUPTIONS.items() if axes == 3 or not kind.volumes_only]


def _like(image: Tensor, values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).to(image)


def _wide(values: Tensor, images: Tensor) -> Tensor:
    return values.view(-1, *[1] * (images.ndim - 1))


def _noise(images: Tensor, amount: float, draws: Sequence[torch.Generator]) -> Tensor:
    drawn = _like(images, [torch.randn(images.shape[1:], generator=draw) for draw in draws])
    return images + amount * _wide(images.flatten(1).std(1), images) * drawn


def _blur(images: Tensor, amount: float, _: Sequence[torch.Generator]) -> Tensor:
    reach = math.ceil(3 * amount)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / amount) ** 2).to(images)
    out = images
    for axis in range(2, images.ndim):
        moved = out.movedim(axis, -1)
        rows = F.pad(moved.reshape(-1, 1, moved.shape[-1]), (reach, reach), mode="replicate")
        out = F.conv1d(rows, (taps / taps.sum())[None, None]).view(moved.shape).movedim(-1, axis)
    return out.contiguous()


def _contrast(images: Tensor, amount: float, _: Sequence[torch.Generator]) -> Tensor:
    mean = _wide(images.flatten(1).mean(1), images)
    return mean + amount * (images - mean)


def _gamma(images: Tensor, amount: float, draws: Sequence[torch.Generator]) -> Tensor:
    low, high = (_wide(ends(images.flatten(1), 1), images) for ends in (torch.amin, torch.amax))
    width = (high - low).clamp(min=1e-12)
    # Too dark or too bright, by the toss of a coin.
    tossed = [amount if torch.rand((), generator=draw) < 0.5 else 1 / amount for draw in draws]
    return low + width * ((images - low) / width) ** _wide(torch.tensor(tossed).to(images), images)


def _rotation(images: Tensor, amount: float, draws: Sequence[torch.Generator]) -> Tensor:
    tossed = [1.0 if torch.rand((), generator=draw) < 0.5 else -1.0 for draw in draws]
    angle = torch.tensor(tossed) * math.radians(amount)
    axes, (rows, columns) = images.ndim - 2, images.shape[-2:]
    matrix = torch.eye(axes, axes + 1).repeat(len(images), 1, 1)
    # The grid's unit is half a side: an oblong image needs the ratio of its sides. x comes first, then y.
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 0, 1], matrix[:, 1, 0] = -angle.sin() * rows / columns, angle.sin() * columns / rows
    grid = F.affine_grid(matrix.to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _coarser(images: Tensor, amount: float, _: Sequence[torch.Generator]) -> Tensor:
    size = [max(1, round(n / amount)) for n in images.shape[2:]]
    fewer = F.interpolate(images, size=size, mode="area")
    return F.interpolate(fewer, size=images.shape[2:], mode=INTERPOLATION[images.ndim - 2], align_corners=False)


def _bias(images: Tensor, amount: float, draws: Sequence[torch.Generator]) -> Tensor:
    points = _like(images, [torch.rand(1, 3, 3, 3, generator=draw) * 2 - 1 for draw in draws])
    field = F.interpolate(points, size=images.shape[2:], mode="trilinear", align_corners=True)
    low = _wide(images.flatten(1).amin(1), images)
    # The field multiplies what is above the darkest value: prepared images may be centered on 0.
    return low + (images - low) * torch.exp(amount * field)


#: Name to what is done. Amounts are relative to each image, so that they mean the same after any preparation.
CORRUPTIONS: dict[str, Corruption] = {
    "noise": Corruption((0.05, 0.1, 0.2, 0.4, 0.8), "standard deviations of the image", _noise),
    "blur": Corruption((0.5, 1, 1.5, 2, 3), "pixels (sigma)", _blur),
    "contrast": Corruption((0.9, 0.75, 0.6, 0.45, 0.3), "of the contrast left", _contrast),
    "gamma": Corruption((1.1, 1.25, 1.5, 2, 3), "exponent, or one over it", _gamma),
    "rotation": Corruption((3, 6, 10, 15, 25), "degrees either way, in the plane of the last axes", _rotation, False),
    "downsampling": Corruption((1.25, 1.5, 2, 3, 4), "times coarser pixels", _coarser),
    "bias_field": Corruption((0.1, 0.2, 0.3, 0.5, 0.8), "logarithm of the greatest factor", _bias, True, True),
}
