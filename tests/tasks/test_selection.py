"""The kept epoch and the end of a training: no NaN wins, ties go to the lower loss, settings are the command's."""

import math

import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given
from hypothesis import strategies as st

from medcnn.errors import ConfigError
from medcnn.tasks.selection import BestCheckpoint, MetricEarlyStopping, mode_of, resolved_mode

NAN, INF = math.nan, math.inf


class Scripted(pl.LightningModule):
    """Logs the metric and the loss that a script gives for each epoch."""

    def __init__(self, scores: list[float], losses: list[float]) -> None:
        super().__init__()
        self.scores, self.losses, self.weight = scores, losses, torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        return (self.weight * batch).sum()

    def validation_step(self, batch: torch.Tensor, _: int) -> None:
        epoch = self.current_epoch
        self.log_dict({"val/auroc": self.scores[epoch], "val/loss": self.losses[epoch]}, batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.0)


def fitted(folder, scores, losses=None, callbacks=(), **changes):
    """The trainer after a fit in which each epoch had these values."""
    data = torch.utils.data.DataLoader(torch.ones(2), batch_size=1)
    settings = {
        "accelerator": "cpu", "max_epochs": len(scores), "callbacks": list(callbacks), "logger": False,
        "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0,
        "enable_checkpointing": any(isinstance(one, BestCheckpoint) for one in callbacks),
        "default_root_dir": folder,
    }  # fmt: skip
    trainer = pl.Trainer(**settings | changes)
    trainer.fit(Scripted(scores, losses or [1.0] * len(scores)), data, data)
    return trainer


def kept_epoch(path: str) -> int:
    return torch.load(path, weights_only=True)["epoch"]


@pytest.mark.parametrize(
    ("scores", "losses", "mode", "epoch"),
    [
        ([NAN, 0.6, 0.7, NAN], [1.0] * 4, "max", 2),
        ([NAN, NAN, NAN], [0.9, 0.3, 0.5], "max", 1),
        ([INF, 0.6, 0.7], [1.0] * 3, "max", 2),
        ([-INF, 0.6, 0.5], [1.0] * 3, "min", 2),
        ([1.0, 1.0, 1.0, 1.0], [0.9, 0.4, 0.2, 0.3], "max", 2),
        ([0.5, 0.5, 0.5], [0.9, 0.4, 0.6], "min", 1),
        ([NAN, NAN], [NAN, 0.5], "max", 1),
        ([0.9, 0.8], [0.9, 0.1], "max", 0),
    ],
)
def test_the_best_epoch_is_a_number_and_ties_go_to_the_loss(scores, losses, mode, epoch, tmp_path) -> None:
    best = BestCheckpoint(tmp_path, filename="best", monitor="val/auroc", mode=mode, enable_version_counter=False)
    fitted(tmp_path, scores, losses, [best])
    assert kept_epoch(best.best_model_path) == epoch
    assert best.by_loss == (not any(map(math.isfinite, scores)))
    expected = scores[epoch] if math.isfinite(scores[epoch]) else NAN
    assert best.best_score == pytest.approx((expected, losses[epoch]), nan_ok=True)


def test_of_several_kept_epochs_the_best_comes_first(tmp_path) -> None:
    best = BestCheckpoint(tmp_path, filename="{epoch}", monitor="val/auroc", mode="max", save_top_k=2, verbose=True)
    fitted(tmp_path, [1.0, NAN, 1.0, 0.5, 1.0], [0.9, 0.1, 0.3, 0.1, 0.5], [best])
    assert kept_epoch(best.best_model_path) == 2
    assert sorted(map(kept_epoch, best.best_k_models)) == [2, 4]


values = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(st.lists(st.tuples(values, values), min_size=1, max_size=6), st.sampled_from(["max", "min"]))
def test_the_order_of_epochs_is_that_of_a_sort(pairs, mode) -> None:
    best = BestCheckpoint(monitor="val/auroc", mode=mode)
    ranks = [best._rank_of({"val/auroc": score, "val/loss": loss}) for score, loss in pairs]
    chosen = (max if mode == "max" else min)(range(len(pairs)), key=ranks.__getitem__)
    numbers = [score for score, _ in pairs if math.isfinite(score)]
    if numbers:
        assert pairs[chosen][0] == (max if mode == "max" else min)(numbers)
    rivals = [loss for score, loss in pairs if (score == pairs[chosen][0] or not numbers) and math.isfinite(loss)]
    if rivals:
        assert pairs[chosen][1] == min(rivals)


def test_a_best_file_that_is_gone_is_not_the_best_any_more(tmp_path) -> None:
    best = BestCheckpoint(tmp_path, filename="best", monitor="val/auroc", mode="max")
    fitted(tmp_path, [0.9, 0.8], None, [best])
    state = best.state_dict()
    again = BestCheckpoint(tmp_path, filename="best", monitor="val/auroc", mode="max")
    again.load_state_dict(state)
    assert (again.best_model_path, again.best_score[0]) == (best.best_model_path, pytest.approx(0.9))
    (tmp_path / "best.ckpt").unlink()
    again.load_state_dict(state)
    assert again.best_model_path == ""


@pytest.mark.parametrize(
    ("scores", "losses", "patience", "epochs"),
    [
        ([0.5, 0.6, 0.6, 0.6, 0.9], [1.0] * 5, 2, 4),
        ([NAN, NAN, NAN, NAN, NAN], [0.5, 0.4, 0.3, 0.2, 0.1], 2, 5),
        ([NAN, NAN, NAN, NAN, NAN], [0.5, 0.4, 0.6, 0.6, 0.1], 2, 4),
        ([INF, 0.5, 0.6, 0.7, 0.8], [1.0] * 5, 2, 5),
        ([0.5, NAN, NAN, 0.9, 0.9], [1.0] * 5, 2, 3),
    ],
)
def test_patience_counts_validations_without_a_better_number(scores, losses, patience, epochs, tmp_path) -> None:
    stopping = MetricEarlyStopping("val/auroc", mode="max", patience=patience, check_finite=False)
    assert fitted(tmp_path, scores, losses, [stopping]).current_epoch == epochs


def test_a_resumed_training_waits_as_long_as_its_command_says() -> None:
    before = MetricEarlyStopping("val/auroc", mode="max", patience=1)
    before.wait_count, before.stopped_epoch, before.best_loss = 1, 7, 0.25
    after = MetricEarlyStopping("val/auroc", mode="max", patience=5)
    after.load_state_dict(before.state_dict())
    assert (after.patience, after.wait_count, after.stopped_epoch, after.best_loss) == (5, 1, 0, 0.25)


def test_a_metric_that_is_not_logged_is_named_with_those_that_are(tmp_path) -> None:
    stopping = MetricEarlyStopping("val/nope", mode="max")
    with pytest.raises(ConfigError, match=r"val/nope.*val/auroc"):
        fitted(tmp_path, [0.5], None, [stopping])


def test_without_validation_nothing_is_waited_for(tmp_path) -> None:
    stopping = MetricEarlyStopping("val/auroc", mode="max", patience=1)
    assert fitted(tmp_path, [0.5, 0.5], None, [stopping], limit_val_batches=0).current_epoch == 2


def test_a_loss_is_watched_as_it_falls() -> None:
    assert [mode_of(name) for name in ("val/loss", "val/auroc", "val/brier/effusion", "val/dice")] == [
        "min", "max", "min", "max",
    ]  # fmt: skip
    assert resolved_mode("val/loss", "by metric", "checkpoint") == "min"
    with pytest.raises(ConfigError, match=r"checkpoint\.mode"):
        resolved_mode("val/loss", "max", "checkpoint")
