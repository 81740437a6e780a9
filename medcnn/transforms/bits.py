"""Dilation and erosion of masks with 64 voxels to a word: whole-volume shifts and ORs (or ANDs) in numpy.

A structure is told by its profiles: ``profiles[dz][dy]`` is the half-width of its run along the last axis at the
offsets ``+-dz, +-dy``. Every structure here is symmetric and its runs only get shorter outwards, as in a disk, a ball
or an ellipsoid. A run is grown once for each distinct half-width, a slice once for each distinct profile.

Guard rows and guard bits, all background, end every plane and every row. A shift of the whole volume as one flat array
of words then carries only background across, and numpy sees a single long loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WORD = 64
Profiles = Sequence[tuple[int, ...]]


@dataclass(frozen=True)
class Packed:
    """A mask as words, the voxel ``x`` of a row in bit ``x % 64`` of its word ``x // 64``.

    Attributes:
        words: uint64 ``(planes, rows + guard rows, words)``, contiguous.
        extent: Planes, rows and voxels of a row of the mask itself.
    """

    words: np.ndarray
    extent: tuple[int, int, int]


def pack(mask: np.ndarray, profiles: Profiles) -> Packed:
    """A bool mask ``(planes, rows, columns)`` with guards wide enough for ``profiles``."""
    planes, rows, columns = mask.shape
    guard_rows = len(profiles[0]) - 1
    guard_bits = max(1, profiles[0][0])
    words = np.zeros((planes, rows + guard_rows, -(-(columns + guard_bits) // WORD)), dtype="<u8")
    words.view(np.uint8)[:, :rows, : -(-columns // 8)] = np.packbits(mask, axis=-1, bitorder="little")
    return Packed(words, (planes, rows, columns))


def unpack(packed: Packed) -> np.ndarray:
    """The bool mask ``(planes, rows, columns)`` of ``packed``."""
    _, rows, columns = packed.extent
    octets = np.ascontiguousarray(packed.words[:, :rows]).view(np.uint8)[..., : -(-columns // 8)]
    return np.unpackbits(octets, axis=-1, count=columns, bitorder="little").view(bool)


def dilate(packed: Packed, profiles: Profiles) -> Packed:
    """Foreground wherever the structure at a voxel meets foreground."""
    grown = Packed(_combine(packed.words, profiles, np.bitwise_or), packed.extent)
    _clear_guards(grown)
    return grown


def erode(packed: Packed, profiles: Profiles) -> Packed:
    """Foreground where the whole structure lies on foreground; outside of the image is background."""
    return Packed(_combine(packed.words, profiles, np.bitwise_and), packed.extent)


def _combine(words: np.ndarray, profiles: Profiles, op: np.ufunc) -> np.ndarray:
    _, rows, width = words.shape
    runs = _runs(words.reshape(-1), {half for profile in profiles for half in profile}, op)
    slices: dict[tuple[int, ...], np.ndarray] = {}
    out = np.empty(0)
    for dz, profile in enumerate(profiles):
        if profile not in slices:
            slices[profile] = _slice(runs, profile, width, op)
        if dz == 0:
            out = slices[profile].copy()
        else:
            _both_ways(out, slices[profile], dz * rows * width, op)
    return out.reshape(words.shape)


def _runs(flat: np.ndarray, halves: set[int], op: np.ufunc) -> dict[int, np.ndarray]:
    """The mask combined over runs of ``2 * half + 1`` voxels along the last axis, for each half-width."""
    run, reach, runs = flat, 0, {}
    for half in sorted(halves):
        while reach < half:
            # No further: what left the first row to its left does not come back, and would leave a gap.
            step = min(half - reach, reach + 1)
            run = _spread(run, step, op)
            reach += step
        runs[half] = run
    return runs


def _spread(run: np.ndarray, step: int, op: np.ufunc) -> np.ndarray:
    """``run`` combined with itself moved by ``step`` voxels up and down."""
    whole, bits = divmod(step, WORD)
    out, moved, carry = run.copy(), np.empty_like(run), np.empty_like(run)
    np.left_shift(run, bits, out=moved)
    if bits:
        np.right_shift(run[:-1], WORD - bits, out=carry[1:])
        np.bitwise_or(moved[1:], carry[1:], out=moved[1:])
    _onto(out, moved, whole, op)
    np.right_shift(run, bits, out=moved)
    if bits:
        np.left_shift(run[1:], WORD - bits, out=carry[:-1])
        np.bitwise_or(moved[:-1], carry[:-1], out=moved[:-1])
    _onto(out, moved, -whole, op)
    return out


def _slice(runs: dict[int, np.ndarray], profile: tuple[int, ...], width: int, op: np.ufunc) -> np.ndarray:
    """The runs of one plane of the structure combined."""
    out = runs[profile[0]].copy()
    for dy, half in enumerate(profile[1:], start=1):
        _both_ways(out, runs[half], dy * width, op)
    return out


def _both_ways(out: np.ndarray, source: np.ndarray, offset: int, op: np.ufunc) -> None:
    _onto(out, source, offset, op)
    _onto(out, source, -offset, op)


def _onto(out: np.ndarray, source: np.ndarray, offset: int, op: np.ufunc) -> None:
    """Combine ``source``, moved by ``offset`` words, into ``out``; background comes in from outside."""
    ahead, behind = max(offset, 0), max(-offset, 0)
    inside = out[ahead : len(out) - behind]
    op(inside, source[behind : len(source) - ahead], out=inside)
    if op is np.bitwise_and:
        out[:ahead] = 0
        out[len(out) - behind :] = 0


def _clear_guards(packed: Packed) -> None:
    _, rows, columns = packed.extent
    first, bits = divmod(columns, WORD)
    packed.words[:, rows:] = 0
    packed.words[..., first] &= np.uint64((1 << bits) - 1)
    packed.words[..., first + 1 :] = 0
