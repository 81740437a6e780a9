"""A segmentation cohort under a trainer: checked before it starts, the same when resumed, home again afterwards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from labeled_cohort import CLASSES, EACH_MM3, OBLIQUE, drawn, shape_of, write_case, write_cohort
from monai.transforms import CropForegroundd, Flipd, Spacingd, SpatialPadd
from torch import Tensor, nn

from medcnn.data.segmentation import SegmentationDataModule
from medcnn.data.spec import described
from medcnn.errors import ConfigError, LeakError, ManifestError, MedcnnError, ReadError
from medcnn.io.nifti import write_nifti
from medcnn.transforms.augment import BatchAugment
from medcnn.transforms.intensity import PercentileNormalized


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("cohort"))


def cohort(folder: Path, **given: Any) -> SegmentationDataModule:
    common: dict[str, Any] = {
        "patient": "pattern:^(p..)",
        "fractions": (0.2, 0.2),
        "workers": 0,
        "patch_size": [8, 8, 8],
    }
    preprocess = [described(PercentileNormalized, keys="image")]
    return SegmentationDataModule(
        folder, given.pop("classes", CLASSES), **{**common, "preprocess": preprocess, **given}
    )


def ready(folder: Path, **given: Any) -> SegmentationDataModule:
    data = cohort(folder, **given)
    data.setup()
    return data


# --- what is refused, before anything is trained


def truncate(folder: Path) -> None:
    path = folder / "images" / "p00_1.nii.gz"
    path.write_bytes(path.read_bytes()[:-200])


def cut_label(folder: Path) -> None:
    write_nifti(folder / "labels" / "p01_0.nii.gz", drawn(2)[1][:-1], OBLIQUE)


def move_label(folder: Path) -> None:
    moved = OBLIQUE.copy()
    moved[:3, 3] += 0.4 * OBLIQUE[:3, 0]
    write_nifti(folder / "labels" / "p01_0.nii.gz", drawn(2)[1], moved)


def spoil_label(value: float) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        label = drawn(2)[1].astype(np.float32)
        label[0, 0, 0] = value
        write_nifti(folder / "labels" / "p01_0.nii.gz", label, OBLIQUE)

    return spoil


def add_stack(folder: Path) -> None:
    affine = np.diag([0.5, 0.5, 2.0, 1.0])
    write_nifti(folder / "images" / "stack.nii.gz", np.zeros((512, 512, 3), np.int16), affine)
    write_nifti(folder / "labels" / "stack.nii.gz", np.zeros((512, 512, 3), np.uint8), affine)


def stretch(folder: Path) -> None:
    image, label = drawn(20)
    affine = OBLIQUE @ np.diag([1.0, 1.0, 5.0, 1.0])
    write_nifti(folder / "images" / "thick.nii.gz", image, affine)
    write_nifti(folder / "labels" / "thick.nii.gz", label, affine)


@pytest.mark.parametrize(
    ("spoil", "kind", "said"),
    [
        (truncate, ReadError, r"p00_1\.nii\.gz"),
        (lambda folder: (folder / "images" / "p00_1.nii.gz").unlink(), ManifestError, r"labels/p00_1.*has no image"),
        (cut_label, ManifestError, r"labels/p01_0\.nii\.gz has 13x14x12 voxels, its image images/p01_0.* 14x14x12"),
        (move_label, ManifestError, r"labels/p01_0\.nii\.gz lies elsewhere .* 0\.4 mm"),
        (spoil_label(7), ConfigError, r"p01_0\.nii\.gz: label value 7 is not known; .*0 background, 1 front, 2 back"),
        (spoil_label(-1), ConfigError, "label value -1 is not known"),
        (spoil_label(0.5), ManifestError, r"p01_0\.nii\.gz: a label holds whole numbers, found 0\.5"),
        (spoil_label(float("nan")), ManifestError, r"p01_0\.nii\.gz: a label holds whole numbers, found nan"),
        (add_stack, ManifestError, r"images/stack\.nii\.gz has 512x512x3 voxels of 0\.5 x 0\.5 x 2 mm among"),
        (stretch, ManifestError, r"images/thick\.nii\.gz has .* mm among .* on_outlier"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_its_name_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], None], kind: type[MedcnnError], said: str
) -> None:
    spoil(write_cohort(tmp_path / "cohort", 6))
    with pytest.raises(kind, match=said) as refused:
        ready(tmp_path / "cohort")
    assert "\n" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_a_header_that_rounds_is_no_other_place(tmp_path: Path) -> None:
    write_cohort(tmp_path / "cohort", 6)
    write_nifti(tmp_path / "cohort" / "labels" / "p01_0.nii.gz", drawn(2)[1], np.round(OBLIQUE, 3))
    assert len(ready(tmp_path / "cohort").cases) == 6


def test_a_label_in_another_order_of_axes_is_brought_into_that_of_its_image(tmp_path: Path) -> None:
    write_cohort(tmp_path / "cohort", 6)
    label = drawn(2)[1]
    turned = OBLIQUE @ np.array([[0, 0, -1, label.shape[0] - 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    write_nifti(tmp_path / "cohort" / "labels" / "p01_0.nii.gz", label.transpose(1, 2, 0)[:, :, ::-1], turned)
    data = ready(tmp_path / "cohort", fractions=(0.0, 0.0))
    assert np.array_equal(data.prepared[2].mask, label)
    assert np.array_equal(data.truth(2)[0], label)


def test_a_grid_with_the_same_corners_but_other_axes_is_refused(tmp_path: Path) -> None:
    write_cohort(tmp_path / "cohort", 6)
    image = np.zeros((10, 10, 10), np.int16)
    write_nifti(tmp_path / "cohort" / "images" / "p01_0.nii.gz", image, np.eye(4))
    write_nifti(tmp_path / "cohort" / "labels" / "p01_0.nii.gz", image.astype(np.uint8), np.diag([2.0, 2.0, 2.0, 1.0]))
    with pytest.raises(ManifestError, match=r"p01_0\.nii\.gz lies elsewhere"):
        ready(tmp_path / "cohort")


def test_an_outlier_can_be_allowed_and_is_flagged_then(tmp_path: Path) -> None:
    stretch(write_cohort(tmp_path / "cohort", 6))
    data = ready(tmp_path / "cohort", on_outlier="allow")
    assert data.describe()["flags"] == {"outlier": 1}


def test_a_share_of_damaged_files_can_be_allowed_and_is_counted(tmp_path: Path) -> None:
    folder = write_cohort(tmp_path / "cohort", 8)
    (folder / "images" / "p00_1.nii.gz").unlink()
    write_nifti(folder / "images" / "p00_1.nii", drawn(1)[0], OBLIQUE)
    whole = (folder / "images" / "p00_1.nii").read_bytes()
    (folder / "images" / "p00_1.nii").write_bytes(whole[:-200])
    data = ready(tmp_path / "cohort", allow_unreadable=0.2)
    assert data.describe()["excluded"] == {"truncated": 1}
    assert len(data.cases) == 7


def test_the_same_voxels_in_two_given_splits_are_a_leak(tmp_path: Path) -> None:
    write_cohort(tmp_path / "cohort", 4)
    write_case(tmp_path / "cohort", "copy", 1)
    names = ["p00_0", "p00_1", "p01_0", "p01_1", "copy"]
    lines = [
        "image,mask,split",
        *(f"images/{n}.nii.gz,labels/{n}.nii.gz,{'val' if n == 'copy' else 'train'}" for n in names),
    ]
    (tmp_path / "cohort" / "cases.csv").write_text("\n".join(lines))
    with pytest.raises(LeakError, match=r"images/p00_1\.nii\.gz \(train\) and images/copy\.nii\.gz \(val\)"):
        ready(tmp_path / "cohort" / "cases.csv", patient=None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"classes": {0: "background", 2: "back"}}, "values 0, 2; expected 0"),
        ({"classes": ["background"]}, "expected 0 .background., 1, 2"),
        ({"classes": ["background", "a", "a"]}, "a name is there twice"),
        ({"images": "/home/jane^doe"}, "never paths"),
        ({"patch_size": [8, 0, 8]}, "patch_size"),
        ({"foreground_share": 1.5}, "foreground_share"),
        ({"margin": 0.5}, "margin 0.5"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused_when_built(folder: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SegmentationDataModule(folder, **{"classes": CLASSES, **given})


def test_a_mask_that_is_interpolated_or_left_behind_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="mode nearest"):
        ready(folder, preprocess=[Spacingd(["image", "mask"], pixdim=(1.3, 1.3, 1.3))])
    with pytest.raises(ConfigError, match="lie on two grids"):
        ready(folder, preprocess=[SpatialPadd("image", 20)])


# --- what is told


def test_what_is_described_is_what_was_drawn(folder: Path) -> None:
    data = ready(folder)
    told = data.describe()
    assert sum(part["cases"] for part in told["splits"].values()) == 12
    for split, part in told["splits"].items():
        cases = data.cases[data.cases["split"] == split]
        assert part["cases"] == len(cases) == 2 * part["patients"]
        assert part["mean_volume_mm3"]["front"] == 4 * 5 * 4 * EACH_MM3
        assert part["mean_volume_mm3"]["back"] == 2 * 2 * 2 * EACH_MM3
        assert data.class_counts(split).tolist()[1:] == [80 * len(cases), 8 * len(cases)]
        assert part["classes"] == dict(zip(CLASSES, data.class_counts(split).tolist(), strict=True))
    assert told["proof"] == {"patients_shared": 0, "contents_shared": 0, "checked": 12}
    assert "p00" not in str(told)
    assert "path" not in data.cases


def test_an_empty_label_is_flagged_and_a_class_that_is_nowhere_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_cohort(tmp_path / "cohort", 6)
    write_nifti(tmp_path / "cohort" / "labels" / "p01_0.nii.gz", np.zeros(shape_of(2), np.uint8), OBLIQUE)
    data = ready(tmp_path / "cohort", classes=[*CLASSES, "rare"], fractions=(0.0, 0.0), patch_size=[4, 4, 4])
    assert data.describe()["flags"] == {"empty_label": 1}
    assert "no training case holds rare" in caplog.text
    assert len(list(data.train_dataloader())) == 3  # a patch of the empty case lies anywhere


def test_the_digest_names_images_labels_and_place_but_not_the_fold(folder: Path, tmp_path: Path) -> None:
    first = ready(folder, folds=3).describe()
    assert first["digest"] == ready(folder, folds=3, fold=1).describe()["digest"]
    assert (first["folds"], first["fold"]) == (3, 0)
    move_label(write_cohort(tmp_path / "cohort"))
    label = drawn(2)[1]
    label[0, 0, 0] = 1
    write_nifti(tmp_path / "cohort" / "labels" / "p01_0.nii.gz", label, OBLIQUE)
    assert ready(tmp_path / "cohort").describe()["digest"] != first["digest"]


def test_folds_keep_patients_together_and_leave_no_test(folder: Path) -> None:
    seen: list[str] = []
    for fold in range(3):
        data = ready(folder, folds=3, fold=fold, fractions=(0.0, 0.0))
        judged = data.cases[data.cases["split"] == "val"]
        assert not set(judged["patient"]) & set(data.cases.loc[data.cases["split"] == "train", "patient"])
        seen += judged["case"].tolist()
        with pytest.raises(ConfigError, match="no test cases"):
            data.test_dataloader()
    assert sorted(seen) == sorted(data.cases["case"])


def test_fixed_cases_are_whole_and_the_same_each_time(folder: Path) -> None:
    first, again = ready(folder).fixed_cases("train", 3), ready(folder).fixed_cases("train", 3)
    assert len(first) == 3
    for one, other in zip(first, again, strict=True):
        assert one["case"] == other["case"]
        assert one["image"].shape[1:] == one["mask"].shape
        assert one["mask"].sum() == 80 + 2 * 8


# --- home again


@pytest.mark.parametrize(
    "moved",
    [
        [],
        [Flipd(["image", "mask"], [0, 2])],
        [SpatialPadd(["image", "mask"], [24, 20, 17])],
        [CropForegroundd(["image", "mask"], source_key="mask", margin=1)],
        [Flipd(["image", "mask"], 1), CropForegroundd(["image", "mask"], source_key="mask", margin=[0, 2, 1])],
    ],
)  # fmt: skip
def test_where_grids_differ_by_whole_voxels_labels_come_home_exactly(folder: Path, moved: list[Any]) -> None:
    data = ready(folder, preprocess=moved)
    for batch in data.val_dataloader():
        case = int(batch["case"])
        hot = nn.functional.one_hot(batch["mask"][0].long(), 3).movedim(-1, 0).float()
        truth, spacing = data.truth(case)
        assert torch.equal(data.to_source(hot, case), truth)
        assert spacing == pytest.approx((1.0, 1.5, 2.0))
        assert int(truth.sum()) == 80 + 2 * 8


def test_a_resampled_structure_comes_home_to_its_place(folder: Path) -> None:
    preprocess = [described(Spacingd, keys=["image", "mask"], pixdim=[0.8, 0.8, 0.8], mode=["bilinear", "nearest"])]
    data = ready(folder, preprocess=preprocess)
    case = data.prepared[0]
    assert np.allclose(np.linalg.norm(case.affine[:3, :3], axis=0), 0.8)
    home = data.to_source(nn.functional.one_hot(torch.from_numpy(case.mask).long(), 3).movedim(-1, 0).float(), 0)
    truth, _ = data.truth(0)
    for value in (1, 2):
        found, expected = (torch.nonzero(one == value).double().mean(0) for one in (home, truth))
        # Half of a prepared voxel, in voxels of the source.
        assert ((found - expected).abs() * torch.tensor([1.0, 1.5, 2.0])).max() <= 0.4


# --- under a trainer


class Watched(pl.LightningModule):
    """A net so small that its weights tell every batch it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(1, 3, 3)
        self.seen: dict[str, list[dict[str, Tensor]]] = {"train": [], "val": []}

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        self.seen["train"].append(batch)
        return nn.functional.cross_entropy(self.layer(batch["image"]), batch["mask"][:, 1:-1, 1:-1, 1:-1])

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        self.seen["val"].append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 0.01)


def trainer(folder: Path, epochs: int) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, logger=False, default_root_dir=folder,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, num_sanity_val_steps=0,
    )  # fmt: skip


def fitted(data: SegmentationDataModule, folder: Path, epochs: int, checkpoint: Path | None = None) -> Watched:
    torch.manual_seed(0)
    net, run = Watched(), trainer(folder, epochs)
    run.fit(net, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    run.save_checkpoint(folder / f"{epochs}.ckpt")
    return net


def test_a_resumed_run_reaches_the_weights_of_an_unbroken_one(folder: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"augment": BatchAugment(rotate_degrees=20, noise_std=0.1), "patches_per_epoch": 10}
    fitted(cohort(folder, **given), tmp_path, 1)
    resumed = fitted(cohort(folder, **given), tmp_path, 3, tmp_path / "1.ckpt")
    assert torch.equal(resumed.layer.weight, fitted(cohort(folder, **given), tmp_path, 3).layer.weight)


def test_batches_are_as_promised_and_image_and_mask_move_as_one(folder: Path, tmp_path: Path) -> None:
    turned = BatchAugment(flip_axes=[0], flip_probability=1.0, clamp=None)
    # The image of a case is its own mask: they stay equal under every movement.
    data = cohort(folder, augment=turned, preprocess=[Copied()], margin=1.5, patches_per_epoch=7, batch_size=2)
    net = fitted(data, tmp_path, 1)
    for batch in net.seen["train"]:
        assert batch["image"].shape == (2, 1, 8, 8, 8)
        assert (batch["image"].dtype, batch["mask"].dtype) == (torch.float32, torch.int64)
        assert torch.equal(batch["image"][:, 0], batch["mask"].float())
        assert "draw" not in batch
    assert len(net.seen["train"]) == 3
    judged = net.seen["val"]
    assert len(judged) == int((data.cases["split"] == "val").sum())
    for batch in judged:
        row = data.prepared[int(batch["case"])].row
        assert tuple(batch["mask"].shape) == (1, *shape_of(row))
        assert batch["affine"].dtype == torch.float64
        assert np.allclose(batch["affine"][0], OBLIQUE, atol=1e-5)


class Copied:
    """The mask in place of the image."""

    def __call__(self, case: dict[str, Any]) -> dict[str, Any]:
        return {**case, "image": case["mask"].float()}


def test_the_checkpoint_holds_plain_data_and_no_path(folder: Path, tmp_path: Path) -> None:
    fitted(cohort(folder, cache_dir=tmp_path / "who^lives^here"), tmp_path, 1)
    held = torch.load(tmp_path / "1.ckpt", weights_only=True)["datamodule_hyper_parameters"]
    assert held["classes"] == CLASSES
    assert held["preprocess"][0]["class_path"].endswith("PercentileNormalized")
    assert "who^lives^here" not in str(held)
    assert str(folder) not in str(held)


def test_whole_images_are_padded_to_the_largest_rounded_up(folder: Path) -> None:
    data = ready(folder, patch_size=None, divisor=8)
    assert data.whole_size == (16, 16, 16)
    batch = next(iter(data.train_dataloader()))
    assert tuple(batch["mask"].shape) == (2, 16, 16, 16)
    for mask in batch["mask"]:
        assert int(mask.sum()) == 80 + 2 * 8  # nothing is cut off


@pytest.mark.data
def test_the_hippocampus_is_read_whole_and_its_volumes_are_those_published(shared_data: Path) -> None:
    data = SegmentationDataModule(
        shared_data / "hippocampus", ["background", "anterior", "posterior"], patient=r"pairs:(\d+)\.nii",
        folds=5, fractions=(0.0, 0.0), workers=0,
    )  # fmt: skip
    data.setup()
    volumes = data.split.volumes_mm3.mean(dim=0).tolist()
    assert volumes[1:] == pytest.approx([1715, 1580], rel=0.02)
    assert {split: part["cases"] for split, part in data.describe()["splits"].items()} == {
        "train": 160, "val": 40, "test": 0,
    }  # fmt: skip
