"""Each case once and in order, on one process and on two that saw different numbers of them."""

import copy
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from processes import TIME_LIMIT_S

from medcnn.metrics.predictions import Predictions


def test_cases_come_back_in_order_each_once():
    kept = Predictions(2)
    kept.update(torch.tensor([[3.0, 0], [1, 0]]), torch.tensor([1, 0]), torch.tensor([3, 1]))
    kept.update(torch.tensor([[2.0, 0], [3, 0]]), torch.tensor([-1, 1]), torch.tensor([2, 3]))
    found = kept.compute()
    assert found["cases"].tolist() == [1, 2, 3]
    assert found["labels"].tolist() == [0, -1, 1]
    assert found["logits"][:, 0].tolist() == [1, 2, 3]


def test_half_precision_is_kept_as_float32():
    kept = Predictions(2)
    kept.update(torch.ones(1, 2, dtype=torch.bfloat16), torch.tensor([0]), torch.tensor([0]))
    assert kept.compute()["logits"].dtype == torch.float32


def test_what_inference_mode_kept_can_be_used_in_a_gradient():
    kept = Predictions(2)
    with torch.inference_mode():
        kept.update(torch.ones(1, 2), torch.tensor([0]), torch.tensor([0]))
        found = kept.compute()
    scale = torch.ones(1, requires_grad=True)
    (found["logits"] * scale).sum().backward()
    assert scale.grad.item() == 2


@pytest.mark.parametrize("multilabel", [False, True])
def test_a_single_case_keeps_its_axis(multilabel):
    kept = copy.deepcopy(Predictions(1, multilabel))
    kept.update(torch.ones(1, 1), torch.ones(1, 1) if multilabel else torch.tensor([0]), torch.tensor([7]))
    found = kept.compute()
    assert found["logits"].shape == (1, 1)
    assert found["labels"].shape == ((1, 1) if multilabel else (1,))
    assert found["cases"].tolist() == [7]


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_a_reset_forgets():
    kept = Predictions(2)
    kept.update(torch.ones(1, 2), torch.tensor([0]), torch.tensor([0]))
    kept.reset()
    assert kept.compute()["cases"].tolist() == []


def _of_a_rank(rank, port, queue):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    found = {}
    for name, owned in {"odd": [[0, 2, 4], [1, 3]], "none": [[0, 1, 2], []], "twice": [[0, 2], [1, 2]]}.items():
        kept = Predictions(3, multilabel=True)
        if owned[rank]:
            cases = torch.tensor(owned[rank])
            kept.update(cases[:, None].float().expand(-1, 3), torch.full((len(cases), 3), torch.nan), cases)
        result = kept.compute()
        found[name] = (result["cases"].tolist(), result["logits"][:, 0].tolist(), tuple(result["labels"].shape))
    queue.put(found)
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_that_saw_different_numbers_of_cases_agree():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = mp.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=_of_a_rank, args=(rank, port, queue)) for rank in range(2)]
    for worker in workers:
        worker.start()
    found = [queue.get(timeout=TIME_LIMIT_S) for _ in workers]
    for worker in workers:
        worker.join()
    assert found[0] == found[1]
    assert found[0]["odd"] == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], (5, 3))
    assert found[0]["none"] == found[0]["twice"] == ([0, 1, 2], [0, 1, 2], (3, 3))
