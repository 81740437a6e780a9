"""A misfit of parts is one line that says what would fit; a bug stays a bug."""

import pytest
import torch
from torch import nn

from medcnn.errors import ConfigError
from medcnn.tasks.fit_of_parts import check_batch, check_counts, explained

NAMES = ("mass", "nodule")
IMAGES = torch.zeros(3, 1, 8, 8)


@pytest.mark.parametrize("net", [
    nn.Conv2d(3, 2, 3), nn.Conv3d(1, 2, 3), nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), nn.Conv2d(1, 2, 9),
])  # fmt: skip
def test_images_a_net_cannot_take_are_told_with_their_shape(net):
    with pytest.raises(ConfigError, match=r"\(1, 8, 8\)") as caught:
        explained(net, IMAGES)
    assert "\n" not in str(caught.value)


def test_another_error_of_a_net_is_passed_on():
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        explained(Broken(), IMAGES)


@pytest.mark.parametrize(("labels", "multilabel"), [
    (torch.tensor([0, 1, -1]), False), (torch.tensor([[0, 1], [torch.nan, 0], [0.5, 1]]), True),
])  # fmt: skip
def test_what_fits_passes(labels, multilabel):
    check_batch({"image": IMAGES, "label": labels}, torch.zeros(3, 2), NAMES, multilabel)


@pytest.mark.parametrize(("labels", "multilabel", "said"), [
    (torch.tensor([0, 1, 2]), False, "a label is 2; expected 0 to 1"),
    (torch.tensor([0, 1, -2]), False, "a label is -2"),
    (torch.tensor([[0.0, 1.5]] * 3), True, "a label is 1.5; expected 0 to 1, or NaN"),
    (torch.tensor([0.0, 1.0, 1.0]), False, "float32"),
    (torch.zeros(2, dtype=torch.int64), False, r"expected int64 classes.*\(3,\)"),
])  # fmt: skip
def test_labels_that_do_not_fit_are_told(labels, multilabel, said):
    with pytest.raises(ConfigError, match=said):
        check_batch({"image": IMAGES, "label": labels}, torch.zeros(3, 2), NAMES, multilabel)


def test_counts_pass_or_are_told():
    counts = torch.tensor([3, 4])
    assert check_counts(counts, NAMES, False) is counts
    with pytest.raises(ConfigError, match=r"expected \(2, 2\)"):
        check_counts(counts, NAMES, True)
