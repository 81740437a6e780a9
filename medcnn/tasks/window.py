"""An image of any size through a net that knows one window: overlapping windows weighed by a Gaussian, and mirrored."""

from collections.abc import Callable, Sequence
from itertools import chain, combinations

import torch.nn.functional as F
from monai.inferers.utils import sliding_window_inference
from torch import Tensor

Predict = Callable[[Tensor], Tensor]
#: Windows that go through the net together.
WINDOWS = 4


def in_windows(predict: Predict, image: Tensor, patch_size: Sequence[int] | None, overlap: float = 0.5) -> Tensor:
    """Probabilities of a whole image, at every voxel a mean of the windows that saw it.

    A window counts most at its middle, by a Gaussian whose deviation is an eighth of the window: towards its border
    the net sees less around a voxel. An image that fits into one window is one forward pass.

    Args:
        predict: Windows ``(B, C, *patch_size)`` to probabilities ``(B, K, *patch_size)``.
        image: ``(1, C, *spatial)``; along an axis where it is smaller than the window it is padded with zeros.
        patch_size: The window; None for the whole image.
        overlap: Share of a window that the next one sees again, in [0, 1).

    Returns:
        Float32 ``(K, *spatial)``.
    """
    size = tuple(image.shape[2:])
    if patch_size is None or size == tuple(patch_size):
        return predict(image)[0].float()
    if all(have <= room for have, room in zip(size, patch_size, strict=True)):
        return _in_one(predict, image, patch_size)
    found = sliding_window_inference(image, tuple(patch_size), WINDOWS, predict, overlap, mode="gaussian")
    assert isinstance(found, Tensor)
    return found[0].float()


def mirrored(predict: Predict, axes: Sequence[int]) -> Predict:
    """The mean of what is predicted for an image and for its mirror images along ``axes`` (0 the first after C)."""
    turns = list(chain.from_iterable(combinations([axis + 2 for axis in axes], n) for n in range(len(axes) + 1)))

    def mean(image: Tensor) -> Tensor:
        total = predict(image)
        for turn in turns[1:]:
            total = total + predict(image.flip(turn)).flip(turn)
        return total / len(turns)

    return mean if axes else predict


def _in_one(predict: Predict, image: Tensor, patch_size: Sequence[int]) -> Tensor:
    """One forward pass of an image in the middle of its window."""
    missing = [room - have for have, room in zip(image.shape[2:], patch_size, strict=True)]
    sides = [side for lack in reversed(missing) for side in (lack // 2, lack - lack // 2)]
    found = predict(F.pad(image, sides))
    for axis, (lack, have) in enumerate(zip(missing, image.shape[2:], strict=True), start=2):
        found = found.narrow(axis, lack // 2, have)
    return found[0].float()
