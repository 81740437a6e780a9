"""Is training still sound? The gradient's norm for the record, and a stop with advice when numbers break."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medcnn.errors import MedcnnError


class GradientWatch(pl.Callback):
    """Log the norm of the gradient once an epoch, and stop at the first loss or gradient that is not finite.

    On a device that works ahead of the program, looking at a number makes the program wait: there it looks every
    ``every`` steps. On the CPU the loss is looked at in every step, which costs nothing.

    Args:
        every: Steps between two looks at the gradient, at least 1.
    """

    def __init__(self, every: int = 50) -> None:
        if every < 1:
            raise ValueError(f"every is {every}; look at the gradient at least every step: 1 or more")
        self.every = every
        self._norms: list[float] = []
        self._batch: dict[str, Tensor] = {}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the batch, to find out where its numbers break if they do."""
        self._batch = batch

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Look at the loss while the weights are still those that made it."""
        if (loss.device.type == "cpu" or self._due(trainer)) and not bool(loss.isfinite()):
            raise MedcnnError(
                f"the loss is {loss.item()} in step {trainer.global_step}: {breaking_point(pl_module, self._batch)}"
            )

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Every few steps, measure the gradient before it is applied."""
        if not self._due(trainer):
            return
        gradients = {name: p.grad for name, p in pl_module.named_parameters() if p.grad is not None}
        norm = float(nn.utils.get_total_norm(list(gradients.values()), foreach=True))
        # Loss scaling in float16 overflows on purpose now and then, and skips that step.
        if torch.tensor(norm).isfinite():
            self._norms.append(norm)
        elif getattr(trainer.precision_plugin, "scaler", None) is None:
            broken = next((name for name, g in gradients.items() if not bool(g.isfinite().all())), "their sum")
            raise MedcnnError(
                f"the gradient is {norm} in step {trainer.global_step}, first in {broken}: lower the learning rate, "
                "set trainer.gradient_clip_val to 1, or train in float32 or bfloat16"
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log mean and maximum of the norms seen in the epoch."""
        if self._norms:
            pl_module.log("train/gradient_norm", sum(self._norms) / len(self._norms), rank_zero_only=True)
            pl_module.log("train/gradient_norm_max", max(self._norms), rank_zero_only=True)
        self._norms.clear()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let the last batch go."""
        self._batch = {}

    def _due(self, trainer: pl.Trainer) -> bool:
        return trainer.global_step % self.every == 0


def breaking_point(task: nn.Module, batch: dict[str, Tensor]) -> str:
    """Where numbers stop being finite for a batch, and what to do about it: the end of a sentence.

    Args:
        task: Takes the batch's ``image``; it is run once more, without a gradient.
        batch: ``{"image": (B, C, *spatial), ...}``.
    """
    if not bool(batch["image"].isfinite().all()):
        return "the images themselves hold NaN or infinity; normalize them in preprocess, which leaves no such value"
    lost = next((name for name, p in task.named_parameters() if not bool(p.isfinite().all())), None)
    if lost:
        return (
            f"the weights of {lost} are no longer finite; lower the learning rate or set trainer.gradient_clip_val to 1"
        )
    broken: list[str] = []
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: _note(broken, name, out))
        for name, module in task.named_modules()
        if not list(module.children())
    ]
    try:
        with torch.no_grad():
            task(batch["image"])
    finally:
        for hook in hooks:
            hook.remove()
    if broken:
        return f"first in the output of {broken[0]}; lower the learning rate, or train in float32 or bfloat16"
    return "the logits are finite, so it arises in the loss; look at its weights and at the labels"


def _note(broken: list[str], name: str, output: Any) -> None:
    if isinstance(output, Tensor) and not bool(output.isfinite().all()):
        broken.append(name)
