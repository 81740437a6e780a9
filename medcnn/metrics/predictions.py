"""What a model said about each case of an evaluation, gathered from every process."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class Predictions(Metric):
    """Logits, labels and case numbers of one evaluation; each case once, in the order of the case numbers.

    An update only keeps references: nothing is computed, moved or waited for before the end of the epoch.

    Args:
        outputs: Logits a case, K.
        multilabel: Labels are float ``(B, K)`` with NaN unknown; otherwise int64 ``(B,)`` with -1 unknown.
    """

    full_state_update = False
    logits: list[Tensor]
    labels: list[Tensor]
    cases: list[Tensor]

    def __init__(self, outputs: int, multilabel: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outputs, self.multilabel = outputs, multilabel
        for name in ("logits", "labels", "cases"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, logits: Tensor, labels: Tensor, cases: Tensor) -> None:
        """Keep one batch: logits ``(B, K)``, labels, and case numbers int64 ``(B,)``."""
        self.logits.append(logits.detach().float())
        self.labels.append(labels.detach())
        self.cases.append(cases.detach())

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather from every process; one that saw no case joins with empty tensors of the right shape and type."""
        self._fill()
        super().sync(*args, **kwargs)

    def compute(self) -> dict[str, Tensor]:
        """What was kept, on the CPU: ``logits`` float32 ``(n, K)``, ``labels``, ``cases`` int64 ``(n,)``, sorted."""
        self._fill()
        logits, labels, cases = (_joined(state).cpu() for state in (self.logits, self.labels, self.cases))
        numbers, inverse = torch.unique(cases, return_inverse=True)
        # The first row of each case: a sampler that pads would bring some twice.
        first = torch.full((len(numbers),), len(cases)).scatter_reduce(
            0, inverse, torch.arange(len(cases)), reduce="amin"
        )
        return {"logits": logits[first], "labels": labels[first], "cases": numbers}

    def _wrap_compute(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        """Undo what torchmetrics does to a result: of a single case it would drop the axis of cases."""
        wrapped = super()._wrap_compute(compute)

        def restored() -> dict[str, Tensor]:
            found, rows = wrapped(), (-1, self.outputs)
            # Evaluation runs in inference mode, whose tensors could not be used in a gradient later.
            with torch.inference_mode(False):
                return {
                    "logits": found["logits"].clone().reshape(rows),
                    "labels": found["labels"].clone().reshape(rows if self.multilabel else -1),
                    "cases": found["cases"].clone().reshape(-1),
                }

        return restored

    def _fill(self) -> None:
        if len(self.cases):
            return
        labels = torch.zeros(0, self.outputs) if self.multilabel else torch.zeros(0, dtype=torch.int64)
        self.logits = [torch.zeros(0, self.outputs, device=self.device)]
        self.labels = [labels.to(self.device)]
        self.cases = [torch.zeros(0, dtype=torch.int64, device=self.device)]


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    """After a sync a state is one tensor already."""
    return state if isinstance(state, Tensor) else torch.cat(state)
