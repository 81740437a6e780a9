"""What LightningCLI leaves in a checkpoint is enough to rebuild the model, links from the data included."""

from pathlib import Path

import torch
import yaml
from point_cohort import PointCohort, recipe
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.cli import LightningCLI

from medcnn.tasks.archive import read_checkpoint
from medcnn.tasks.checkpoint import open_product
from medcnn.tasks.classification import ClassificationTask


class LinkedCLI(LightningCLI):
    def add_arguments_to_parser(self, parser):
        for name in ("classes", "multilabel"):
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")


def test_a_model_fitted_from_a_config_is_rebuilt_from_its_checkpoint(tmp_path, monkeypatch):
    # The verbs guard YAML for the whole process once one of them has run in it.
    monkeypatch.setenv("MEDCNN_ALLOW", "point_cohort")
    model = recipe()
    del model["init_args"]["classes"]
    model["init_args"] |= {
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.01}},
        "scheduler": {"class_path": "medcnn.tasks.schedule.CosineWithWarmup", "init_args": {"warmup": 0.2}},
    }
    trainer = {
        "max_epochs": 1, "accelerator": "cpu", "logger": False, "enable_progress_bar": False,
        "default_root_dir": str(tmp_path), "enable_model_summary": False,
    }  # fmt: skip
    config = {
        "model": model,
        "data": {"class_path": "point_cohort.PointCohort"},
        "trainer": trainer,
        "seed_everything": 1,
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    cli = LinkedCLI(
        ClassificationTask, PointCohort, subclass_mode_model=True, subclass_mode_data=True, save_config_callback=None,
        args=["fit", "--config", str(tmp_path / "config.yaml")], auto_configure_optimizers=False,
        trainer_defaults={"callbacks": [ModelCheckpoint(tmp_path, filename="kept")]},
    )  # fmt: skip
    assert cli.trainer.optimizers[0].defaults["lr"] == 0.01
    path = tmp_path / "kept.ckpt"
    found = read_checkpoint(path)["hyper_parameters"]
    assert found["classes"] == ["normal", "effusion"]
    assert found["optimizer"]["class_path"] == "torch.optim.AdamW"
    assert str(tmp_path) not in repr(found)
    product = open_product(path)
    rebuilt = product.build_task()
    images = cli.datamodule.splits["test"]["image"]
    with torch.no_grad():
        assert torch.equal(rebuilt(images), cli.model.eval()(images))
    product.to_folder(tmp_path / "product")
    assert open_product(Path(tmp_path / "product")).digest == product.digest
    # Lightning's own way back works too.
    again = ClassificationTask.load_from_checkpoint(path, weights_only=True)
    assert again.decision == cli.model.decision
