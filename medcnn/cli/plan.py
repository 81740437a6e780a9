"""``medcnn plan``: a configuration for a cohort of labeled volumes, from what its files are like."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medcnn.errors import ConfigError
from medcnn.files import write_atomic

if TYPE_CHECKING:
    from medcnn.data.fingerprint import Fingerprint
    from medcnn.nets.plan import Plan

#: Steps of an epoch, as nnU-Net counts one.
_STEPS = 250
_EPOCHS, _VALIDATED = 100, 5


@dataclass
class PlanCohort:
    """Plan a U-Net for a cohort of images and labels: patch, depth, widths and batch from size, spacing and memory.

    Reads and checks every case, and writes one configuration for ``medcnn fit --config OUT``, to be read and changed.

    Attributes:
        source: A folder with images/ and labels/, or a manifest with the columns image and mask.
        out: The configuration to write (YAML); an existing file is not touched.
        classes: Names of the label values in order, the background first.
        images: Name of the folder of images, or column of the manifest.
        labels: Name of the folder of labels, or column of the manifest.
        root: Folder that the paths of a manifest are relative to.
        patient: Where the patient is told: column:NAME, pattern:REGEX on the file name, or pairs:REGEX.
        memory_gb: What a training step may take.
        width: Channels of the first stage; 16 is for training on a CPU.
        folds: Folds by patient, of which the first is validated on.
        test_fraction: Share of the cases that is kept out of all folds for `medcnn test`.
    """

    source: Path
    out: Path
    classes: list[str] = field(default_factory=list)
    images: str | None = None
    labels: str | None = None
    root: Path | None = None
    patient: str | None = None
    memory_gb: float = 8.0
    width: int = 32
    folds: int = 5
    test_fraction: float = 0.0

    def __call__(self) -> int:
        """Plan, write, and say what was found."""
        from medcnn.data.fingerprint import fingerprint
        from medcnn.data.segmentation import SegmentationDataModule
        from medcnn.nets.plan import plan_unet

        if not self.classes:
            raise ConfigError("name the label values in order, the background first: --classes '[background, lesion]'")
        if self.out.exists():
            raise ConfigError(f"{self.out} is there already; name another file, or remove it")
        if not 0 <= self.test_fraction < 1:
            raise ConfigError(f"test_fraction is {self.test_fraction}; give a share from 0 and below 1, as 0.2")
        data = SegmentationDataModule(
            self.source, self.classes, self.images, self.labels, self.root, self.patient, batch_size=1
        )
        data.setup()
        found = fingerprint(data.prepared)
        try:
            planned = plan_unet(
                found.spacing_mm, found.size, found.channels, len(data.classes), self.memory_gb, found.cases, self.width
            )
        except ValueError as error:
            raise ConfigError(str(error)) from error
        self._write(found, planned)
        print(_told(found, planned))
        _hint()
        print(f"next       medcnn fit --config {self.out}")
        return 0

    def _write(self, found: "Fingerprint", planned: "Plan") -> None:
        import yaml

        config = {"seed_everything": 0, "trainer": _trainer(), "data": self._data(found, planned),
                  "model": _model(planned)}  # fmt: skip
        heading = "".join(f"# {line}\n" for line in _told(found, planned).splitlines())
        text = heading + yaml.safe_dump(config, sort_keys=False, default_flow_style=None, width=110)
        write_atomic(self.out, lambda draft: draft.write_text(text, "utf-8"))

    def _data(self, found: "Fingerprint", planned: "Plan") -> dict[str, Any]:
        given = {"source": str(self.source), "images": self.images, "labels": self.labels, "patient": self.patient,
                 "root": None if self.root is None else str(self.root)}  # fmt: skip
        keys = ["image", "mask"]
        preprocess = [_part("monai.transforms.Orientationd", keys=keys, axcodes="RAS", labels=None)]
        if found.resampled:
            spacing = {"pixdim": list(found.spacing_mm), "mode": ["bilinear", "nearest"]}
            preprocess.append(_part("monai.transforms.Spacingd", keys=keys, **spacing))
        preprocess.append(_part("medcnn.transforms.intensity.PercentileNormalized", keys="image"))
        return _part(
            "medcnn.data.segmentation.SegmentationDataModule",
            **{name: value for name, value in given.items() if value is not None},
            classes=self.classes,
            folds=self.folds,
            fold=0,
            fractions=[0.0, self.test_fraction],
            patch_size=list(planned.patch_size),
            batch_size=planned.batch_size,
            patches_per_epoch=_STEPS * planned.batch_size,
            preprocess=preprocess,
            augment=_augment(found),
        )


def _hint() -> None:
    """Say what a machine without a GPU can do."""
    import torch

    if not torch.cuda.is_available():
        print("hint       torch finds no GPU: on a CPU plan with --width 16 or less and lower max_epochs and")
        print("           patches_per_epoch; configs/experiment/hippocampus.yaml is an example")


def _part(class_path: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": class_path, "init_args": init_args}


def _trainer() -> dict[str, Any]:
    return {"accelerator": "auto", "devices": 1, "precision": "auto", "max_epochs": _EPOCHS,
            "check_val_every_n_epoch": _VALIDATED, "num_sanity_val_steps": 0}  # fmt: skip


def _augment(found: "Fingerprint") -> dict[str, Any]:
    """The ranges of the shipped experiment; no axis is mirrored unless the user names it."""
    return _part(
        "medcnn.transforms.augment.BatchAugment",
        rotate_degrees=15.0, translate=0.04, scale=[0.8, 1.25], elastic=0.03, brightness=0.1, contrast=[0.75, 1.33],
        gamma=[0.7, 1.45], bias_field=0.2, noise_std=0.05, blur_sigma=0.8, low_resolution=2.0,
        geometry_probability=0.8, noise_probability=0.2, padding="zeros", voxel_size=list(found.spacing_mm),
    )  # fmt: skip


def _model(planned: "Plan") -> dict[str, Any]:
    losses = [
        _part("medcnn.losses.soft_dice.SoftDice"),
        _part("medcnn.losses.weighted_cross_entropy.WeightedCrossEntropy"),
    ]
    each = _part("medcnn.losses.weighted_sum.WeightedSum", losses=losses)
    return _part(
        "medcnn.tasks.segmentation.SegmentationTask",
        net=planned.net(),
        loss=_part("medcnn.losses.deep_supervision.DeepSupervision", loss=each),
        optimizer=_part("torch.optim.AdamW", lr=2.0e-3, weight_decay=0.02),
        scheduler=_part("medcnn.tasks.schedule.CosineWithWarmup", warmup=0.05),
    )


def _told(found: "Fingerprint", planned: "Plan") -> str:
    sizes = " to ".join("x".join(map(str, size)) for size in (found.least, found.largest))
    median, target = "x".join(map(str, found.size)), " x ".join(f"{mm:g}" for mm in found.spacing_mm)
    others = "to which others are resampled" if found.resampled else "in every case"
    patch, widths = "x".join(map(str, planned.patch_size)), ", ".join(map(str, planned.widths))
    size = f"{planned.parameters() / 1e6:.1f} M weights, about {planned.memory_gb():.1f} GB a step"
    return "\n".join(
        [
            f"cohort     {found.cases} cases, sequences of each: {found.channels}, {sizes} voxels, median {median}",
            f"spacing    {target} mm, {others}",
            f"patch      {patch}, {planned.batch_size} in a batch",
            f"net        stages of {widths} channels, {size}",
            f"length     {_EPOCHS} epochs of {_STEPS} steps, validated every {_VALIDATED}",
        ]
    )
