"""Grad-CAM in 2-D and 3-D: in closed form where a net ends in averages and one linear layer, else by autograd."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NO_EVIDENCE = "no_positive_evidence"


class Explanation(NamedTuple):
    """Where a net looked in each image.

    Attributes:
        maps: Relevance ``(B, *spatial)`` of every pixel of the images in [0, 1], float32.
        flags: What to say beside each map; ``no_positive_evidence`` where it is all zero.
        method: How the maps were made; both ways give the same.
    """

    maps: Tensor
    flags: list[tuple[str, ...]]
    method: Literal["closed_form", "autograd"]


def explain_maps(net: nn.Module, image: Tensor, index: Tensor) -> Explanation:
    """Grad-CAM of a convolutional net at its last layer with more than one position, brought to the size of the images.

    The maps explain the logit of a class, before softmax or sigmoid. May be called in training, in validation and
    under ``torch.inference_mode``; the net is left as it was.

    Args:
        net: Images ``(B, C, *spatial)`` to logits ``(B, K)``; run in evaluation mode.
        image: Images, on the device of the net.
        index: Class of interest for each image, int64 ``(B,)``.

    Raises:
        ValueError: If no layer has an output of more than one position.
    """
    trace = _trace(net, image)
    if _ends_in_pooling_and_linear(trace):
        maps = _closed_form(trace, index)
        method: Literal["closed_form", "autograd"] = "closed_form"
    else:
        maps = grad_cam(net, trace.layer, image, index)
        method = "autograd"
    flags: list[tuple[str, ...]] = [() if spoke else (NO_EVIDENCE,) for spoke in maps.flatten(1).any(1).tolist()]
    mode = "bilinear" if maps.ndim == 3 else "trilinear"
    maps = F.interpolate(maps[:, None], size=image.shape[2:], mode=mode, align_corners=False)[:, 0]
    return Explanation(_to_unit_range(maps), flags, method)


def grad_cam(net: nn.Module, layer: nn.Module, image: Tensor, index: Tensor) -> Tensor:
    """Relevance of every position of ``layer`` for one class of each image, by autograd.

    Nothing before ``layer`` is differentiated. Where the layer is called several times, the last call counts.

    Args:
        net: Images ``(B, C, *spatial)`` to logits ``(B, K)``; run in evaluation mode and left as it was.
        layer: A module of ``net`` with outputs ``(B, C', *layer_spatial)``.
        image: Images, on the device of the net.
        index: Class of interest for each image, int64 ``(B,)``.

    Returns:
        Maps ``(B, *layer_spatial)`` in [0, 1], the greatest of each 1; all zero where no channel spoke for the class.

    Raises:
        ValueError: If ``layer`` took no part in the forward pass, or is no map of positions.

    References:
        Selvaraju et al., 2017, doi:10.1109/ICCV.2017.74
    """
    outputs: list[Tensor] = []

    def cut(_: nn.Module, __: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != image.ndim:
            raise ValueError(f"grad_cam needs a layer with an output (B, C, *spatial), found {_shape(output)}")
        torch.set_grad_enabled(True)  # from here on; the context below sets it back
        outputs[:] = [output.detach().clone().requires_grad_()]
        # A copy goes on: the next layer may write into it, as an in-place ReLU does.
        return outputs[0].clone()

    with undisturbed(net) as stack:
        hook = layer.register_forward_hook(cut)
        stack.callback(hook.remove)
        logits = net(_plain(image))
        if not outputs or not logits.requires_grad:
            raise ValueError(
                f"{type(layer).__name__} took no part in the logits; give a layer that the net runs through"
            )
        score = logits.gather(1, index.to(logits.device)[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, outputs, allow_unused=True)
    if gradient is None:
        raise ValueError(f"the logits do not depend on {type(layer).__name__}; give a layer that the net runs through")
    weights = gradient.float().flatten(2).mean(2)
    return _weighted(outputs[0].detach(), weights)


class _Trace(NamedTuple):
    """One forward pass: the last layer with positions, what it gave, and the last linear layer."""

    layer: nn.Module
    features: Tensor
    linear: nn.Linear | None
    logits: Tensor


def _trace(net: nn.Module, image: Tensor) -> _Trace:
    spatial: list[tuple[nn.Module, Tensor]] = []
    linear: list[nn.Linear] = []

    def watch(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(module, nn.Linear):
            linear[:] = [module]
        if isinstance(output, Tensor) and output.ndim == image.ndim and output[0, 0].numel() > 1:
            spatial[:] = [(module, output)]  # the last one alone is kept, so that memory is as in any forward pass

    with undisturbed(net) as stack:
        for module in net.modules():
            if module is not net:
                stack.callback(module.register_forward_hook(watch).remove)
        logits = net(_plain(image))
    if not spatial:
        raise ValueError(
            f"no layer of {type(net).__name__} has an output of more than one position for images of "
            f"{tuple(image.shape[2:])}; there is no place to show"
        )
    layer, features = spatial[0]
    return _Trace(layer, features, linear[0] if linear else None, logits)


def _ends_in_pooling_and_linear(trace: _Trace) -> bool:
    """Whether the logits are the last linear layer of the average features; computed, not read off the structure."""
    if trace.linear is None or trace.linear.in_features != trace.features.shape[1]:
        return False
    bias = None if trace.linear.bias is None else trace.linear.bias.float()
    expected = F.linear(trace.features.float().flatten(2).mean(2), trace.linear.weight.float(), bias).float()
    logits = trace.logits.float()
    if expected.shape != logits.shape:
        return False
    tolerance = 1e-4 if trace.features.dtype == torch.float32 else 1e-2  # half precision rounds at every sum
    return torch.allclose(expected, logits, rtol=tolerance, atol=tolerance * float(logits.abs().max()))


def _closed_form(trace: _Trace, index: Tensor) -> Tensor:
    """The gradient of an averaging net at every position is the linear layer's weight over the number of positions."""
    assert trace.linear is not None
    weights = trace.linear.weight.detach()[index.to(trace.linear.weight.device)]
    return _weighted(trace.features, weights.float())


def _weighted(features: Tensor, weights: Tensor) -> Tensor:
    """The sum of channels that speak for the class ``(B, *spatial)``, scaled to [0, 1]."""
    spoken = torch.einsum("bc...,bc->b...", features.float(), weights)
    return _to_unit_range(spoken.relu())


def _to_unit_range(maps: Tensor) -> Tensor:
    """Divide each map by its greatest value; an all-zero map stays zero."""
    greatest = maps.flatten(1).amax(1).view(-1, *[1] * (maps.ndim - 1))
    return torch.where(greatest > 0, maps / greatest, 0)


@contextmanager
def undisturbed(net: nn.Module) -> Iterator[ExitStack]:
    """Evaluation mode without gradients for a while, also within inference mode; then every module as it was.

    Batch normalization in training mode would take the images into its statistics.
    """
    training = [module for module in net.modules() if module.training]
    with torch.inference_mode(False), torch.no_grad(), ExitStack() as stack:
        try:
            net.eval()
            yield stack
        finally:
            for module in training:
                module.training = True


def _plain(image: Tensor) -> Tensor:
    """A copy outside inference mode and without metadata: inference tensors cannot be differentiated."""
    return image.detach().as_subclass(Tensor).clone()


def _shape(output: Any) -> str:
    return str(tuple(output.shape)) if isinstance(output, Tensor) else type(output).__name__
