"""The schedule by hand, and that the task tells it how long the training is."""

import pytest
import torch
from pytorch_lightning.callbacks import Callback

from medcnn.errors import ConfigError
from medcnn.tasks.schedule import CosineWithWarmup


def rates(steps=10, **arguments):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=2.0)
    schedule = CosineWithWarmup(optimizer, total_steps=steps, **arguments)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_by_hand():
    found = rates(warmup=0.2, floor=0.0)
    assert found[:3] == pytest.approx([1.0, 2.0, 2.0])
    assert found[6] == pytest.approx(1.0)  # half-way down
    assert found[-1] < 0.1


def test_it_ends_at_its_floor():
    assert rates(steps=1000, floor=0.1)[-1] == pytest.approx(0.2, rel=1e-3)


def test_without_a_warmup_it_begins_at_the_top():
    assert rates(warmup=0.0)[0] == 2.0


@pytest.mark.parametrize("arguments", [{"warmup": 1.0}, {"warmup": -0.1}, {"floor": 1.5}, {"total_steps": -1}])
def test_arguments_that_mean_nothing_are_refused(arguments):
    with pytest.raises(ValueError, match="must lie in"):
        CosineWithWarmup(torch.optim.SGD([torch.nn.Parameter(torch.ones(1))]), **arguments)


class Rates(Callback):
    def __init__(self):
        self.found = []

    def on_train_batch_start(self, trainer, *_):
        self.found.append(trainer.optimizers[0].param_groups[0]["lr"])


def test_the_task_spreads_it_over_every_step_of_the_training(trainer, task, cohort):
    model, seen = task(), Rates()
    model.optimizer, model.scheduler = lambda groups: torch.optim.SGD(groups, lr=2.0), CosineWithWarmup
    trainer(max_epochs=3, callbacks=[seen]).fit(model, datamodule=cohort())
    assert seen.found == pytest.approx(rates(steps=24))


def test_a_scheduler_of_torch_steps_once_an_epoch(trainer, task, cohort):
    model, seen = task(), Rates()
    model.optimizer = lambda groups: torch.optim.SGD(groups, lr=2.0)
    model.scheduler = lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    trainer(max_epochs=2, callbacks=[seen]).fit(model, datamodule=cohort())
    assert seen.found == [2.0] * 8 + [1.0] * 8


def test_a_plateau_scheduler_watches_the_validation_loss(trainer, task, cohort):
    model = task()
    model.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau
    trainer(max_epochs=2).fit(model, datamodule=cohort())


def test_a_training_without_an_end_is_refused(trainer, task, cohort):
    model = task()
    model.scheduler = CosineWithWarmup
    with pytest.raises(ConfigError, match="max_epochs"):
        trainer(max_epochs=-1).fit(model, datamodule=cohort())
