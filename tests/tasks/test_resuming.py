"""A resumed training: equal to the bit where nothing changed, and by the command's settings where something did."""

import functools
import math
from collections import Counter

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.optim import lr_scheduler as torch_schedulers

from medcnn.errors import ConfigError
from medcnn.tasks.averaging import ExponentialAverage
from medcnn.tasks.optimization import Optimization, build_schedule, state_names
from medcnn.tasks.schedule import CosineWithWarmup

AdamW = functools.partial(torch.optim.AdamW, lr=0.01)
SCHEDULES = {
    "none": None,
    "plateau": functools.partial(torch_schedulers.ReduceLROnPlateau, patience=0, factor=0.5, threshold=0.5),
    "one cycle": functools.partial(torch_schedulers.OneCycleLR, max_lr=0.02),
    "cyclic": functools.partial(torch_schedulers.CyclicLR, base_lr=0.001, max_lr=0.01, step_size_up=3),
    "steps": functools.partial(torch_schedulers.MultiStepLR, milestones=[1, 3]),
    "exponential": functools.partial(torch_schedulers.ExponentialLR, gamma=0.7),
    "restarts": functools.partial(torch_schedulers.CosineAnnealingWarmRestarts, T_0=2),
    "annealing": functools.partial(torch_schedulers.CosineAnnealingLR, T_max=4),
    "linear": functools.partial(torch_schedulers.LinearLR, total_iters=3),
    "polynomial": functools.partial(torch_schedulers.PolynomialLR, total_iters=4),
}


@pytest.fixture
def fitted(trainer, task, cohort, tmp_path):
    """Fit the small task; returns it, with the rate at which each step was made."""

    def fit(epochs, resume=None, optimizer=AdamW, schedule=None, folder="run", data=None, **flags):
        model = task()
        model.optimizer, model.scheduler = optimizer, schedule
        rates = []
        inner = model.training_step

        def noted(batch, batch_idx):
            rates.append(model.trainer.optimizers[0].param_groups[0]["lr"])
            return inner(batch, batch_idx)

        model.training_step = noted
        kept = ModelCheckpoint(tmp_path / folder, filename="last", save_on_train_epoch_end=True)
        run = trainer(max_epochs=epochs, callbacks=[ExponentialAverage(), kept], enable_checkpointing=True, **flags)
        run.fit(model, datamodule=data or cohort(), ckpt_path=resume)
        model.rates, model.file = rates, tmp_path / folder / "last.ckpt"
        return model

    return fit


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_resume_that_changes_nothing_changes_no_bit(name, fitted) -> None:
    schedule = SCHEDULES[name]
    if name == "one cycle":
        schedule = functools.partial(schedule, total_steps=40)
    whole = fitted(4, schedule=schedule, folder="whole")
    half = fitted(2, schedule=schedule, folder="half")
    resumed = fitted(4, half.file, schedule=schedule, folder="half")
    assert half.rates + resumed.rates == whole.rates
    for part, expected in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[part], expected), part


def test_a_longer_training_is_planned_for_its_new_length(fitted) -> None:
    short = fitted(2, schedule=CosineWithWarmup)
    resumed = fitted(5, short.file, schedule=CosineWithWarmup)
    total = 5 * len(short.rates) // 2
    rising = round(0.1 * total)

    def rate(step: int) -> float:
        return 0.01 * (1 + math.cos(math.pi * (step - rising) / (total - rising))) / 2

    expected = [rate(step) for step in range(len(short.rates), total)]
    assert resumed.rates == pytest.approx(expected)
    assert min(resumed.rates) > 0


def test_larger_batches_leave_the_schedule_steps_to_make(fitted, cohort) -> None:
    short = fitted(3, schedule=CosineWithWarmup)
    resumed = fitted(5, short.file, schedule=CosineWithWarmup, data=cohort(size=61))
    assert len(resumed.rates) == 2
    assert min(resumed.rates) > 0


@pytest.mark.parametrize(
    ("schedule", "factor"),
    [
        (None, lambda epoch: 1.0),
        (SCHEDULES["exponential"], lambda epoch: 0.7**epoch),
        (SCHEDULES["steps"], lambda epoch: 0.1 ** ((epoch >= 1) + (epoch >= 3))),
    ],
)
def test_a_new_learning_rate_is_used(schedule, factor, fitted) -> None:
    before = fitted(2, schedule=schedule)
    steps = len(before.rates) // 2
    resumed = fitted(4, before.file, functools.partial(torch.optim.AdamW, lr=1e-5), schedule)
    assert resumed.rates == pytest.approx([1e-5 * factor(2 + step // steps) for step in range(2 * steps)])


@pytest.mark.parametrize("before", [None, CosineWithWarmup, SCHEDULES["plateau"], SCHEDULES["one cycle"]])
def test_another_schedule_continues_at_the_epoch_reached(before, fitted) -> None:
    first = fitted(2, schedule=before)
    steps = len(first.rates) // 2
    resumed = fitted(4, first.file, schedule=SCHEDULES["exponential"])
    assert resumed.rates == pytest.approx([0.01 * 0.7 ** (2 + step // steps) for step in range(2 * steps)])


def test_a_plateau_keeps_what_it_has_seen_and_takes_new_settings(fitted) -> None:
    before = fitted(3, schedule=SCHEDULES["plateau"])
    patient = functools.partial(SCHEDULES["plateau"], patience=9)
    resumed = fitted(4, before.file, schedule=patient)
    schedule = resumed._optimization.schedule
    assert schedule.patience == 9
    assert schedule.last_epoch == 4
    assert set(resumed.rates) == {0.01 / 4}


def test_weight_decay_changes_where_weights_decay(fitted) -> None:
    before = fitted(1)
    resumed = fitted(2, before.file, functools.partial(torch.optim.AdamW, lr=0.01, weight_decay=0.3))
    groups = resumed._optimization.optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]


def test_a_changed_loss_is_used_with_weights_of_its_own(fitted, task, trainer, cohort, tmp_path) -> None:
    before = fitted(2)
    loss = {
        "class_path": "medcnn.losses.weighted_cross_entropy.WeightedCrossEntropy",
        "init_args": {"weight": [1.0, 5.0]},
    }
    model = task(loss=loss)
    trainer(max_epochs=3, callbacks=[ExponentialAverage()]).fit(model, datamodule=cohort(), ckpt_path=before.file)
    assert model.loss.weight.tolist() == [1.0, 5.0]


def test_a_resumed_training_stays_in_the_run_that_was_opened_for_it(fitted, task, trainer, cohort) -> None:
    before = fitted(1)
    model = task()
    model.run_id = "another"
    trainer(max_epochs=2, callbacks=[ExponentialAverage()]).fit(model, datamodule=cohort(), ckpt_path=before.file)
    assert model.run_id == "another"


def test_what_an_optimizer_remembers_is_found_by_a_step() -> None:
    assert state_names(torch.optim.AdamW) == {"step", "exp_avg", "exp_avg_sq"}
    assert "max_exp_avg_sq" in state_names(functools.partial(torch.optim.AdamW, amsgrad=True))
    with pytest.raises(ConfigError, match="SparseAdam"):
        state_names(torch.optim.SparseAdam)


def test_a_plan_is_plain_data_and_tells_settings_apart() -> None:
    def plan(gamma: float) -> dict:
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], betas=(0.8, 0.9))
        schedule = build_schedule(
            functools.partial(torch_schedulers.MultiStepLR, milestones=[2, 2], gamma=gamma), optimizer, lambda: 1
        )
        assert isinstance(schedule.milestones, Counter)
        return Optimization(optimizer, schedule).plan

    assert plan(0.1) == plan(0.1)
    assert plan(0.1) != plan(0.2)
    assert plan(0.1)["groups"][0]["betas"] == [0.8, 0.9]
