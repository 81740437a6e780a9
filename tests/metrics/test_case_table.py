"""A table holds each case once, in order, with all figures in their place."""

import torch

from medcnn.metrics.case_table import CaseTable


def test_cases_come_back_in_order_each_once_with_nan_for_what_was_not_measured() -> None:
    table = CaseTable(("loss",), ("dice", "nsd"), 2)
    table.update(7, {"loss": 0.5, "dice": [0.7, 0.8]})
    table.update(3, {"loss": torch.tensor(0.25), "dice": torch.tensor([0.5, 0.25]), "nsd": [0.3, 0.4]})
    table.update(7, {"loss": 0.5, "dice": [0.7, 0.8]})
    found = table.table()
    assert found["cases"].tolist() == [3, 7]
    assert found["loss"].tolist() == [0.25, 0.5]
    assert found["dice"].tolist() == [[0.5, 0.25], [0.7, 0.8]]
    assert found["nsd"][0].tolist() == [0.3, 0.4]
    assert found["nsd"][1].isnan().all()


def test_a_process_without_a_case_has_a_table_of_the_right_shape() -> None:
    found = CaseTable(("loss",), ("dice",), 3).table()
    assert (found["cases"].shape, found["loss"].shape, found["dice"].shape) == ((0,), (0,), (0, 3))
    assert found["cases"].dtype == torch.int64


def test_a_single_case_keeps_its_axis() -> None:
    table = CaseTable(("loss",), ("dice",), 1)
    table.update(4, {"loss": 1.0, "dice": 0.5})
    found = table.table()
    assert (found["loss"].shape, found["dice"].tolist()) == ((1,), [[0.5]])
