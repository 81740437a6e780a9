"""Every mistake in a configuration is one line with the key, what is expected, and the file and line where it is."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from medcnn.cli.main import main

TINY: dict[str, Any] = {
    "trainer": {"accelerator": "cpu", "devices": 1, "max_epochs": 1, "logger": False},
    "data": {
        "class_path": "medcnn.data.phantom.PhantomDataModule",
        "init_args": {
            "patients": 12,
            "size": 24,
            "preprocess": [
                {"class_path": "medcnn.transforms.intensity.PercentileNormalized", "init_args": {"keys": "image"}}
            ],
        },
    },
    "model": {
        "class_path": "medcnn.tasks.classification.ClassificationTask",
        "init_args": {
            "net": {"class_path": "medcnn.nets.resnet.ResNet", "init_args": {"widths": [4, 8], "depths": [1, 1]}},
            "loss": {"class_path": "medcnn.losses.weighted_cross_entropy.WeightedCrossEntropy"},
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.001}},
        },
    },
}
DATA, NET = "data.init_args", "model.init_args.net.init_args"


def changed(key: str, value: Any) -> dict[str, Any]:
    """The small configuration with one key set; None for the value leaves it empty, ``...`` removes it."""
    config = copy.deepcopy(TINY)
    *above, leaf = key.split(".")
    place: Any = config
    for name in above:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if value is ...:
        del place[leaf]
    else:
        place[leaf] = value
    return config


def refused(folder: Path, text: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line in which ``medcnn fit`` refuses a configuration."""
    (folder / "tiny.yaml").write_text(text)
    capsys.readouterr()
    assert main(["fit", "--config", str(folder / "tiny.yaml"), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("medcnn fit: ")
    assert len(line) < 400
    assert "MEDCNN_ALLOW" not in line
    return line


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (f"{DATA}.batchsize", 3, "PhantomDataModule takes no argument batchsize; did you mean batch_size?"),
        (f"{NET}.width", 3, "model.net.width: ResNet takes no argument width; did you mean widths?"),
        ("model.init_args.optimizer.init_args.weight_dekay", 1, "did you mean weight_decay?"),
        (f"{DATA}.preprocess.0.init_args.lowr", 1, "takes no argument lowr; did you mean lower?"),
        ("trainer.max_epoch", 2, "trainer.max_epoch: there is no such key; did you mean trainer.max_epochs?"),
        ("trainr", {"max_epochs": 2}, "did you mean trainer.max_epochs?"),
        ("early_stopping", {"patienc": 2}, "did you mean early_stopping.patience?"),
        ("data.class_path", "medcnn.data.phantom.PhantomModule", "has no class PhantomModule; did you mean Phantom"),
        ("model.init_args.net.class_path", "Resnett", "model.net is Resnett, which names no class"),
        (f"{DATA}.batch_size", None, "data.batch_size has no value"),
        (f"{NET}.widths", None, "model.net.widths has no value"),
        ("model.init_args.optimizer.init_args.lr", None, "model.optimizer.lr has no value"),
        ("trainer.accelerator", None, "trainer.accelerator has no value"),
        (f"{DATA}.batch_size", "many", "data.batch_size is many: expected a whole number"),
        (f"{DATA}.batch_size", [1], "data.batch_size is [1]: expected a whole number"),
        (f"{NET}.widths", "wide", "model.net.widths is wide: expected a list"),
        ("trainer.precision", "bf15", "trainer.precision is bf15: expected"),
        ("model.init_args.loss", {1: 2}, "the key 1 is not a name"),
        ("model.init_args.net", [1], "model.net names no class"),
        (f"{DATA}.preprocess", [{"class_path": "torch.nn.Linear"}], "torch.nn.Linear is no MapTransform"),
        ("trainer.callbacks", [[]], "trainer.callbacks names no class"),
        ("model.init_args.loss", ..., "model: ClassificationTask needs loss"),
        ("trainer.callbacks", [{"class_path": "LambdaCallback", "init_args": {"setup": "os.system"}}], "calls what it"),
        ("trainer.callbacks", "os.system", "'os.system' is not on the allow-list"),
        ("model.init_args.optimizer", "subprocess.call", "'subprocess.call' is not on the allow-list"),
    ],
)  # fmt: skip
def test_a_key_that_is_wrong_is_named_with_its_line(
    key: str, value: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = yaml.safe_dump(changed(key, value))
    line = refused(tmp_path, text, capsys)
    assert said in line
    assert "tiny.yaml, line " in line
    leaf = key.rpartition(".")[2]
    if value is not ... and not isinstance(value, list | dict) and "class_path" not in leaf:
        number = int(line.partition("tiny.yaml, line ")[2].partition(")")[0])
        assert leaf in text.splitlines()[number - 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "tiny.yaml holds no keys and values"),
        ("", "tiny.yaml holds no keys and values"),
        ("a: &a [*a]", "tiny.yaml, line 1: *a refers to"),
        ("seed_everything: 1\nseed_everything: 2\n", "tiny.yaml, lines 1 and 2: 'seed_everything' is given twice"),
        ("data:\n\tx: 1", "tiny.yaml, line 2 is not YAML"),
        ("x: !!python/object/apply:os.system [ls]", "is not allowed"),
        ("trainer: [x]", "trainer is ['x'] (tiny.yaml); expected 'key: value' lines"),
        ("1: 2", "the key 1 is not a name"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(tmp_path, text, capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data.batchsize", "3"], "PhantomDataModule takes no argument batchsize; did you mean batch_size?"),
        (["--data.batch_size", "many"], "data.batch_size is many: expected a whole number"),
        (["--data.batch_size", "null"], "data.batch_size has no value"),
        (["--trainr.max_epochs", "2"], "did you mean --trainer.max_epochs?"),
        (["--trainer.accelerator", "gpuu"], "invalid accelerator name"),
        (["--trainer.strategy", "os.system"], "invalid strategy name"),
        (["--trainer.logger", "pytorch_lightning.loggers.CSVLogger"], "not on the allow-list"),
        (["--model.net", "Resnett"], "model.net is Resnett, which names no class"),
        (["--model.net.depths", "[1]"], "ResNet cannot be built from its arguments"),
        (["--weights_only", "false"], "weights_only is false"),
        (["--data.help", "os.system"], "not on the allow-list"),
        (["--data", "gone.yaml"], "there is no file gone.yaml"),
        (["--config", "gone.yaml"], "there is no file gone.yaml"),
        (["--config", "."], "is a folder"),
    ],
    ids=str,
)  # fmt: skip
def test_a_word_that_is_wrong_is_named_without_a_file(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(tmp_path, yaml.safe_dump(TINY), capsys, *words)
    assert said in line
    assert "tiny.yaml" not in line


def test_a_sub_configuration_is_named_by_its_own_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.yaml").write_text("class_path: medcnn.nets.resnet.ResNet\ninit_args:\n  width: [4]\n")
    line = refused(tmp_path, yaml.safe_dump(changed("model.init_args.net", "net.yaml")), capsys)
    assert line.endswith("did you mean widths? (net.yaml, line 3)")
