"""Counting voxels gives the figures of the slower, fuller measurement."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medcnn.metrics.overlap import overlap
from medcnn.metrics.segmentation import case_figures


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 5))
def test_counts_give_what_the_full_measurement_gives(seed: int, classes: int) -> None:
    chance = np.random.default_rng(seed)
    names = [f"c{k}" for k in range(classes)]
    # Some classes are in neither, some in one of the two, some voxels unknown.
    found = chance.choice(chance.choice(classes, 2), (4, 3, 5))
    truth = chance.choice(np.append(chance.choice(classes, 2), -1), (4, 3, 5))
    quick = overlap(torch.tensor(found), torch.tensor(truth), classes, 1.5)
    full = case_figures(found, truth, names, (0.5, 1.5, 2.0), 1.0)
    for name, values in quick.items():
        np.testing.assert_allclose(values, [full[c][name] for c in names[1:]], err_msg=name)


def test_by_hand() -> None:
    found, truth = torch.tensor([1, 1, 0, 2, 2, 2]), torch.tensor([1, 0, 1, 2, 2, -1])
    figures = overlap(found, truth, 3, 2.0)
    assert figures["dice"].tolist() == [0.5, 1.0]
    assert figures["volume_mm3"].tolist() == [4.0, 4.0]
    assert figures["volume_error"].tolist() == [0.0, 0.0]
