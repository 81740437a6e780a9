"""The average is what is validated, kept and shipped; resuming does not change it."""

from pathlib import Path

import pytest
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from medcnn.tasks.averaging import ExponentialAverage
from medcnn.tasks.checkpoint import open_product
from medcnn.tasks.schedule import CosineWithWarmup


class Steps(Callback):
    """Keeps the weights after each step, and those validated with."""

    def __init__(self):
        self.after, self.validated = [], []

    def on_train_batch_end(self, trainer, task, *_):
        self.after.append({name: p.detach().clone() for name, p in task.named_parameters()})

    def on_validation_batch_start(self, trainer, task, *_):
        self.validated.append({name: p.detach().clone() for name, p in task.named_parameters()})


def test_the_average_is_the_recursion_by_hand(trainer, task, cohort):
    model, steps, average = task(), Steps(), ExponentialAverage(decay=0.9)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainer(max_epochs=2, callbacks=[average, steps]).fit(model, datamodule=cohort())
    for name, expected in start.items():
        for n, weights in enumerate(steps.after):
            decay = min(0.9, (1 + n) / (10 + n))
            expected = decay * expected + (1 - decay) * weights[name]
        torch.testing.assert_close(model.get_parameter(name), expected)


def test_validation_sees_the_average_and_the_checkpoint_holds_it(trainer, task, cohort, tmp_path):
    model, steps = task(), Steps()
    kept = ModelCheckpoint(tmp_path, monitor="val/auroc", mode="max", filename="best")
    trainer(max_epochs=1, callbacks=[ExponentialAverage(), steps, kept], enable_checkpointing=True).fit(
        model, datamodule=cohort()
    )
    product = open_product(Path(kept.best_model_path))
    for name, shipped in product.weights.items():
        if name in steps.validated[-1]:
            assert torch.equal(shipped, steps.validated[-1][name])
    assert any(not torch.equal(product.weights[name], last) for name, last in steps.after[-1].items())


def test_a_test_after_fit_by_the_same_trainer_judges_the_average(trainer, task, cohort, tmp_path):
    model, data = task(), cohort()
    kept = ModelCheckpoint(tmp_path, monitor="val/auroc", mode="max", filename="best")
    run = trainer(max_epochs=2, callbacks=[ExponentialAverage(), kept], enable_checkpointing=True)
    run.fit(model, datamodule=data)
    run.test(model, datamodule=data, ckpt_path=kept.best_model_path, verbose=False)
    shipped = open_product(Path(kept.best_model_path)).build_task()
    torch.testing.assert_close(
        shipped(data.splits["test"]["image"]), model.evaluated["test"]["logits"], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize("scheduler", [None, "cosine"])
def test_a_resumed_training_reaches_the_same_weights_bit_for_bit(averaged, scheduler, trainer, task, cohort, tmp_path):
    def fitted(folder, epochs, stop=None, resume=None):
        kept = ModelCheckpoint(folder, save_last=True)
        average = [ExponentialAverage()] if averaged else []
        model = task(scheduler=None)
        if scheduler:
            model.scheduler = CosineWithWarmup
        run = trainer(
            max_epochs=epochs, callbacks=[*average, *([stop] if stop else []), kept], enable_checkpointing=True
        )
        run.fit(model, datamodule=cohort(), ckpt_path=resume)
        return model

    class Stop(Callback):
        def on_train_epoch_start(self, run, task):
            if run.current_epoch == 2:
                raise KeyError("power cut")

    whole = fitted(tmp_path / "whole", 4)
    with pytest.raises(KeyError):
        fitted(tmp_path / "cut", 4, stop=Stop())
    resumed = fitted(tmp_path / "cut", 4, resume=tmp_path / "cut" / "last.ckpt")
    for (name, expected), found in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(expected, found), name
    assert whole.decision == resumed.decision


@pytest.mark.parametrize("averaged", [False, True])
def test_a_finished_training_can_be_taken_further(averaged, trainer, task, cohort, tmp_path):
    def fitted(folder, epochs, resume=None):
        kept = ModelCheckpoint(folder, save_last=True)
        model = task()
        average = [ExponentialAverage()] if averaged else []
        run = trainer(max_epochs=epochs, callbacks=[*average, kept], enable_checkpointing=True)
        run.fit(model, datamodule=cohort(), ckpt_path=resume)
        return model

    whole = fitted(tmp_path / "whole", 3)
    fitted(tmp_path / "short", 1)
    longer = fitted(tmp_path / "short", 3, resume=tmp_path / "short" / "last.ckpt")
    for name, expected in whole.state_dict().items():
        assert torch.equal(expected, longer.state_dict()[name]), name
