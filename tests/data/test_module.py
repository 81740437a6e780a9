"""A cohort under a trainer: plain in the checkpoint, the same when resumed, augmented only in training."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from monai.transforms import Resized, ScaleIntensityRanged
from torch import Tensor, nn

from medcnn.data.phantom import PhantomDataModule
from medcnn.data.spec import described
from medcnn.errors import ConfigError


class Shaken(nn.Module):
    """Adds noise from the generator it is given."""

    def forward(self, image: Tensor, generator: torch.Generator) -> Tensor:
        return image + torch.randn(image.shape, generator=generator)


class Watched(pl.LightningModule):
    """A net so small that its weights tell every batch it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 2)
        self.seen: dict[str, list[Tensor]] = {"train": [], "val": []}

    def _step(self, batch: dict[str, Tensor], stage: str) -> Tensor:
        self.seen[stage].append(batch["image"])
        return nn.functional.cross_entropy(self.layer(batch["image"].flatten(1)), batch["label"])

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        return self._step(batch, "train")

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        self._step(batch, "val")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 0.01)


def cohort(**given: Any) -> PhantomDataModule:
    preprocess = [described(Resized, keys=["image"], spatial_size=[8, 8], mode="area")]
    return PhantomDataModule(patients=30, size=16, batch_size=8, preprocess=preprocess, augment=Shaken(), **given)


def trainer(folder: Path, epochs: int) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, logger=False, default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, num_sanity_val_steps=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Watched, Path]:
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    net = Watched()
    short = trainer(folder, 2)
    short.fit(net, datamodule=cohort(cache_dir=folder / "who^lives^here"))
    short.save_checkpoint(folder / "two.ckpt")
    torch.manual_seed(0)
    net = Watched()
    trainer(folder, 4).fit(net, datamodule=cohort())
    return net, folder / "two.ckpt"


def test_a_resumed_run_reaches_the_weights_of_an_unbroken_one(whole_run: tuple[Watched, Path], tmp_path: Path) -> None:
    net = Watched()
    trainer(tmp_path, 4).fit(net, datamodule=cohort(), ckpt_path=whole_run[1], weights_only=True)
    assert torch.equal(net.layer.weight, whole_run[0].layer.weight)


def test_the_checkpoint_holds_the_preprocessing_as_plain_data_and_no_path(whole_run: tuple[Watched, Path]) -> None:
    held = torch.load(whole_run[1], weights_only=True)["datamodule_hyper_parameters"]
    assert held["preprocess"][0]["class_path"].endswith("Resized")
    assert held["preprocess"][0]["init_args"] == {"keys": ["image"], "spatial_size": [8, 8], "mode": "area"}
    assert "who^lives^here" not in str(held)
    assert held["batch_size"] == 8


def test_only_training_is_augmented(whole_run: tuple[Watched, Path]) -> None:
    net, _ = whole_run
    assert all(torch.equal(net.seen["val"][0], image) for image in net.seen["val"][:: len(net.seen["val"]) // 4])
    assert float(net.seen["val"][0].max()) <= 1.0
    assert float(net.seen["train"][0].max()) > 1.5


def test_a_silent_transform_is_said_so_and_not_pickled(caplog: pytest.LogCaptureFixture) -> None:
    data = PhantomDataModule(patients=6, size=16, preprocess=[ScaleIntensityRanged("image", 0, 1, 0, 2)])
    assert data.hparams["preprocess"] is None
    assert "ScaleIntensityRanged, which cannot tell how to build it" in caplog.text
    data.setup()
    assert len(data.cases) > 0


def test_what_is_described_agrees_with_the_table_and_names_nobody() -> None:
    data = cohort(fractions=(0.2, 0.2))
    data.setup()
    told = data.describe()
    for split, part in told["splits"].items():
        cases = data.cases[data.cases["split"] == split]
        assert part["cases"] == len(cases)
        assert part["patients"] == cases["patient"].nunique()
        assert part["classes"]["opacity"] == (cases["label"] == 1).sum()
        assert data.class_counts(split).tolist() == list(part["classes"].values())
    assert told["proof"] == {"patients_shared": 0, "contents_shared": 0, "checked": len(data.cases)}
    assert "path" not in data.cases.columns
    assert not set(data.cases["patient"]) & set(str(told).replace("'", " ").split())


def test_the_fixed_cases_are_the_same_each_time_and_take_the_classes_in_turn() -> None:
    data, again = cohort(), cohort()
    data.setup()
    again.setup()
    chosen = data.fixed_cases("val", 4)
    assert chosen["label"].tolist() == [0, 1, 0, 1]
    assert torch.equal(chosen["case"], again.fixed_cases("val", 4)["case"])
    assert set(data.cases["split"][chosen["case"].tolist()]) == {"val"}
    assert chosen["image"].shape == (4, 1, 8, 8)


def test_an_empty_split_is_told_in_one_line() -> None:
    data = cohort(fractions=(0.2, 0.0))
    data.setup()
    with pytest.raises(ConfigError, match="there are no test cases"):
        data.test_dataloader()


def test_the_seed_of_the_run_changes_the_order_but_not_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    data = cohort()
    data.setup()
    orders = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PL_GLOBAL_SEED", seed)
        orders.append([batch["case"].tolist() for batch in data.train_dataloader()])
    assert orders[0] != orders[1]
    assert len(orders[0]) == len(orders[1])
