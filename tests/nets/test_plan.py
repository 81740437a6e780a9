"""Plans of U-Nets: by hand, against the net that is built of them, and against the memory it keeps."""

import importlib
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from medcnn.nets.plan import LEAST, Plan, halvings, plan_unet
from medcnn.nets.unet import UNet


def _built(plan: Plan, deep_supervision: bool = False) -> nn.Module:
    recipe = plan.net(deep_supervision)
    room, name = recipe["class_path"].rsplit(".", 1)
    net: nn.Module = getattr(importlib.import_module(room), name)(**recipe["init_args"])
    return net


def test_a_hippocampus_of_a_millimeter_fits_whole() -> None:
    # 36 halves to 18, 9 and 5: three times, so 36, 50, 35 become multiples of 8.
    plan = plan_unet((1, 1, 1), (36, 50, 35), channels=1, classes=3, cases=260)
    assert plan.patch_size == (40, 56, 40)
    assert plan.strides == ((2, 2, 2),) * 3
    assert plan.kernels == ((3, 3, 3),) * 4
    assert plan.widths == (32, 64, 128, 256)
    assert plan.batch_size == 9  # 5 % of 260 cases of 63,000 voxels are 819,000: 9.1 patches


def test_thick_slices_are_halved_in_their_plane_until_the_spacing_is_alike() -> None:
    strides, kernels = halvings((20, 256, 256), (6.0, 0.8, 0.8))
    # 0.8 and 1.6 are less than half of 6; at 3.2 the slices join in.
    assert strides[:3] == ((1, 2, 2), (1, 2, 2), (2, 2, 2))
    assert kernels[:3] == ((1, 3, 3), (1, 3, 3), (3, 3, 3))
    assert kernels[-1] == (3, 3, 3)


def test_an_axis_stops_halving_before_it_has_less_than_four_voxels() -> None:
    strides, _ = halvings((8, 64, 64), (1.0, 1.0, 1.0))
    # After 8 to 4 the slices stay; the others may go on: 32, 16, 8, 4.
    assert strides == ((2, 2, 2), (1, 2, 2), (1, 2, 2), (1, 2, 2))


def test_a_large_image_is_cut_where_most_of_it_is_seen_until_it_fits() -> None:
    plan = plan_unet((1, 1, 1), (240, 240, 155), channels=4, classes=4, memory_gb=8)
    larger = plan_unet((1, 1, 1), (240, 240, 155), channels=4, classes=4, memory_gb=16)
    assert plan.memory_gb() <= 8 < larger.memory_gb() <= 16
    assert math.prod(plan.patch_size) < math.prod(larger.patch_size)
    shares = [p / n for p, n in zip(plan.patch_size, (240, 240, 155), strict=True)]
    assert max(shares) - min(shares) < 0.35
    assert plan.batch_size == 2


def test_films_are_planned_in_two_dimensions() -> None:
    plan = plan_unet((0.2, 0.2), (1024, 900), channels=1, classes=2, memory_gb=24)
    assert len(plan.patch_size) == 2
    assert max(plan.widths) == 512


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.3, 6), st.integers(12, 400)), min_size=2, max_size=3), st.sampled_from([4.0, 12.0])
)
def test_every_plan_keeps_its_promises(axes: list[tuple[float, int]], memory_gb: float) -> None:
    spacing, size = zip(*axes, strict=True)
    plan = plan_unet(spacing, size, channels=2, classes=3, memory_gb=memory_gb)
    divisors = [math.prod(axis) for axis in zip(*plan.strides, strict=True)]
    assert all(n % d == 0 and n // d >= LEAST for n, d in zip(plan.patch_size, divisors, strict=True) if d > 1)
    assert all(p < n + d for p, n, d in zip(plan.patch_size, size, divisors, strict=True))
    assert len(plan.widths) == len(plan.kernels) == len(plan.strides) + 1
    assert plan.batch_size >= 2
    assert plan.memory_gb() <= memory_gb


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 1.0, 1.0)])
def test_the_net_of_a_plan_is_the_one_it_counted(spacing: tuple[float, ...]) -> None:
    plan = plan_unet(spacing, (20, 32, 24), channels=2, classes=3, width=8)
    net = _built(plan)
    assert isinstance(net, UNet)
    assert plan.parameters() == pytest.approx(sum(p.numel() for p in net.parameters()), rel=0.02)
    assert [p % d for p, d in zip(plan.patch_size, net.divisors[-1], strict=True)] == [0, 0, 0]


@pytest.mark.parametrize(("size", "width"), [((24, 32, 24), 16), ((64, 64), 16)])
def test_the_memory_is_what_a_forward_pass_keeps_for_the_way_back(size: tuple[int, ...], width: int) -> None:
    plan = plan_unet((1.0,) * len(size), size, channels=1, classes=3, width=width, cases=1)
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        held.append(tensor)
        return tensor

    held: list[torch.Tensor] = []
    net = _built(plan)
    image = torch.randn(plan.batch_size, 1, *plan.patch_size)
    target = torch.zeros(plan.batch_size, *plan.patch_size, dtype=torch.int64)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        nn.functional.cross_entropy(net(image), target)
    found = sum(kept.values()) + 12 * plan.parameters()  # the weights are among what is kept
    assert plan.memory_gb(bytes_a_value=4) == pytest.approx(found / 1e9, rel=0.33)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (40, 40)}, "two axes, or for three"),
        ({"spacing_mm": (1, 1, 0)}, "above 0"),
        ({"channels": 0}, "at least 1"),
        ({"memory_gb": 1e-4}, "fits 0.0001 GB"),
        ({"size": (6, 6, 6)}, "can be halved"),
    ],
)
def test_what_cannot_be_planned_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_unet(**{"spacing_mm": (1, 1, 1), "size": (40, 40, 40), "channels": 1, "classes": 2, **arguments})
