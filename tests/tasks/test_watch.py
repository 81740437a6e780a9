"""The watch logs the gradient's norm, and stops with the name of what broke."""

import pytest
import torch
from pytorch_lightning.callbacks import Callback

from medcnn.errors import MedcnnError
from medcnn.tasks.watch import GradientWatch


def test_the_norm_of_the_gradient_is_logged(trainer, task, cohort):
    model, norms = task(), []

    class Norms(Callback):
        def on_before_optimizer_step(self, trainer, task, optimizer):
            norms.append(torch.cat([p.grad.flatten() for p in task.parameters()]).norm().item())

    run = trainer(max_epochs=1, callbacks=[GradientWatch(every=1), Norms()])
    run.fit(model, datamodule=cohort())
    assert run.callback_metrics["train/gradient_norm"] == pytest.approx(sum(norms) / len(norms), rel=1e-5)
    assert run.callback_metrics["train/gradient_norm_max"] == pytest.approx(max(norms), rel=1e-5)


def stopped(trainer, model, data, **arguments):
    with pytest.raises(MedcnnError) as caught:
        trainer(callbacks=[GradientWatch(**arguments)]).fit(model, datamodule=data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_images_that_hold_nan_are_named(trainer, task, cohort):
    data = cohort()
    data.splits["train"]["image"][:] = torch.nan
    assert "normalize them in preprocess" in stopped(trainer, task(), data)


def test_the_first_layer_whose_output_breaks_is_named(trainer, task, cohort):
    class Overflow(torch.nn.Module):
        def forward(self, x):
            return x * torch.inf

    model = task()
    model.net = torch.nn.Sequential(torch.nn.Flatten(), Overflow(), torch.nn.Linear(16, 2))
    said = stopped(trainer, model, cohort())
    assert "net.1" in said
    assert "learning rate" in said


def test_weights_that_broke_are_named(trainer, task, cohort):
    model = task()
    model.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    model.net[1].weight.data[0, 0] = torch.nan
    assert "net.1.weight" in stopped(trainer, model, cohort())


def test_a_gradient_that_breaks_behind_a_sound_loss_is_named(trainer, task, cohort):
    class RootOfZero(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return x + self.shift.sqrt()

    model = task()
    model.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2), RootOfZero())
    assert "net.2.shift" in stopped(trainer, model, cohort(), every=1)


def test_a_watch_that_never_looks_is_refused():
    with pytest.raises(ValueError, match="every"):
        GradientWatch(every=0)
