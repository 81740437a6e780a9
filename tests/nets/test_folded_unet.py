import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medcnn.nets.folded_unet import FoldedUNet, folded, unfolded


@given(st.lists(st.integers(1, 4), min_size=2, max_size=3), st.integers(2, 3), st.integers(1, 3))
def test_unfolding_undoes_folding(blocks: list[int], block: int, channels: int) -> None:
    image = torch.arange(2 * channels * torch.tensor([n * block for n in blocks]).prod().item())
    image = image.view(2, channels, *(n * block for n in blocks))
    assert torch.equal(unfolded(folded(image, block), block), image)


def test_a_voxel_is_folded_to_the_place_of_its_block() -> None:
    image = torch.zeros(1, 1, 6, 8, 10)
    image[0, 0, 3, 5, 8] = 1
    where = folded(image, 2).nonzero()[0].tolist()
    assert where[2:] == [1, 2, 4]
    assert where[1] == 0b110  # odd, odd, even


def test_a_size_that_does_not_divide_is_padded_and_cut_back() -> None:
    net = FoldedUNet(3, 1, 3, widths=(4, 8), strides=(2,), head=2).eval()
    assert net(torch.randn(1, 1, 17, 20, 13)).shape == (1, 3, 17, 20, 13)


def test_a_block_of_one_voxel_is_refused() -> None:
    with pytest.raises(ValueError, match="block is 1"):
        FoldedUNet(block=1)
