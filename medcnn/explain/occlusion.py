"""Occlusion as a second opinion: how far the answer drops when a part of the image is hidden."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import product
from typing import Literal

import torch
from monai.networks.layers import GaussianFilter
from torch import Tensor, nn

from medcnn.explain.grad_cam import undisturbed

Answer = Callable[[Tensor], Tensor]
Fill = Literal["mean", "gray", "blurred"]


def occlusion_maps(
    answer: Answer,
    images: Tensor,
    index: Tensor,
    patch: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    fill: Fill = "mean",
    batch: int = 64,
) -> Tensor:
    """How far the answer for a class drops when each part of an image is hidden, in two or three dimensions.

    A window moves over the image and is filled; every pixel gets the mean drop of the windows that covered it. No
    gradient is taken and no layer chosen, so the map shares none of Grad-CAM's assumptions. A net is run in evaluation
    mode and left as it was.

    Args:
        answer: Images ``(B, C, *spatial)`` to logits or probabilities ``(B, K)``: a net, or any function. Probabilities
            near 1 hardly move; logits do.
        images: Images, on the device of the net.
        index: Class of interest for each image, int64 ``(B,)``.
        patch: Side of the window in pixels, one or one an axis.
        stride: Pixels between windows; half of the window where not given. The last window ends at the border.
        fill: ``mean`` of the image by channel, ``gray`` halfway between its least and greatest value, or the image
            itself ``blurred`` by half the window.
        batch: Hidden copies answered at a time.

    Returns:
        Drops float32 ``(B, *spatial)`` on the device of the images; negative where hiding speaks for the class.

    Raises:
        ValueError: If the window does not fit into the image, or a stride leaves pixels out.

    References:
        Zeiler and Fergus, 2013, arXiv:1311.2901
    """
    spatial = tuple(images.shape[2:])
    sides = _each(patch, len(spatial))
    steps = tuple(max(1, side // 2) for side in sides) if stride is None else _each(stride, len(spatial))
    if any(not 0 < side <= size for side, size in zip(sides, spatial, strict=True)):
        raise ValueError(f"a window of {sides} pixels does not fit into an image of {spatial}")
    if any(not 0 < step <= side for step, side in zip(steps, sides, strict=True)):
        raise ValueError(f"a stride of {steps} leaves pixels between windows of {sides}; give 1 to the window")
    windows = list(_windows(spatial, sides, steps))
    images = images.detach().as_subclass(Tensor)
    with undisturbed(answer) if isinstance(answer, nn.Module) else nullcontext(), torch.no_grad():
        whole = answer(images.clone()).gather(1, index.to(images.device)[:, None])[:, 0]
        covers = _covers(images, sides, fill)
        maps = [
            _drops(answer, image, cover, int(k), float(score), windows, batch)
            for image, cover, k, score in zip(images, covers, index.tolist(), whole.tolist(), strict=True)
        ]
    return torch.stack(maps)


def occlusion_window(spatial: Sequence[int]) -> int:
    """A window large enough to hide a lesion: an eighth of the shorter side of a film, a quarter of that of a volume.

    With half of it as a stride that is about 200 answers a film and 350 a volume; smaller windows in a volume would be
    thousands.
    """
    return max(1, min(spatial) // (8 if len(spatial) == 2 else 4))


def _drops(
    answer: Answer,
    image: Tensor,
    cover: Tensor,
    k: int,
    whole: float,
    windows: list[tuple[slice, ...]],
    batch: int,
) -> Tensor:
    """The mean drop ``(*spatial)`` over the windows on each pixel of one image ``(C, *spatial)``."""
    total = torch.zeros(image.shape[1:], dtype=torch.float64, device=image.device)
    count = torch.zeros_like(total)
    for start in range(0, len(windows), batch):
        chunk = windows[start : start + batch]
        hidden = image.expand(len(chunk), *image.shape).clone()
        for one, window in zip(hidden, chunk, strict=True):
            one[(slice(None), *window)] = cover[(slice(None), *window)]
        for window, score in zip(chunk, answer(hidden)[:, k].tolist(), strict=True):
            total[window] += whole - score
            count[window] += 1
    return (total / count).float()


def _covers(images: Tensor, sides: Sequence[int], fill: Fill) -> Tensor:
    """What hidden parts show, ``(B, C, *spatial)``."""
    axes = tuple(range(2, images.ndim))
    if fill == "blurred":
        blur = GaussianFilter(len(axes), [side / 2 for side in sides]).to(images.device)
        blurred: Tensor = blur(images.float()).to(images.dtype)
        return blurred
    if fill == "gray":
        return ((images.amin(axes, keepdim=True) + images.amax(axes, keepdim=True)) / 2).expand_as(images)
    if fill == "mean":
        return images.mean(axes, keepdim=True).expand_as(images)
    raise ValueError(f"fill is {fill!r}; expected mean, gray or blurred")


def _windows(spatial: Sequence[int], sides: Sequence[int], steps: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    starts = [
        sorted({*range(0, size - side + 1, step), size - side})
        for size, side, step in zip(spatial, sides, steps, strict=True)
    ]
    for corner in product(*starts):
        yield tuple(slice(start, start + side) for start, side in zip(corner, sides, strict=True))


def _each(value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    values = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(values) != dims:
        raise ValueError(f"expected one number or {dims}, found {values}")
    return values
