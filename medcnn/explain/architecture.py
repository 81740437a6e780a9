"""A net's own account: its layers in the order they run, and what each costs and sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from medcnn.explain.grad_cam import undisturbed
from medcnn.explain.receptive_field import ReceptiveFields


@dataclass(frozen=True)
class Layer:
    """A module that computes something itself.

    Attributes:
        name: In the net; "" is the net itself.
        kind: Its class.
        output_shape: For one image ``(1, ...)``, of its last call; empty where it did not run.
        parameters: Of its own, counted at the first module that holds them.
        multiply_adds: Of convolutions, linear layers and products of matrices, for one image, over all its calls.
        receptive_field: Pixels along each axis that a value of its output can depend on, the most over all
            positions; None where it is not known.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: tuple[int, ...] | None


def architecture(net: nn.Module, shape: Sequence[int]) -> list[Layer]:
    """The layers of a net as one image runs through it in evaluation mode.

    The sums over all layers are those of the net. What never runs, as the heads of deep supervision, comes last with
    its parameters. The receptive field is exact for the image's size: it follows every branch and ends at the borders;
    statistics of a normalization over the image are left aside.

    Args:
        net: Any net; left as it was.
        shape: Of an image, ``(C, *spatial)``.

    Raises:
        ValueError: If the net refuses an image of this shape.
    """
    image = torch.zeros(1, *shape, device=next((p.device for p in net.parameters()), None))
    calls: dict[str, tuple[tuple[int, ...], tuple[int, ...] | None]] = {}
    fields, counted = ReceptiveFields(image), FlopCounterMode(display=False)

    def watch(name: str) -> Any:
        def note(_: nn.Module, __: Any, output: Any) -> None:
            first = _first(output)
            if first is not None:
                calls.pop(name, None)
                calls[name] = (tuple(first.shape), fields.sizes(first))

        return note

    with undisturbed(net) as stack:
        for name, module in net.named_modules():
            stack.callback(module.register_forward_hook(watch(name)).remove)
        try:
            with counted, fields:
                net(image)
        except (RuntimeError, ValueError, IndexError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(f"{type(net).__name__} refuses an image of {tuple(shape)}: {first}") from error
    return _layers(net, calls, _own_work(net, counted))


def _layers(
    net: nn.Module, calls: dict[str, tuple[tuple[int, ...], tuple[int, ...] | None]], work: dict[str, int]
) -> list[Layer]:
    modules, parameters = dict(net.named_modules()), _own_parameters(net)
    order = [*calls, *(name for name in modules if name not in calls)]
    layers = []
    for name in order:
        module, (shape, field) = modules[name], calls.get(name, ((), None))
        is_leaf = not any(True for _ in module.children())
        if parameters[name] or work.get(name) or (is_leaf and name in calls):
            kind = type(module).__name__
            layers.append(Layer(name, kind, shape, parameters[name], work.get(name, 0), field))
    return layers


def _own_parameters(net: nn.Module) -> dict[str, int]:
    """Parameters of each module without those of its children; shared ones count once."""
    seen: set[int] = set()
    counts = {}
    for name, module in net.named_modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(map(id, own))
        counts[name] = sum(p.numel() for p in own)
    return counts


def _own_work(net: nn.Module, counted: FlopCounterMode) -> dict[str, int]:
    """Multiply-adds of each module without those of its children."""
    root = type(net).__name__
    totals = {name: sum(ops.values()) // 2 for name, ops in counted.get_flop_counts().items()}
    whole = {name: totals.get(f"{root}.{name}" if name else root, 0) for name, _ in net.named_modules()}
    own = dict(whole)
    for name in whole:
        above = name
        while above:
            above = above.rpartition(".")[0]
            if whole[above]:  # a list of modules does not run itself
                own[above] -= whole[name]
                break
    return {name: max(count, 0) for name, count in own.items()}


def _first(output: Any) -> Tensor | None:
    while isinstance(output, list | tuple) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None
