"""``medcnn fit --ckpt_path``: a table before the first epoch, settings that are used, and refusals in one line."""

import re
from pathlib import Path

import pytest
import torch
from mlflow.tracking import MlflowClient

from medcnn.cli.resume import Resumed, settings_of
from medcnn.errors import ConfigError
from medcnn.tasks.archive import amend_checkpoint, read_checkpoint

SCHEDULE = ("--model.init_args.scheduler", "medcnn.tasks.schedule.CosineWithWarmup")
LR = "--model.init_args.optimizer.init_args.lr"
LAST = "checkpoints/untracked/last.ckpt"


def test_a_resume_is_announced_used_and_recorded(tiny_fit, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny_fit(*SCHEDULE, "--trainer.max_epochs", "2", tracked=True) == 0
    [run] = [path.name for path in Path("checkpoints").iterdir()]
    capsys.readouterr()
    words = (*SCHEDULE, "--ckpt_path", f"runs:/{run}", "--trainer.max_epochs", "4", LR, "0.002")
    assert tiny_fit(*words, "--early_stopping.patience", "7", tracked=True) == 0
    said = capsys.readouterr().out
    table = said[: said.index("stopped")]
    assert "weights and their average after epoch 2" in table
    assert "state of AdamW, CosineWithWarmup" in table
    assert re.search(r"trainer\.max_epochs +2 -> 4 ", table)
    assert re.search(r"optimizer\.init_args\.lr +0\.004 -> 0\.002 ", table)
    assert re.search(r"early_stopping\.patience +15 -> 7 ", table)
    assert "fixed    net, classes" in table
    assert "stopped    after epoch 4 of 4, the last" in said

    client = MlflowClient("sqlite:///mlflow.db")
    rates = [m.value for m in client.get_metric_history(run, "train/lr-AdamW/pg1")]
    assert rates[2] > 0
    assert rates[3] < rates[2] <= 0.002
    tags = client.get_run(run).data.tags
    assert tags["drift.model.init_args.optimizer.init_args.lr"] == "0.004 -> 0.002"
    assert tags["training.stopped"] == "after epoch 4 of 4, the last"
    assert "lr: 0.002" in Path(client.download_artifacts(run, "config.yaml")).read_text()
    assert "lr: 0.004" in Path(client.download_artifacts(run, "config_until_epoch_2.yaml")).read_text()
    held = read_checkpoint(Path("checkpoints", run, "last.ckpt"))
    assert held["hyper_parameters"]["optimizer"]["init_args"]["lr"] == 0.002
    assert held["medcnn"]["settings"]["model.init_args.optimizer.init_args.lr"] == 0.002
    assert held["medcnn"]["settings"]["trainer.precision"] == "32-true"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model.init_args.net.init_args.widths", "[2,4]"), "the net cannot be changed"),
        (("--model.init_args.optimizer.class_path", "torch.optim.SGD"), "class of the optimizer cannot be changed"),
        (("--model.init_args.optimizer.init_args.amsgrad", "true"), "max_exp_avg_sq"),
        (("--model.init_args.decay_all", "true"), "groups of the optimizer cannot be changed"),
    ],
)
def test_what_no_command_can_change_is_refused(words, said, one_epoch, capsys) -> None:
    fit, last = one_epoch
    before = last.read_bytes()
    assert fit("--ckpt_path", str(last), *words) == 2
    assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert last.read_bytes() == before


def test_a_resume_of_the_same_command_changes_nothing(one_epoch, capsys) -> None:
    fit, last = one_epoch
    assert fit("--ckpt_path", str(last), "--trainer.max_epochs", "1") == 0
    assert "changes  nothing" in capsys.readouterr().out


def test_changes_without_an_epoch_to_come_are_refused(one_epoch, capsys) -> None:
    fit, last = one_epoch
    before = last.read_bytes()
    assert fit("--ckpt_path", str(last), "--trainer.max_epochs", "1", LR, "0.002") == 2
    assert "last.ckpt has trained for 1 already: nothing is left to train" in capsys.readouterr().err
    assert last.read_bytes() == before


def test_a_new_seed_gives_another_order(one_epoch, capsys) -> None:
    fit, last = one_epoch
    kept = last.read_bytes()
    weights = []
    for seed in ("3", "4"):
        last.write_bytes(kept)
        assert fit("--ckpt_path", str(last), "--trainer.max_epochs", "2", "--seed_everything", seed) == 0
        weights.append(read_checkpoint(last)["current_model_state"])
    assert re.search(r"seed_everything +3 -> 4 +\(order, augmentation and dropout", capsys.readouterr().out)
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_other_classes_are_refused(one_epoch, capsys) -> None:
    fit, last = one_epoch
    held = read_checkpoint(last)
    amend_checkpoint(last, hyper_parameters=held["hyper_parameters"] | {"classes": ["opacity", "normal"]})
    assert fit("--ckpt_path", str(last), "--trainer.max_epochs", "2") == 2
    assert "trained on the classes opacity, normal" in capsys.readouterr().err


def test_a_checkpoint_without_an_optimizer_is_no_start(one_epoch) -> None:
    _, last = one_epoch
    held = read_checkpoint(last)
    del held["optimizer_states"]
    torch.save(held, last)
    with pytest.raises(ConfigError, match="no state of an optimizer"):
        Resumed(last)


def test_settings_name_no_place() -> None:
    config = {
        "data": {"init_args": {"source": "/home/doe/films", "batch_size": 8}},
        "tracking": {"run_name": "x"},
        "trainer": {"default_root_dir": "/home/doe", "max_epochs": 3},
    }
    assert settings_of(config) == {"data.init_args.batch_size": 8, "trainer.max_epochs": 3}


@pytest.fixture
def one_epoch(tiny_fit, capsys):
    """A fit of one epoch, and its last checkpoint."""
    assert tiny_fit("--trainer.max_epochs", "1") == 0
    capsys.readouterr()
    return tiny_fit, Path(LAST)
