"""Bit-packed steps against scipy on every odd size, and the guards that keep rows apart."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medcnn.transforms import bits

PROFILES = {"voxel": [(0,)], "run": [(3,)], "disk": [(2, 1)], "ball": [(2, 2, 1), (2, 1), (0,)], "long": [(70, 5)]}


def structure_of(profiles: bits.Profiles) -> np.ndarray:
    """The structure written out voxel by voxel, in plain loops."""
    depth, height, width = len(profiles) - 1, len(profiles[0]) - 1, profiles[0][0]
    full = np.zeros((2 * depth + 1, 2 * height + 1, 2 * width + 1), dtype=bool)
    for dz in range(-depth, depth + 1):
        for dy, half in enumerate(profiles[abs(dz)]):
            for row in (height - dy, height + dy):
                full[depth + dz, row, width - half : width + half + 1] = True
    return full


@given(
    st.tuples(st.integers(1, 4), st.integers(3, 6), st.integers(1, 200)),
    st.sampled_from(sorted(PROFILES)),
    st.floats(0.05, 0.95),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
@example((3, 5, 64), "ball", 0.5, 0)
@example((3, 5, 63), "long", 0.98, 1)
@example((2, 5, 128), "run", 0.9, 2)
def test_packed_steps_equal_scipy(shape: tuple[int, int, int], name: str, share: float, seed: int) -> None:
    profiles = PROFILES[name]
    mask = np.random.default_rng(seed).random(shape) < share
    packed, structure = bits.pack(mask, profiles), structure_of(profiles)
    assert np.array_equal(bits.unpack(bits.dilate(packed, profiles)), ndimage.binary_dilation(mask, structure))
    assert np.array_equal(bits.unpack(bits.erode(packed, profiles)), ndimage.binary_erosion(mask, structure))


@pytest.mark.parametrize("columns", [1, 7, 8, 63, 64, 65, 129])
def test_packing_and_unpacking_gives_the_mask_back(columns: int) -> None:
    mask = np.random.default_rng(columns).random((2, 3, columns)) < 0.5
    assert np.array_equal(bits.unpack(bits.pack(mask, [(1, 0)])), mask)


def test_voxel_x_of_a_row_stands_in_bit_x_of_its_word() -> None:
    mask = np.zeros((1, 1, 70), dtype=bool)
    mask[0, 0, [0, 5, 66]] = True
    assert bits.pack(mask, [(1,)]).words.reshape(-1).tolist() == [0b100001, 0b100]


def test_a_dilation_leaves_its_guards_empty_for_the_next_step() -> None:
    profiles = [(9, 3), (2,)]
    grown = bits.dilate(bits.pack(np.ones((2, 4, 60), dtype=bool), profiles), profiles)
    assert not grown.words[:, 4:].any()
    assert int(np.bitwise_count(grown.words).sum()) == 2 * 4 * 60


@pytest.mark.parametrize("column", [0, 1, 99])
def test_a_long_run_from_the_first_row_has_no_gap(column: int) -> None:
    mask = np.zeros((1, 1, 100), dtype=bool)
    mask[0, 0, column] = True
    grown = bits.unpack(bits.dilate(bits.pack(mask, [(40,)]), [(40,)]))
    assert np.flatnonzero(grown).tolist() == [x for x in range(100) if abs(x - column) <= 40]
