"""Heads made by code from a real one with its mask: turned, resampled, shaded, noisy, cropped or padded, and failures.

Everything is drawn from a generator, so that a seed names a set of variants.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation


@dataclass(frozen=True, eq=False)
class Head:
    """Voxels, affine to RAS mm, and the mask that counts as true (``None``: there is no brain to find)."""

    name: str
    voxels: np.ndarray
    affine: np.ndarray
    mask: np.ndarray | None


def in_ras(head: Head) -> Head:
    """The same head with its axes along right, anterior and superior."""
    cosines = head.affine[:3, :3] / np.linalg.norm(head.affine[:3, :3], axis=0)
    axes = [int(np.argmax(np.abs(row))) for row in cosines]
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    start, slices = np.zeros(3), []
    for world, axis in enumerate(axes):
        reverse = cosines[world, axis] < 0
        slices.append(slice(None, None, -1 if reverse else 1))
        matrix[:3, world] = head.affine[:3, axis] * (-1 if reverse else 1)
        start[axis] = head.voxels.shape[axis] - 1 if reverse else 0
    matrix[:3, 3] = head.affine[:3, :3] @ start + head.affine[:3, 3]
    mask = None if head.mask is None else head.mask.transpose(axes)[tuple(slices)]
    return Head(head.name, head.voxels.transpose(axes)[tuple(slices)], matrix, mask)


def variant(head: Head, rng: np.random.Generator) -> Head:
    """One variant: every disturbance is drawn anew."""
    ras = in_ras(head)
    turned = _resampled(ras, _spacing(rng), rng.uniform(-20, 20, 3), crop_neck=rng.random() < 0.5, rng=rng)
    voxels = turned.voxels * _bias(turned.voxels.shape, rng)
    white = np.percentile(voxels[turned.mask], 90)
    noise = rng.uniform(0.0, 0.06) * white
    voxels = np.hypot(voxels + noise * rng.standard_normal(voxels.shape), noise * rng.standard_normal(voxels.shape))
    voxels, mask, affine = _padded(voxels, turned.mask, turned.affine, rng)
    return _stored(Head(head.name, voxels, affine, mask), white, rng)


def _spacing(rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.4:
        return np.full(3, rng.uniform(0.8, 2.0))
    spacing = np.full(3, rng.uniform(0.8, 1.3))
    spacing[rng.integers(3)] = rng.uniform(1.2, 3.0)
    return spacing


def _resampled(head: Head, spacing: np.ndarray, degrees: np.ndarray, crop_neck: bool, rng: np.random.Generator) -> Head:
    """The head turned about its middle, on a grid of another spacing; its neck cut somewhere below the brain."""
    step = np.linalg.norm(head.affine[:3, :3], axis=0)
    size = np.array(head.voxels.shape) * step
    shape = np.ceil(size / spacing).astype(int)
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix = np.diag(1 / step) @ turn @ np.diag(spacing)
    offset = (np.array(head.voxels.shape) - 1) / 2 - matrix @ ((shape - 1) / 2)
    source = np.clip(head.voxels.astype(np.float32), 0, None)
    # A thick slice is a mean over its thickness: smooth before it is thinned out.
    source = ndimage.gaussian_filter(source, np.sqrt(np.maximum((spacing / step) ** 2 - 1, 0)) / 2.355)
    voxels = ndimage.affine_transform(source, matrix, offset, tuple(shape), order=1)
    mask = ndimage.affine_transform(head.mask.astype(np.float32), matrix, offset, tuple(shape), order=1) > 0.5
    if crop_neck:
        lowest = int(np.flatnonzero(mask.any(axis=(0, 1)))[0])
        cut = max(0, lowest - round(rng.uniform(0, 25) / spacing[2]))
        voxels, mask = voxels[:, :, cut:], mask[:, :, cut:]
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = rng.uniform(-120, -60, 3)
    return Head(head.name, voxels, affine, mask)


def _bias(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A smooth field of up to about 40 % either way: a random polynomial of the second degree."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij", sparse=True)
    terms = [x, y, z, x * y, y * z, x * z, x * x - 0.5, y * y - 0.5, z * z - 0.5]
    field = sum(weight * term for weight, term in zip(rng.normal(0, 1, len(terms)), terms, strict=True))
    return np.exp(rng.uniform(0, 0.35) * field / np.abs(field).max())


def _padded(
    voxels: np.ndarray, mask: np.ndarray, affine: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Air around the head, in half of the cases."""
    if rng.random() < 0.5:
        return voxels, mask, affine
    margins = rng.integers(0, 40, (3, 2))
    margins[2, 0] = 0  # a neck does not end in air
    moved = affine.copy()
    moved[:3, 3] -= affine[:3, :3] @ margins[:, 0]
    return np.pad(voxels, margins), np.pad(mask, margins), moved


def _stored(head: Head, white: float, rng: np.random.Generator) -> Head:
    """Another gain and type, in one of the 48 orientations."""
    gain = 10 ** rng.uniform(1.7, 3.5) / white
    dtype = [np.int16, np.uint16, np.float32][rng.integers(3)]
    voxels = np.clip(head.voxels * gain, 0, 32767).astype(dtype)
    return oriented(Head(head.name, voxels, head.affine, head.mask), rng.permutation(3), rng.random(3) < 0.5)


def oriented(head: Head, axes: np.ndarray, reverse: np.ndarray) -> Head:
    """The same head with its axes in another order and some reversed, which the affine says."""
    slices = tuple(slice(None, None, -1 if r else 1) for r in reverse)
    matrix = head.affine.copy()
    matrix[:3, :3] = head.affine[:3, axes]
    for axis, back in enumerate(reverse):
        if back:
            matrix[:3, 3] += matrix[:3, axis] * (head.voxels.shape[axes[axis]] - 1)
            matrix[:3, axis] *= -1
    turned = [
        None if part is None else np.ascontiguousarray(part.transpose(axes)[slices])
        for part in (head.voxels, head.mask)
    ]
    return Head(head.name, turned[0], matrix, turned[1])


def failures(head: Head, rng: np.random.Generator) -> Iterator[Head]:
    """Images that no good mask can come from, or that ask for care, made from one head."""
    ras = in_ras(head)
    voxels, mask = ras.voxels.astype(np.float32), ras.mask
    white = np.percentile(voxels[mask], 90)

    def made(name: str, values: np.ndarray, truth: np.ndarray | None) -> Head:
        noisy = np.clip(values + 0.02 * white * rng.standard_normal(values.shape), 0, None)
        return oriented(
            Head(name, noisy.astype(np.float32), ras.affine, truth), rng.permutation(3), rng.random(3) < 0.5
        )

    empty = voxels.copy()
    empty[mask] = 0.1 * white
    yield made("no brain", empty, None)
    filled = voxels.copy()
    filled[mask] = 0.45 * white  # one gray, as a phantom's gel
    yield made("gel instead of a brain", ndimage.gaussian_filter(filled, 1), None)
    for axis, name in ((0, "left half"), (1, "front half"), (2, "lower half")):
        middle = int(np.flatnonzero(mask.any(axis=tuple(k for k in range(3) if k != axis))).mean())
        cut = [slice(None)] * 3
        cut[axis] = slice(0, middle + 1)
        half = Head(name, voxels[tuple(cut)], ras.affine, None)
        yield Head(name, np.ascontiguousarray(half.voxels), ras.affine, None)
        gone = voxels.copy()
        rest = [slice(None)] * 3
        rest[axis] = slice(middle + 1, None)
        gone[tuple(rest)] = 0
        yield made(f"{name}, the rest black", gone, None)
    yield made("already stripped", np.where(mask, voxels, 0), mask)
    yield made("CT-like", _as_ct(voxels, mask, white), None)
    yield made("noise", white * rng.random(voxels.shape), None)
    yield made("inverted", voxels.max() - voxels, None)
    yield made("constant", np.zeros_like(voxels), None)


def _as_ct(voxels: np.ndarray, mask: np.ndarray, white: float) -> np.ndarray:
    """Bright bone, a flat brain, dim scalp: as Hounsfield units moved above 0."""
    head = ndimage.binary_fill_holes(ndimage.binary_closing(voxels > 0.3 * white, iterations=4))
    shell = ndimage.binary_dilation(mask, iterations=6) & ~mask
    values = np.where(head, 1000.0, 0.0)
    values[mask] = 1035.0
    values[shell & head] = 1900.0
    return ndimage.gaussian_filter(values, 0.7) * white / 1000
