"""What may be built from a file, and what is refused before anything runs."""

import sys

import monai.networks.nets
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.transforms import Resized
from torch import nn

from medcnn.errors import CheckpointError
from medcnn.tasks.build import build, resolve

LINEAR = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 3, "out_features": 2}}


def test_a_module_a_foreign_net_and_a_transform_are_built():
    assert isinstance(build(LINEAR), nn.Linear)
    net = {"class_path": "monai.networks.nets.DenseNet121",
           "init_args": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}}  # fmt: skip
    assert isinstance(build(net), monai.networks.nets.DenseNet121)
    resize = build({"class_path": "monai.transforms.Resized", "init_args": {"keys": "image", "spatial_size": [8, 8]}})
    assert isinstance(resize, Resized)
    assert resize({"image": torch.zeros(1, 4, 4)})["image"].shape == (1, 8, 8)


def test_specs_inside_arguments_and_lists_are_built_first():
    steps = [{"class_path": "monai.transforms.Identityd", "init_args": {"keys": "image"}}] * 2
    composed = build({"class_path": "monai.transforms.Compose", "init_args": {"transforms": steps}})
    assert [type(step).__name__ for step in composed.transforms] == ["Identityd", "Identityd"]
    assert build({"a": [1, "two", None], "b": (3.0,)}) == {"a": [1, "two", None], "b": (3.0,)}


@pytest.mark.parametrize("path", [
    "os.system", "subprocess.Popen", "builtins.eval", "torch.load", "torch.hub.load", "monai.bundle.ConfigParser",
    "medcnn.io.identity.Pseudonyms", "medcnn.cli.main.run", "torch.nnx.Linear", "torch.nn", "torch.nn.",
    "torch..nn.Linear", "torch.nn.Linear\n", "torch.nn.__init__.Linear", "torch.nn.Linear.__init__.__globals__", "",
    None, 7, ["torch.nn.Linear"],
])  # fmt: skip
def test_a_path_outside_the_allow_list_is_refused(path):
    with pytest.raises(CheckpointError) as caught:
        resolve(path)
    assert "\n" not in str(caught.value)


def test_nothing_is_imported_to_find_out(tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Net: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match="not on the allow-list"):
        build({"class_path": "hostile.Net"})
    assert "hostile" not in sys.modules
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("path", [
    "torch.nn.functional.relu", "torch.nn.init.zeros_", "torch.nn.modules.module.OrderedDict", "torch.nn.Parameter",
    "torch.optim.lr_scheduler.Counter", "torch.nn.utils.parametrize.register_parametrization", "torch.nn.Tensor",
    "medcnn.tasks.archive.Path", "medcnn.tasks.checkpoint.Product", "medcnn.tasks.averaging.ExponentialAverage",
    "monai.networks.nets.densenet.load_state_dict_from_url", "monai.transforms.utils.np",
])  # fmt: skip
def test_what_an_allowed_package_carries_besides_its_classes_is_refused(path):
    with pytest.raises(CheckpointError):
        resolve(path)


def test_a_class_is_judged_by_the_module_that_defines_it():
    # Lightning's base class is a module, and our own module carries its name.
    with pytest.raises(CheckpointError, match=r"torchmetrics\.aggregation"):
        resolve("medcnn.tasks.base.MeanMetric")


@pytest.mark.parametrize("name", [
    "Lambdad", "RandLambdad", "Lambda", "LoadImaged", "LoadImage", "SaveImaged", "WriteFileMappingd", "TorchVisiond",
    "TorchIOd", "CuCIMd", "ApplyTransformToPointsd", "DataStatsd", "SimulateDelayd", "Invertd", "ImageFilterd",
    "FromMetaTensord", "LazyTransform", "ToDeviced",
])  # fmt: skip
def test_transforms_that_read_write_or_call_are_refused(name):
    with pytest.raises(CheckpointError):
        build({"class_path": f"monai.transforms.{name}", "init_args": {"keys": "image", "func": "print"}})


@pytest.mark.parametrize("path", [
    "monai.losses.PerceptualLoss", "monai.networks.nets.TorchVisionFCModel", "monai.networks.nets.Transchex",
    "monai.networks.nets.MILModel", "monai.networks.blocks.text_embedding.TextEncoder",
])  # fmt: skip
def test_classes_that_fetch_code_or_weights_are_refused(path):
    with pytest.raises(CheckpointError, match="fetches"):
        resolve(path)


def test_a_net_is_never_asked_to_fetch_weights(monkeypatch):
    def fetch(*_, **__):
        raise AssertionError("fetched")

    monkeypatch.setattr("monai.networks.nets.densenet.load_state_dict_from_url", fetch)
    build({"class_path": "monai.networks.nets.DenseNet121",
           "init_args": {"spatial_dims": 2, "in_channels": 3, "out_channels": 2, "pretrained": True}})  # fmt: skip


def test_a_users_own_package_is_built_where_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "clinic.py").write_text("from torch import nn\nclass Net(nn.Module): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError):
        build({"class_path": "clinic.Net"})
    assert type(build({"class_path": "clinic.Net"}, allow=("clinic",))).__name__ == "Net"
    monkeypatch.setenv("MEDCNN_ALLOW", "other, clinic.")
    assert type(build({"class_path": "clinic.Net"})).__name__ == "Net"
    with pytest.raises(CheckpointError):
        build({"class_path": "clinically.Net"})


@pytest.mark.parametrize(("spec", "said"), [
    (LINEAR | {"extra": 1}, "more than class_path"),
    (LINEAR | {"init_args": [1]}, "more than class_path"),
    ({"class_path": "torch.nn.Linear", "init_args": {"sides": 3}}, "cannot be built"),
    ({"class_path": "torch.nn.Linear", "init_args": {"in_features": -3, "out_features": 2}}, "cannot be built"),
    ({"class_path": "torch.nn.Line"}, "not installed"),
    ({"class_path": "medcnn.nets.nowhere.Net"}, "not installed"),
])  # fmt: skip
def test_a_spec_that_does_not_work_is_told_in_one_line(spec, said):
    with pytest.raises(CheckpointError, match=said) as caught:
        build(spec)
    assert "\n" not in str(caught.value)


def test_endless_nesting_is_refused():
    spec = []
    for _ in range(100):
        spec = [spec]
    with pytest.raises(CheckpointError, match="nested"):
        build(spec)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text().filter("class_path".__ne__), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(PLAIN)
def test_plain_data_comes_back_as_it_is(value):
    assert build(value) == value


@given(st.text())
def test_no_word_is_a_path_to_a_class(word):
    with pytest.raises(CheckpointError):
        resolve(word)


def test_a_number_type_comes_back_from_its_written_form() -> None:
    spec = {"class_path": "monai.transforms.Resized", "init_args": {"keys": "image", "spatial_size": [4, 4]}}
    spec["init_args"] |= {"mode": "area", "dtype": "numpy.float32"}
    image = torch.arange(64, dtype=torch.float32).reshape(1, 8, 8)
    resized = build(spec)({"image": image})["image"]
    assert resized.dtype == torch.float32
    # The area of a 2 x 2 block is its mean: (0 + 1 + 8 + 9) / 4.
    assert float(resized[0, 0, 0]) == 4.5
