"""What single units answer to: first-layer filters, feature maps, and the patches that excite a unit most."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from medcnn.explain.grad_cam import undisturbed


class Strongest(NamedTuple):
    """The patches of a stream of images that excite a unit most, the strongest first; one an image at most.

    Attributes:
        patches: ``(n, C, *size)``, cut around the maximum and moved inside where the image ends.
        values: What the unit answered, float32 ``(n,)``.
        cases: Number of the image in the stream, from 0, int64 ``(n,)``.
        corners: First index of each patch in its image, int64 ``(n, dims)``.
    """

    patches: Tensor
    values: Tensor
    cases: Tensor
    corners: Tensor


def feature_maps(net: nn.Module, layer: str, images: Tensor) -> Tensor:
    """What a layer gives for images: ``(B, units, *layer_spatial)``, float32. The net is left as it was.

    Args:
        net: Takes images ``(B, C, *spatial)``; run in evaluation mode.
        layer: Its name, as in ``net.named_modules()``.
        images: Images, on the device of the net.

    Raises:
        ValueError: If the net has no such layer, or the layer took no part or gives no maps.
    """
    module = _layer(net, layer)
    outputs: list[Any] = []
    with undisturbed(net) as stack:
        # A copy: the next layer may write into it, as an in-place ReLU does.
        stack.callback(module.register_forward_hook(lambda *call: outputs.append(_copied(call[2]))).remove)
        net(images.detach().as_subclass(Tensor).clone())
    if not outputs:
        raise ValueError(f"{layer} took no part in the answer; give a layer that the net runs through")
    found = outputs[-1]
    if not isinstance(found, Tensor) or found.ndim != images.ndim:
        raise ValueError(f"{layer} gives no maps of positions; give a layer such as {_an_example(net)}")
    return found.float()


def first_filters(net: nn.Module) -> Tensor:
    """The weights of the first convolution ``(filters, C, *kernel)``, a copy in float32 on the CPU.

    Raises:
        ValueError: If the net has no convolution.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            return module.weight.detach().float().cpu().clone().contiguous()
    raise ValueError(f"{type(net).__name__} has no convolution in two or three dimensions, so no filters to show")


def strongest_patches(
    net: nn.Module, layer: str, unit: int, batches: Iterable[Tensor], n: int = 9, size: int | None = None
) -> Strongest:
    """The patches that excite a unit most over a stream of batches; only the best n are kept at any time.

    Args:
        net: Takes images ``(B, C, *spatial)``; run in evaluation mode and left as it was.
        layer: Name of a layer with outputs ``(B, units, *layer_spatial)``.
        unit: Which of its units.
        batches: Images ``(B, C, *spatial)``, on the device of the net.
        n: Patches to keep.
        size: Side of a patch in pixels; a quarter of the image's shorter side where not given. What a unit can see at
            most, its receptive field, is often the whole image and would show nothing.

    Returns:
        Fewer than ``n`` where the stream is shorter; on the CPU.

    Raises:
        ValueError: If the stream is empty, or layer or unit do not exist.

    References:
        Zeiler and Fergus, 2013, arXiv:1311.2901
    """
    best: Strongest | None = None
    seen = 0
    for images in batches:
        maps = feature_maps(net, layer, images)
        if not 0 <= unit < maps.shape[1]:
            raise ValueError(f"{layer} has units 0 to {maps.shape[1] - 1}, found {unit}")
        fresh = _best_of(images.detach().as_subclass(Tensor), maps[:, unit], seen, n, size)
        best = fresh if best is None else _merged(best, fresh, n)
        seen += len(images)
    if best is None:
        raise ValueError("the stream holds no images; give at least one batch")
    return best


def _best_of(images: Tensor, maps: Tensor, first: int, n: int, size: int | None) -> Strongest:
    values, flat = maps.flatten(1).max(1)
    values, order = values.cpu().sort(descending=True, stable=True)
    order, values = order[:n], values[:n]
    spatial, of_layer = torch.tensor(images.shape[2:]), torch.tensor(maps.shape[1:])
    index = torch.stack(torch.unravel_index(flat.cpu()[order], maps.shape[1:]), dim=1)
    side = torch.minimum(torch.tensor(size or max(1, min(images.shape[2:]) // 4)), spatial)
    center = (index + 0.5) * spatial / of_layer  # positions are areas: the middle of each, in pixels
    corners = (center - side / 2).round().long().clamp(min=0)
    corners = torch.minimum(corners, spatial - side)
    patches = [
        images[int(i)][(slice(None), *(slice(a, a + s) for a, s in zip(corner, side.tolist(), strict=True)))].cpu()
        for i, corner in zip(order, corners.tolist(), strict=True)
    ]
    return Strongest(torch.stack(patches), values, first + order, corners)


def _merged(first: Strongest, second: Strongest, n: int) -> Strongest:
    joined = [torch.cat(pair) for pair in zip(first, second, strict=True)]
    order = joined[1].argsort(descending=True, stable=True)[:n]
    return Strongest(*(part[order] for part in joined))


def _layer(net: nn.Module, name: str) -> nn.Module:
    found = dict(net.named_modules()).get(name) if name else None
    if found is None:
        known = [one for one, _ in net.named_modules() if one]
        shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
        raise ValueError(f"the net has no layer {name or '(no name)'}; it has {shown}")
    return found


def _an_example(net: nn.Module) -> str:
    return next((name for name, one in net.named_modules() if isinstance(one, nn.Conv2d | nn.Conv3d)), "a convolution")


def _copied(output: Any) -> Any:
    return output.detach().clone() if isinstance(output, Tensor) else output
