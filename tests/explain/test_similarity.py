"""How alike two maps are, against scipy and by law."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from medcnn.explain.similarity import rank_correlations, structural_similarities


@pytest.mark.parametrize("spatial", [(12, 17), (6, 7, 8), (4, 4, 4)])
def test_the_rank_correlation_is_that_of_scipy_ties_included(spatial: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randint(0, 9, (3, *spatial), generator=generator).float() for _ in range(2))
    expected = [spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(rank_correlations(first, second), expected, atol=1e-12)


@pytest.mark.parametrize("spatial", [(12, 17), (9, 8, 10), (4, 5, 6)])
def test_a_map_is_like_itself_and_unlike_one_that_is_zero(spatial: tuple[int, ...]) -> None:
    maps = torch.rand(2, *spatial, generator=torch.Generator().manual_seed(1))
    for measure in (rank_correlations, structural_similarities):
        np.testing.assert_allclose(measure(maps, maps), 1)
        assert measure(maps, torch.zeros_like(maps)).tolist() == [0, 0]
        assert measure(torch.zeros_like(maps), torch.zeros_like(maps)).tolist() == [0, 0]


def test_maps_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        rank_correlations(torch.zeros(2, 4, 4), torch.zeros(2, 4, 5))
