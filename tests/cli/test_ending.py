"""The closing lines of a fit: when and why it stopped, and which epoch is kept."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

from medcnn.cli.main import main
from medcnn.tasks.archive import read_checkpoint


def closing(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    lines = (line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    return {words[0]: words[1] for words in lines if len(words) == 2}


@pytest.mark.parametrize(
    ("words", "stopped"),
    [
        (("--trainer.max_epochs", "2"), "after epoch 2 of 2, the last"),
        (("--trainer.max_steps", "3"), "step 3: trainer.max_steps is 3"),
        (("--trainer.max_time", "00:00:00:00"), "trainer.max_time was used up"),
        (("--early_stopping.stopping_threshold", "-1"), "after epoch 1 of 2: val/auroc reached -1"),
        (
            ("--early_stopping.patience", "1", "--trainer.max_epochs", "9", "--early_stopping.min_delta", "2"),
            "after epoch 2 of 9: val/auroc had not risen for 1",
        ),
        (
            (
                *("--early_stopping.patience", "1", "--trainer.max_epochs", "9"),
                *("--early_stopping.min_delta", "2", "--trainer.check_val_every_n_epoch", "2"),
            ),
            "after epoch 4 of 9: val/auroc had not risen for 1 validations",
        ),
        (
            ("--early_stopping.monitor", "val/loss", "--early_stopping.divergence_threshold", "0"),
            "val/loss was worse than 0",
        ),
    ],
)
def test_a_fit_says_when_and_why_it_stopped(words, stopped, tiny_fit, capsys) -> None:
    assert tiny_fit(*words) == 0
    assert stopped in closing(capsys)["stopped"]


def test_the_kept_epoch_is_that_of_the_file(tiny_fit, capsys) -> None:
    assert tiny_fit("--trainer.max_epochs", "3", "--checkpoint.monitor", "val/loss") == 0
    epoch = read_checkpoint(Path("checkpoints/untracked/best.ckpt"))["epoch"]
    assert closing(capsys)["kept"].startswith(f"epoch {epoch + 1} of 3: val/loss 0.")


@pytest.fixture
def one_class(tiny_fit, tmp_path: Path) -> Path:
    """A cohort with one class in validation, and the tiny configuration for it."""
    rows = []
    for number in range(24):
        Image.effect_noise((16, 16), 60 + 60 * (number % 2)).save(tmp_path / f"{number}.png")
        split = "val" if number % 2 == 0 and number < 12 else "train"
        rows.append((f"{number}.png", "sick" if number % 2 else "healthy", f"p{number}", split))
    pd.DataFrame(rows, columns=["path", "label", "patient", "split"]).to_csv(tmp_path / "m.csv", index=False)
    config = yaml.safe_load(Path("tiny.yaml").read_text())
    config["data"] = {
        "class_path": "medcnn.data.xray.ChestXrayDataModule",
        "init_args": {"source": "m.csv", "batch_size": 8, "workers": 0},
    }
    Path("one.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def test_with_one_class_in_validation_the_loss_decides(one_class, capsys, caplog) -> None:
    words = ["fit", "--config", "one.yaml", "--trainer.logger", "false", "--trainer.max_epochs", "3"]
    assert main([*words, "--checkpoint.save_top_k", "-1", "--checkpoint.filename", "{epoch}"]) == 0
    assert "validation has no case of sick" in caplog.text
    lines = closing(capsys)
    assert "val/auroc was not a number in any epoch, so val/loss chose the epoch" in lines["warning"]
    files = [path for path in Path("checkpoints/untracked").glob("*.ckpt") if path.stem != "last"]
    last = read_checkpoint(Path("checkpoints/untracked/last.ckpt"))
    [state] = [value for key, value in last["callbacks"].items() if key.startswith("BestCheckpoint")]
    losses = {path: -rank[1] for path, rank in state["best_k_models"].items()}
    assert len(files) == 3
    assert f"val/loss {min(losses.values()):.4f}" in lines["kept"]


def test_a_model_that_no_metric_chose_is_not_registered(one_class, capsys) -> None:
    assert main(["fit", "--config", "one.yaml", "--trainer.max_epochs", "1", "--register", "chest"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "nothing was registered as chest" in error


def test_a_lone_try_keeps_nothing_and_says_so(tiny_fit, capsys) -> None:
    assert tiny_fit("--trainer.fast_dev_run", "true", tracked=True) == 0
    assert "trainer.fast_dev_run only tries whether everything runs" in capsys.readouterr().out
    assert tiny_fit("--trainer.fast_dev_run", "true", "--register", "x") == 2
