"""What learns, and what decays."""

import pytest
import torch
from torch import nn

from medcnn.errors import ConfigError
from medcnn.tasks.optimization import parameter_groups

NET = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))


def test_biases_and_scales_of_normalization_do_not_decay():
    decaying, others = parameter_groups(NET)
    assert [p.ndim for p in decaying["params"]] == [4, 2]
    assert [p.ndim for p in others["params"]] == [1, 1, 1, 1]
    optimizer = torch.optim.AdamW([decaying, others], weight_decay=0.1)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]


def test_all_decay_where_that_is_asked_for():
    [everything] = parameter_groups(NET, decay_all=True)
    assert len(everything["params"]) == 6


def test_frozen_parameters_are_left_out_and_a_frozen_net_is_refused():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[0].requires_grad_(False)
    assert sum(len(group["params"]) for group in parameter_groups(net)) == 2
    with pytest.raises(ConfigError, match="unfreeze"):
        parameter_groups(net.requires_grad_(False))
