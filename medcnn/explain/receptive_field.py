"""Which pixels of the image a value of a layer can depend on: followed exactly through every operation of a pass."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

Ends = NDArray[np.int64]


class Axis(NamedTuple):
    """For each position along an axis, the first and the last pixel of the image that it sees."""

    first: Ends
    last: Ends


Reach = tuple[Axis, ...]
NOWHERE = 1 << 40  # first pixel of a position that sees padding alone; its last one is -1
# Operations that move positions although the shape may stay: what they give is not followed.
MOVING = (
    "permute",
    "transpose",
    "roll",
    "flip",
    "index",
    "index_select",
    "gather",
    "grid_sampler_2d",
    "grid_sampler_3d",
)


class ReceptiveFields(TorchDispatchMode):
    """While it is active, knows for every tensor made from the image which pixels it can depend on.

    Followed from operation to operation, along every branch: a sum or a concatenation sees what any of its parts sees.
    The statistics of a normalization over the image are left aside, as is usual: they would make every net see all.
    What a net reshapes otherwise than by folding away its positions, as transformers do, is not followed.

    Args:
        image: ``(B, C, *spatial)``, the tensor that the pass starts from.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self._reach: Any = WeakTensorKeyDictionary()
        self._axes = image.ndim - 2
        self._reach[image] = tuple(Axis(np.arange(n), np.arange(n)) for n in image.shape[2:])

    def sizes(self, tensor: Tensor) -> tuple[int, ...] | None:
        """Greatest extent in pixels along each axis over all positions of a tensor; None where it is not known."""
        reach = self._reach.get(tensor)
        return None if reach is None else tuple(int((a.last - a.first).max()) + 1 for a in reach)

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # Before the call: an operation in place has its input as its output.
        inputs = [part for part in tree_leaves((args, kwargs)) if isinstance(part, Tensor)]
        sources = [(part, self._reach[part]) for part in inputs if part in self._reach]
        out = func(*args, **(kwargs or {}))
        if sources:
            known = [(part, reach) for part, reach in sources if reach is not None]
            followed = len(known) == len(sources)
            for part in tree_leaves(out):
                if isinstance(part, Tensor):
                    name = func.overloadpacket.__name__
                    # None stands for "of the image, but not known how": whatever takes it in is not known either.
                    self._reach[part] = self._of(part, name, known, args) if followed else None
        return out

    def _of(self, out: Tensor, name: str, known: list[tuple[Tensor, Reach]], args: tuple[Any, ...]) -> Reach | None:
        source, reach = known[0]
        if name in MOVING:
            return None
        if name in _RULES and source.ndim == out.ndim == self._axes + 2:
            return _RULES[name](reach, out.shape[2:], args)
        return _alike(out, known, self._axes)


def _alike(out: Tensor, known: list[tuple[Tensor, Reach]], axes: int) -> Reach | None:
    """Of an operation that leaves positions where they are, or gathers all of them."""
    reaches = [reach for _, reach in known]
    if out.ndim == axes + 2:
        joined = [_joined([reach[axis] for reach in reaches]) for axis in range(axes)]
        fits = all(len(axis.first) in (1, n) for axis, n in zip(joined, out.shape[2:], strict=True))
        same = all(source.shape[2:] == out.shape[2:] or math.prod(source.shape[2:]) == 1 for source, _ in known)
        if fits and (same or math.prod(out.shape[2:]) == 1):
            return tuple(joined)
        return tuple(_all(axis) for axis in joined) if math.prod(out.shape[2:]) == 1 else None
    # Vectors: what was flattened or averaged sees what any of its positions saw.
    if out.ndim == 2 and all(source.ndim in (2, axes + 2) for source, _ in known):
        return tuple(_joined([_all(reach[axis]) for reach in reaches]) for axis in range(axes))
    return None


def _joined(parts: Sequence[Axis]) -> Axis:
    longest = max(len(part.first) for part in parts)
    if any(len(part.first) not in (1, longest) for part in parts):
        parts = [_all(part) for part in parts]
    first, last = parts[0]
    for part in parts[1:]:
        first, last = np.minimum(first, part.first), np.maximum(last, part.last)
    return Axis(first, last)


def _all(axis: Axis) -> Axis:
    return Axis(axis.first.min(keepdims=True), axis.last.max(keepdims=True))


def _over(axis: Axis, start: Ends, stop: Ends, step: int = 1) -> Axis:
    """Positions that each see ``start, start + step, ... stop`` of ``axis``; what lies outside is padding."""
    n, first, last = len(axis.first), np.full(len(start), NOWHERE), np.full(len(start), -1)
    for taken in range(int((stop - start).max()) // step + 1):
        at = start + taken * step
        inside = (at >= 0) & (at < n) & (at <= stop)
        place = at.clip(0, n - 1)
        first = np.where(inside, np.minimum(first, axis.first[place]), first)
        last = np.where(inside, np.maximum(last, axis.last[place]), last)
    return Axis(first, last)


def _window(axis: Axis, out: int, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    start = np.arange(out) * stride - padding
    return _over(axis, start, start + (kernel - 1) * dilation, dilation)


def _transposed(axis: Axis, out: int, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    """Position i hears from j where ``j * stride - padding + k * dilation == i`` for a tap k."""
    parts = []
    for tap in range(kernel):
        at = np.arange(out) + padding - tap * dilation
        hit = at % stride == 0
        place = np.where(hit, at // stride, -1)
        parts.append(_over(axis, place, place))
    return _joined(parts)


def _convolution(reach: Reach, out: Sequence[int], args: tuple[Any, ...]) -> Reach:
    _, weight, _, stride, padding, dilation, transposed = args[:7]
    rule = _transposed if transposed else _window
    numbers = zip(reach, out, weight.shape[2:], *(_each(v, reach) for v in (stride, padding, dilation)), strict=True)
    return tuple(rule(*one) for one in numbers)


def _pooling(dilated: bool) -> Callable[[Reach, Sequence[int], tuple[Any, ...]], Reach]:
    def rule(reach: Reach, out: Sequence[int], args: tuple[Any, ...]) -> Reach:
        kernel = _each(args[1], reach)
        stride = _each(args[2] if len(args) > 2 and args[2] else kernel, reach)
        padding = _each(args[3] if len(args) > 3 else 0, reach)
        dilation = _each(args[4] if dilated and len(args) > 4 else 1, reach)
        numbers = zip(reach, out, kernel, stride, padding, dilation, strict=True)
        return tuple(_window(*one) for one in numbers)

    return rule


def _adaptive(reach: Reach, out: Sequence[int], args: tuple[Any, ...]) -> Reach:
    return tuple(_over(axis, np.arange(m) * len(axis.first) // m, -(-(np.arange(m) + 1) * len(axis.first) // m) - 1)
                 for axis, m in zip(reach, out, strict=True))  # fmt: skip


def _averaged(reach: Reach, out: Sequence[int], args: tuple[Any, ...]) -> Reach:
    return tuple(axis if m == len(axis.first) else _all(axis) for axis, m in zip(reach, out, strict=True))


def _resized(taps: int) -> Callable[[Reach, Sequence[int], tuple[Any, ...]], Reach]:
    """Interpolation whose values lie between ``taps`` old ones; 1 for the nearest."""

    def rule(reach: Reach, out: Sequence[int], args: tuple[Any, ...]) -> Reach:
        return tuple(_resized_axis(axis, m, taps, args) for axis, m in zip(reach, out, strict=True))

    return rule


def _resized_axis(axis: Axis, out: int, taps: int, args: tuple[Any, ...]) -> Axis:
    n, place = len(axis.first), np.arange(out)
    if taps == 1:
        start = place * n // out
        return _over(axis, start, start)
    corners = len(args) > 2 and args[2] is True
    source = place * (n - 1) / max(out - 1, 1) if corners else ((place + 0.5) * n / out - 0.5).clip(min=0)
    start, exact = np.floor(source).astype(np.int64), source % 1 == 0
    # Beyond the edge the border repeats, so that what would lie outside is the last one inside.
    low, high = start - (taps // 2 - 1), np.where(exact & (taps == 2), start, start + taps // 2)
    return _over(axis, low.clip(0, n - 1), high.clip(0, n - 1))


def _padding(place: Callable[[Ends, int], Ends]) -> Callable[[Reach, Sequence[int], tuple[Any, ...]], Reach]:
    """Padding whose values come from ``place(position, length)``; a constant comes from nowhere."""

    def rule(reach: Reach, out: Sequence[int], args: tuple[Any, ...]) -> Reach:
        # Pads are told from the last axis on, before and after by turns.
        before = [*args[1][::2], *[0] * len(reach)][: len(reach)][::-1]
        ats = [place(np.arange(m) - pad, len(axis.first)) for axis, m, pad in zip(reach, out, before, strict=True)]
        return tuple(_over(axis, at, at) for axis, at in zip(reach, ats, strict=True))

    return rule


def _repeated(at: Ends, n: int) -> Ends:
    return at.clip(0, n - 1)


def _mirrored(at: Ends, n: int) -> Ends:
    return n - 1 - abs(n - 1 - abs(at))


def _sliced(reach: Reach, out: Sequence[int], args: tuple[Any, ...]) -> Reach:
    given = dict(zip(("axis", "start", "end", "step"), args[1:], strict=False))
    axis, start = (given.get("axis") or 0) - 2, given.get("start") or 0
    axes = list(reach)
    if 0 <= axis < len(axes):
        n = len(axes[axis].first)
        begin = start if start >= 0 else max(n + start, 0)
        at = begin + np.arange(out[axis]) * given.get("step", 1)
        axes[axis] = Axis(axes[axis].first[at], axes[axis].last[at])
    return tuple(axes)


def _each(value: Any, reach: Reach) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return list(itertools.islice(itertools.cycle(values), len(reach)))


#: ATen's name to how an output's positions see the input's.
_RULES: dict[str, Callable[[Reach, Sequence[int], tuple[Any, ...]], Reach]] = {
    "convolution": _convolution,
    "slice": _sliced,
    "mean": _averaged,
    "sum": _averaged,
    "amax": _averaged,
    "constant_pad_nd": _padding(lambda at, _: at),
}
for _d in ("1d", "2d", "3d"):
    _RULES |= {f"max_pool{_d}": _pooling(True), f"max_pool{_d}_with_indices": _pooling(True)}
    _RULES |= {f"avg_pool{_d}": _pooling(False), f"replication_pad{_d}": _padding(_repeated)}
    _RULES |= {f"reflection_pad{_d}": _padding(_mirrored)}
    _RULES |= {f"_adaptive_avg_pool{_d}": _adaptive, f"adaptive_max_pool{_d}": _adaptive}
    _RULES |= {f"upsample_nearest{_d}": _resized(1)}
for _kind, _taps in (("linear1d", 2), ("bilinear2d", 2), ("trilinear3d", 2), ("bicubic2d", 4)):
    _RULES[f"upsample_{_kind}"] = _resized(_taps)
