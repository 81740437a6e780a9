"""Back to the grid that an image came from, by what both grids know of their place in the patient."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from torch import Tensor

#: Grids that agree within this many voxels everywhere are one grid: headers keep places as float32 or as text.
_SAME_VOXELS = 1e-3
#: Values resampled at a time: a head of many classes then costs no more memory than one of few.
_CHUNK = 1 << 22

_Slices = tuple[slice, ...]
_Affine = np.ndarray | Tensor


def resampled(
    values: Tensor,
    affine: _Affine,
    shape: Sequence[int],
    onto_affine: _Affine,
    mode: Literal["linear", "nearest"] = "linear",
) -> Tensor:
    """Values at the voxels of another grid; what lies outside their own field of view is 0.

    Where the grids differ by whole voxels, flips and order of axes alone, the values are copied, not computed.
    A field of view ends half a voxel beyond the outermost centers, up to which the outermost values hold.

    Args:
        values: ``(C, *spatial)``, 1 to 3 spatial axes.
        affine: ``(4, 4)`` of the values, index to mm.
        shape: Spatial shape of the other grid.
        onto_affine: ``(4, 4)`` of the other grid.
        mode: ``linear`` gives floats; ``nearest`` keeps the dtype.

    Returns:
        ``(C, *shape)``.

    Raises:
        ValueError: If an affine folds an axis to a point, or the grids have different numbers of axes.
    """
    plain, between = _checked(values, affine, shape, onto_affine)
    if mode == "linear" and not plain.is_floating_point():
        plain = plain.float()
    steps = _whole_steps(between, shape)
    if steps is not None:
        return _moved(plain, steps, shape)
    out = plain.new_zeros((len(plain), *shape))
    everything = tuple(slice(0, size) for size in shape)
    for slab in _slabs(everything, max(1, _CHUNK // max(1, len(plain)))):
        found = _found(between, slab, plain.shape[1:], plain.device)
        sample = _linear if mode == "linear" else _nearest
        out[(slice(None), *slab)] = torch.where(found.inside, sample(plain, found.place), 0)
    return out


def labels_at_home(probabilities: Tensor, affine: _Affine, shape: Sequence[int], onto_affine: _Affine) -> np.ndarray:
    """The most probable class of every voxel of the source grid.

    Probabilities are resampled and the label is taken after, so that an edge lies where they cross and not on a
    staircase of the grid that the net saw. What that grid does not reach is background. Only the neighborhood of
    what is not background is computed: between background voxels there is nothing else.

    Args:
        probabilities: ``(K, *spatial)``; channel 0 is background.
        affine: ``(4, 4)`` of the probabilities, index to mm.
        shape: Spatial shape of the source grid.
        onto_affine: ``(4, 4)`` of the source grid.

    Returns:
        Labels 0 to K - 1 of ``shape``, uint8 (int16 above 256 classes).

    Raises:
        ValueError: As ``resampled``.
    """
    plain, between = _checked(probabilities, affine, shape, onto_affine)
    known = _labels(plain)
    steps = _whole_steps(between, shape)
    if steps is not None:
        return np.ascontiguousarray(_moved(known[None], steps, shape)[0].cpu().numpy())
    home = np.zeros(tuple(shape), dtype=known.cpu().numpy().dtype)
    for slab in _slabs(_reached(known, between, shape), max(1, _CHUNK // len(plain))):
        found = _found(between, slab, plain.shape[1:], plain.device)
        home[slab] = (_labels(_linear(plain, found.place)) * found.inside).cpu().numpy()
    return home


def _checked(values: Tensor, affine: _Affine, shape: Sequence[int], onto_affine: _Affine) -> tuple[Tensor, np.ndarray]:
    """Plain values, and the matrix ``(n, n + 1)`` from an index of the other grid to an index of theirs."""
    plain = values.as_tensor() if isinstance(values, MetaTensor) else values
    axes = plain.ndim - 1
    if axes != len(shape) or not 1 <= axes <= 3:
        raise ValueError(f"expected a grid of {axes} axes (1 to 3) to resample onto, found {tuple(shape)}")
    own, other = (np.asarray(torch.as_tensor(one).cpu(), dtype=np.float64) for one in (affine, onto_affine))
    # A film lies in one plane: its affine has a third axis that its pixels do not.
    part = np.ix_([*range(axes), -1], [*range(axes), -1])
    own, other = own[part], other[part]
    sizes = np.linalg.norm(own[:-1, :-1], axis=0)
    if not (np.isfinite(own).all() and np.isfinite(other).all()) or sizes.min() == 0:
        raise ValueError("an affine holds no numbers, or folds an axis to a point; the place of the voxels is unknown")
    if abs(np.linalg.det(own[:-1, :-1] / sizes)) < 1e-6:
        raise ValueError("two axes of the affine point the same way; the place of the voxels is unknown")
    return plain, (np.linalg.inv(own) @ other)[:-1]


class _Steps(NamedTuple):
    """A grid reached by whole voxels: of each of its axes, the axis of the values, its sign, and where it starts."""

    axes: tuple[int, ...]
    signs: tuple[int, ...]
    starts: tuple[int, ...]


def _whole_steps(between: np.ndarray, shape: Sequence[int]) -> _Steps | None:
    """How the other grid steps through the values, where it does so in whole voxels."""
    rounded = np.rint(between)
    reach = np.abs(between - rounded) @ np.array([*np.maximum(np.array(shape) - 1, 0), 1.0])
    turn = rounded[:, :-1]
    if reach.max() > _SAME_VOXELS or not np.array_equal(turn @ turn.T, np.eye(len(turn))):
        return None
    axes = tuple(int(axis) for axis in np.abs(turn).argmax(axis=0))
    signs = tuple(int(turn[axis, own]) for own, axis in enumerate(axes))
    return _Steps(axes, signs, tuple(int(rounded[axis, -1]) for axis in axes))


def _moved(values: Tensor, steps: _Steps, shape: Sequence[int]) -> Tensor:
    """Values ``(C, *spatial)`` turned, flipped, cropped and padded with 0; no value is computed."""
    turned = values.permute(0, *(axis + 1 for axis in steps.axes))
    out = values.new_zeros((len(values), *shape))
    take, put = [slice(None)], [slice(None)]
    flips = []
    for axis, (sign, start, size) in enumerate(zip(steps.signs, steps.starts, shape, strict=True)):
        length = turned.shape[axis + 1]
        if sign < 0:
            flips.append(axis + 1)
            start = length - 1 - start
        low, high = max(0, start), min(length, start + size)
        take.append(slice(low, max(low, high)))
        put.append(slice(low - start, max(low, high) - start))
    out[tuple(put)] = turned.flip(flips)[tuple(take)]
    return out


def _labels(probabilities: Tensor) -> Tensor:
    """Argmax, the first of equals; torch's own takes eight bytes a voxel and, along the first axis, its time."""
    best = probabilities[0].clone()
    labels = torch.zeros(
        best.shape, dtype=torch.uint8 if len(probabilities) <= 256 else torch.int16, device=best.device
    )
    for value, one in enumerate(probabilities[1:], start=1):
        labels[one > best] = value
        torch.maximum(best, one, out=best)
    return labels


def _reached(labels: Tensor, between: np.ndarray, shape: Sequence[int]) -> _Slices:
    """The box of the other grid outside which every voxel lies between background voxels only."""
    corners = []
    for axis in range(labels.ndim):
        others = [other for other in range(labels.ndim) if other != axis]
        where = torch.nonzero((labels.amax(others) if others else labels) > 0)
        if not len(where):
            return tuple(slice(0, 0) for _ in shape)
        corners.append((int(where.min()) - 1.0, int(where.max()) + 1.0))
    box = np.stack(np.meshgrid(*corners, indexing="ij"), axis=-1).reshape(-1, labels.ndim)
    home = np.linalg.solve(between[:, :-1], (box - between[:, -1]).T).T
    low = np.clip(np.floor(home.min(axis=0)), 0, shape).astype(int)
    high = np.clip(np.ceil(home.max(axis=0)) + 1, 0, shape).astype(int)
    return tuple(slice(int(one), int(other)) for one, other in zip(low, high, strict=True))


def _slabs(box: _Slices, voxels: int) -> Iterator[_Slices]:
    """The box in pieces along its first axis, each of about so many voxels."""
    first, rest = box[0], box[1:]
    each = max(1, voxels // max(1, int(np.prod([one.stop - one.start for one in rest], dtype=np.int64))))
    for start in range(first.start, first.stop, each):
        yield (slice(start, min(start + each, first.stop)), *rest)


class _Found(NamedTuple):
    """Places ``(*shape, n)`` of voxels of one grid in another, as a fractional index, and whether each is inside."""

    place: Tensor
    inside: Tensor


def _found(between: np.ndarray, slab: _Slices, size: Sequence[int], device: torch.device) -> _Found:
    axes = [torch.arange(one.start, one.stop, dtype=torch.float64, device=device) for one in slab]
    shape = [len(axis) for axis in axes]
    place = torch.empty((*shape, len(shape)), dtype=torch.float64, device=device)
    inside = torch.ones(shape, dtype=torch.bool, device=device)
    for own, row in enumerate(between):
        # A sum of one term an axis, spread over the others: no index of three numbers is kept a voxel.
        along = torch.full((1,) * len(shape), row[-1], dtype=torch.float64, device=device)
        for at, axis in enumerate(axes):
            along = along + row[at] * axis.view([-1 if at == other else 1 for other in range(len(shape))])
        place[..., own] = along
        inside &= (along >= -0.5 - _SAME_VOXELS) & (along <= size[own] - 0.5 + _SAME_VOXELS)
    return _Found(place, inside)


def _linear(values: Tensor, place: Tensor) -> Tensor:
    """Values ``(C, *shape)`` at fractional places, the outermost ones beyond the border."""
    if place.shape[-1] == 1:  # torch samples planes and volumes alone
        values, place = values[:, None], torch.cat([torch.zeros_like(place), place], dim=-1)[None]
        return _linear(values, place)[:, 0]
    size = torch.tensor(values.shape[1:], dtype=torch.float64, device=place.device)
    kind = torch.float64 if values.dtype == torch.float64 else torch.float32
    grid = ((2 * place + 1) / size - 1).flip(-1).to(kind)
    out = F.grid_sample(values.to(kind)[None], grid[None], padding_mode="border", align_corners=False)[0]
    return out.to(values.dtype)


def _nearest(values: Tensor, place: Tensor) -> Tensor:
    """Values ``(C, *shape)`` at the nearest voxel."""
    last = torch.tensor(values.shape[1:], device=place.device) - 1
    near = place.round().long().clamp(min=0).minimum(last)
    index: tuple[slice | Tensor, ...] = (slice(None), *near.unbind(-1))
    return values[index]
