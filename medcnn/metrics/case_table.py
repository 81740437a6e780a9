"""Figures of each case of an evaluation, gathered from every process."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class CaseTable(Metric):
    """Named figures a case, each a number or one for each of ``width`` classes; each case once, by its number.

    Args:
        single: Names of figures that are one number a case.
        by_class: Names of figures that are ``width`` numbers a case.
        width: Classes that are judged.
    """

    full_state_update = False
    rows: list[Tensor]

    def __init__(self, single: Sequence[str], by_class: Sequence[str], width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.single, self.by_class, self.width = tuple(single), tuple(by_class), width
        # One state and one gathering for all: a row is the case's number and its figures in a fixed order.
        self.add_state("rows", default=[], dist_reduce_fx="cat")

    def update(self, case: int, figures: Mapping[str, Any]) -> None:
        """Keep one case; a figure that is not given is NaN."""
        parts = [torch.tensor([float(case)], dtype=torch.float64)]
        for name, length in self._layout():
            given = figures.get(name, float("nan"))
            parts.append(torch.as_tensor(given, dtype=torch.float64).cpu().reshape(-1).expand(length))
        self.rows.append(torch.cat(parts)[None].to(self.device))

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather from every process; one that saw no case joins with no row."""
        self._fill()
        super().sync(*args, **kwargs)

    def compute(self) -> Tensor:
        """All rows, one a case, by case number ``(n, 1 + figures)``."""
        self._fill()
        rows = _joined(self.rows).cpu().reshape(-1, self._columns())
        order = rows[:, 0].argsort(stable=True)
        numbers = rows[order, 0]
        # A sampler that pads brings some cases twice.
        first = torch.ones_like(numbers, dtype=torch.bool)
        first[1:] = numbers[1:] != numbers[:-1]
        return rows[order][first]

    def table(self) -> dict[str, Tensor]:
        """``cases`` int64 ``(n,)``, single figures ``(n,)``, figures by class ``(n, width)``; float64 on the CPU."""
        # Evaluation runs in inference mode, whose tensors could not be used in a gradient later.
        with torch.inference_mode(False):
            rows = self.compute().clone().reshape(-1, self._columns())
        found, at = {"cases": rows[:, 0].long()}, 1
        for name, length in self._layout():
            part = rows[:, at : at + length]
            found[name], at = (part[:, 0] if name in self.single else part), at + length
        return found

    def _layout(self) -> list[tuple[str, int]]:
        return [(name, 1) for name in self.single] + [(name, self.width) for name in self.by_class]

    def _columns(self) -> int:
        return 1 + len(self.single) + self.width * len(self.by_class)

    def _fill(self) -> None:
        if not len(self.rows):
            self.rows = [torch.zeros(0, self._columns(), dtype=torch.float64, device=self.device)]


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    """After a sync a state is one tensor already."""
    return state if isinstance(state, Tensor) else torch.cat(state)
