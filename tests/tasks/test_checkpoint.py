"""The product: rebuilt from one file or one folder alone, alike in every digit, and silent about where it was made."""

import getpass
import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from medcnn.errors import CheckpointError
from medcnn.tasks.archive import amend_checkpoint, read_checkpoint
from medcnn.tasks.checkpoint import Product, open_product
from medcnn.tasks.classification import ClassificationTask

RESIZE = {"class_path": "monai.transforms.Resized", "init_args": {"keys": "image", "spatial_size": [4, 4]}}
IMAGES = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(9))


@pytest.fixture
def fitted(trainer, task, cohort, tmp_path):
    """A task after an epoch, and its best checkpoint."""
    model, kept = task(), ModelCheckpoint(tmp_path / "kept", monitor="val/auroc", mode="max")
    model.run_id = "0a1b"
    trainer(max_epochs=1, callbacks=[kept], enable_checkpointing=True).fit(
        model, datamodule=cohort(preprocess=[RESIZE])
    )
    return model.eval(), Path(kept.best_model_path)


def test_file_and_folder_rebuild_the_same_model(fitted, tmp_path):
    model, path = fitted
    from_file = open_product(path)
    from_file.to_folder(tmp_path / "product")
    from_folder = open_product(tmp_path / "product")
    assert from_file.digest == from_folder.digest
    for product in (from_file, from_folder):
        rebuilt = product.build_task()
        assert torch.equal(rebuilt(IMAGES), model(IMAGES))
        assert torch.equal(rebuilt.probabilities(rebuilt(IMAGES)), model.probabilities(model(IMAGES)))
        assert rebuilt.decision == model.decision
        assert rebuilt.classes == ("normal", "effusion")
        assert not rebuilt.training
        [resize] = product.build_preprocess()
        assert resize({"image": torch.zeros(1, 9, 9)})["image"].shape == (1, 4, 4)
        assert product.provenance == {
            "run_id": "0a1b", "medcnn_version": product.provenance["medcnn_version"], "data_digest": "d" * 64,
            "image_shape": [1, 4, 4], "trained_on": [], "trained_patients": [], "positive": "effusion",
        }  # fmt: skip


def test_it_holds_nothing_of_the_training_and_no_place(fitted, tmp_path):
    _, path = fitted
    assert str(tmp_path) in repr(read_checkpoint(path)["callbacks"])  # the local file does
    Product.from_checkpoint(path).to_folder(tmp_path / "product")
    assert sorted(file.name for file in (tmp_path / "product").iterdir()) == ["product.json", "weights.safetensors"]
    written = b"".join(file.read_bytes() for file in (tmp_path / "product").iterdir())
    for word in (str(tmp_path), "optimizer", "callbacks", getpass.getuser() + "/"):
        assert word.encode() not in written


def test_a_place_in_the_arguments_is_refused(fitted, tmp_path):
    _, path = fitted
    found = read_checkpoint(path)["hyper_parameters"]
    found["net"]["init_args"]["act"] = "/home/doe/weights.pt"
    amend_checkpoint(path, hyper_parameters=found)
    with pytest.raises(CheckpointError, match="names a place"):
        open_product(path)


def test_the_digest_changes_with_a_weight_a_threshold_and_a_transform(fitted):
    product = open_product(fitted[1])
    name = next(iter(product.weights))
    nudged = product.weights | {name: product.weights[name] + 1e-6}
    decided = product.decision | {"temperature": 9.0}
    digests = {p.digest for p in (
        product, replace(product, weights=nudged), replace(product, decision=decided), replace(product, preprocess=[]),
    )}  # fmt: skip
    assert len(digests) == 4


@pytest.mark.parametrize("path", ["os.system", "torch.hub.load", "hostile.Net", "medcnn.io.film.Film"])
@pytest.mark.parametrize("where", ["net", "loss", "task", "preprocess"])
def test_a_class_outside_the_allow_list_is_refused(fitted, where, path):
    product, bad = open_product(fitted[1]), {"class_path": path, "init_args": {"command": "touch ran"}}
    if where == "task":
        product = replace(product, task=bad)
    elif where == "preprocess":
        product = replace(product, preprocess=[bad])
    else:
        product.task["init_args"][where] = bad
    with pytest.raises(CheckpointError, match="allow-list") as caught:
        product.build_preprocess() if where == "preprocess" else product.build_task()
    assert "\n" not in str(caught.value)


def test_weights_of_another_net_are_refused_in_one_line(fitted):
    product = open_product(fitted[1])
    with pytest.raises(CheckpointError, match="do not fit") as caught:
        replace(product, weights={"net.other": torch.ones(1)}).build_task()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("harm", [
    lambda folder: (folder / "product.json").unlink(),
    lambda folder: (folder / "weights.safetensors").unlink(),
    lambda folder: (folder / "product.json").write_text("{"),
    lambda folder: (folder / "product.json").write_text("[]"),
    lambda folder: (folder / "product.json").write_bytes(b"\xff\xfe"),
    lambda folder: (folder / "weights.safetensors").write_bytes(b"\x00" * 40),
    lambda folder: (folder / "weights.safetensors").write_bytes(safetensors.torch.save({"net.x": torch.ones(1)})),
])  # fmt: skip
def test_a_damaged_folder_is_refused_in_one_line(fitted, tmp_path, harm):
    folder = tmp_path / "product"
    open_product(fitted[1]).to_folder(folder)
    harm(folder)
    with pytest.raises(CheckpointError) as caught:
        open_product(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_part_is_refused(fitted, tmp_path):
    folder = tmp_path / "product"
    open_product(fitted[1]).to_folder(folder)
    recipe = json.loads((folder / "product.json").read_text())
    del recipe["classes"]
    (folder / "product.json").write_text(json.dumps(recipe))
    with pytest.raises(CheckpointError, match="classes"):
        open_product(folder)


def test_a_task_made_from_objects_says_how_to_make_one_that_can_be_rebuilt(trainer, cohort, tmp_path):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    run = trainer(max_epochs=1)
    run.fit(ClassificationTask(net, torch.nn.CrossEntropyLoss(), ("a", "b")), datamodule=cohort(unknown=0))
    run.save_checkpoint(tmp_path / "made.ckpt")
    with pytest.raises(CheckpointError, match=r"net, loss.*medcnn\.tasks\.build"):
        open_product(tmp_path / "made.ckpt")


def test_writing_over_a_product_replaces_it(fitted, tmp_path):
    product = open_product(fitted[1])
    product.to_folder(tmp_path / "product")
    replace(product, preprocess=[]).to_folder(tmp_path / "product")
    assert open_product(tmp_path / "product").preprocess == []
    assert len(list((tmp_path / "product").iterdir())) == 2
