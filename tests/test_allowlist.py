"""A name becomes an import only where the list permits it, and a class is judged by the module that defines it."""

import contextlib
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcnn.allowlist import (
    CONFIG_KINDS,
    CONFIG_PACKAGES,
    MODEL_KINDS,
    MODEL_PACKAGES,
    NotAllowedError,
    NotInstalledError,
    check_path,
    number_type,
    resolve,
)  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "torch.nn.Linear", "torch.optim.AdamW", "torch.optim.lr_scheduler.StepLR", "monai.networks.nets.SegResNet",
        "monai.transforms.Resized", "medcnn.nets.resnet.ResNet", "medcnn.data.phantom.PhantomDataModule",
        "medcnn.transforms.augment.BatchAugment", "pytorch_lightning.callbacks.Timer",
        "pytorch_lightning.strategies.DDPStrategy", "pytorch_lightning.profilers.SimpleProfiler",
        "pytorch_lightning.plugins.environments.SLURMEnvironment",
    ],
)  # fmt: skip
def test_a_class_that_a_training_is_made_of_is_found(path: str) -> None:
    assert resolve(path, CONFIG_PACKAGES, CONFIG_KINDS).__name__ == path.rpartition(".")[2]


@pytest.mark.parametrize(
    "path",
    [
        # outside the packages
        "os.system", "subprocess.Popen", "builtins.eval", "torch.load", "torch.hub.load", "monai.bundle.ConfigParser",
        "monai.bundle.scripts.run", "pytorch_lightning.Trainer", "pytorch_lightning.loggers.CSVLogger",
        "monai.apps.x.Y", "torchmetrics.AUROC", "medcnn.cli.main.run", "medcnn_evil.Net",
        "torch.nnx.Linear", "numpy.load",
        # carried by a package, and not a class of its own
        "monai.transforms.utils.np", "monai.networks.nets.densenet.load_state_dict_from_url",
        "torch.nn.functional.relu",
        "monai.networks.nets.resnet.partial", "torch.nn.modules.module.OrderedDict", "medcnn.tasks.archive.Path",
        "pytorch_lightning.callbacks.model_checkpoint.os", "pytorch_lightning.strategies.ddp.torch",
        "torch.nn.init.zeros_", "torch.nn.Parameter", "medcnn.data.cohort.Cohort",
        # calls what it is given, or fetches
        "pytorch_lightning.callbacks.LambdaCallback", "monai.transforms.Lambdad", "monai.transforms.TorchVisiond",
        "monai.transforms.LoadImaged", "monai.losses.PerceptualLoss", "monai.networks.nets.TorchVisionFCModel",
        # not a path
        "torch..nn.Linear", "torch.nn.Linear\n", "torch.nn.Linear.__init__.__globals__", "", "torch.nn.",
        None, 7, ["a.b"],
    ],
)  # fmt: skip
def test_everything_else_is_refused_in_one_line(path: object) -> None:
    with pytest.raises((NotAllowedError, NotInstalledError)) as caught:
        resolve(path, CONFIG_PACKAGES, CONFIG_KINDS)
    assert "\n" not in str(caught.value)
    assert "MEDCNN_ALLOW" not in str(caught.value), "a refusal does not advise to switch the list off"


@pytest.mark.parametrize("path", ["pytorch_lightning.callbacks.Timer", "medcnn.data.phantom.PhantomDataModule"])
def test_a_model_file_names_no_parts_of_a_training(path: str) -> None:
    with pytest.raises(NotAllowedError):
        resolve(path, MODEL_PACKAGES, MODEL_KINDS)


def test_nothing_is_imported_before_the_path_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted_evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NotAllowedError):
        resolve("planted_evil.Net", CONFIG_PACKAGES, CONFIG_KINDS)
    assert "planted_evil" not in sys.modules
    assert not (tmp_path / "ran").exists()


@given(st.text() | st.text("ab._ \n").map("torch.nn.".__add__))
def test_what_passes_is_a_dotted_path_into_a_package(text: str) -> None:
    with contextlib.suppress(NotAllowedError):
        path = check_path(text, CONFIG_PACKAGES)
        assert path.startswith(CONFIG_PACKAGES)
        assert all(part.isidentifier() and part[0].isalpha() for part in path.split("."))


def test_a_module_that_is_not_there_is_not_installed() -> None:
    with pytest.raises(NotInstalledError, match=r"torch\.nn\.nowhere\.Net is not installed"):
        resolve("torch.nn.nowhere.Net", CONFIG_PACKAGES, CONFIG_KINDS)


def test_number_types_are_found_and_nothing_else_of_numpy() -> None:
    import numpy as np
    import torch

    assert number_type("numpy.float32") is np.float32
    assert number_type("torch.int64") is torch.int64
    assert number_type("numpy.load") is None
    assert number_type("numpy.bfloat16") is None
    assert number_type(None) is None


def test_a_net_that_fetches_weights_from_any_url_is_refused() -> None:
    for name in ("HoVerNet", "HoverNet"):
        with pytest.raises(NotAllowedError, match="fetches from elsewhere"):
            resolve(f"monai.networks.nets.{name}", MODEL_PACKAGES, MODEL_KINDS)
