"""What a fit says when it is over."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor
from torch.utils.data import DataLoader

from medcnn.cli.finish import stopped_early


class Rising(pl.LightningModule):
    """Its figure rises for so many epochs and then stays."""

    def __init__(self, until: int) -> None:
        super().__init__()
        self.until, self.weight = until, torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: Tensor, _: int) -> Tensor:
        return (self.weight * batch).sum()

    def validation_step(self, batch: Tensor, _: int) -> None:
        self.log("val/auroc", float(min(self.current_epoch, self.until)), batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.0)


@pytest.mark.parametrize(
    ("until", "every", "told"),
    [
        (2, 1, "after epoch 6 of 9: val/auroc had not risen for 3"),
        (2, 2, ""),
        (1, 2, "after epoch 8 of 9: val/auroc had not risen for 3 validations"),
        (8, 1, ""),
    ],
)
def test_a_fit_that_ends_early_says_when_and_why(until: int, every: int, told: str) -> None:
    stopping = EarlyStopping("val/auroc", mode="max", patience=3)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=9, callbacks=[stopping], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, check_val_every_n_epoch=every,
    )  # fmt: skip
    data = DataLoader([torch.ones(1)])  # type: ignore[arg-type]
    trainer.fit(Rising(until), data, data)
    assert stopped_early(trainer) == told
