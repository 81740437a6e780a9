"""Samples a second of ``medcnn fit`` against a bare loop over one tensor and a DataLoader over MONAI's Dataset.

    python benchmarks/train.py ../shared/data/medmnist/pneumoniamnist.npz [--rounds 5]
    python benchmarks/train.py --chest ../shared/data/chest_xray [--rounds 3]

All ways run in one process by turns, one round after each other: between two epochs of ``fit``, with its default
callbacks and tracking, the others train copies of the same net with the same loss, optimizer and precision. Training
batches alone are timed, from the second epoch on. The bare loop slices a tensor of prepared images and augments
nothing, and is compared with epochs of ``fit`` without augmentation; MONAI's way prepares and augments item by item.
"""

import argparse
import contextlib
import copy
import io
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import monai.transforms as mt
import numpy as np
import pytorch_lightning as pl
import torch
from monai.data import DataLoader, Dataset, PILReader
from torch import Tensor

from medcnn.cli.configs import configs_folder
from medcnn.cli.lightning import CALLBACKS, run
from medcnn.io.medmnist import read_npz
from medcnn.tasks.optimization import parameter_groups
from medcnn.transforms.augment import BatchAugment

FIT, FIT_PLAIN, BARE = "`medcnn fit`", "`medcnn fit`, no augmentation", "bare loop over a tensor, no augmentation"
MONAI = "MONAI Dataset and DataLoader, {} workers"
WORKERS = (0, 2)
RESULTS = Path(__file__).parent / "results"


def random_steps(augment: BatchAugment, size: int) -> list[mt.MapTransform]:
    """The ranges and probabilities of our augmentation as MONAI's transforms of one item."""
    shift, slant = augment.translate * size, math.tan(math.radians(augment.shear_degrees))
    # A crop is a magnification: MONAI's scale takes it together with ours.
    least, most = augment.scale[0] - 1, augment.scale[1] / augment.crop - 1
    steps: list[mt.MapTransform] = [
        mt.RandAffined(
            "image", prob=augment.geometry_probability, rotate_range=math.radians(augment.rotate_degrees),
            translate_range=(shift, shift), scale_range=((least, most),) * 2, padding_mode="border",
            shear_range=(slant, slant) if slant else None,
        )
    ]  # fmt: skip
    if augment.blur_sigma:
        sigma = (0.01, augment.blur_sigma)
        steps.append(mt.RandGaussianSmoothd("image", sigma_x=sigma, sigma_y=sigma, prob=augment.blur_probability))
    share = augment.tone_probability
    steps += [
        mt.RandAdjustContrastd("image", prob=share, gamma=augment.gamma),
        mt.RandScaleIntensityd("image", prob=share, factors=(augment.contrast[0] - 1, augment.contrast[1] - 1)),
        mt.RandShiftIntensityd("image", prob=share, offsets=augment.brightness),
        mt.RandGaussianNoised("image", prob=augment.noise_probability, std=augment.noise_std),
    ]
    if augment.erase:
        edge = max(int(augment.erase * size), 1)
        steps.append(
            mt.RandCoarseDropoutd(
                "image", holes=1, spatial_size=1, max_spatial_size=edge, prob=augment.erase_probability
            )
        )
    return steps


class Source:
    """What MONAI's way starts from: items, and the fixed steps of the configuration in MONAI's words."""

    def __init__(self, items: list[dict[str, Any]], fixed: list[Callable[..., Any]]) -> None:
        self.items, self.fixed = items, fixed

    def loader(self, augment: BatchAugment, size: int, batches: int, batch_size: int, workers: int) -> DataLoader:
        """As many batches of chosen items, decoded, prepared and augmented one by one."""
        chosen = np.random.default_rng(batches).choice(len(self.items), batches * batch_size)
        data = Dataset([self.items[i] for i in chosen], mt.Compose([*self.fixed, *random_steps(augment, size)]))
        return DataLoader(data, batch_size=batch_size, shuffle=True, num_workers=workers)


def small_images(path: Path) -> Source:
    """``configs/data/pneumoniamnist.yaml``: z-scores, of which [-2, 2] becomes [0, 1]."""
    parts = read_npz(path)
    labels = parts["train_labels"].reshape(-1).tolist()
    items = [{"image": x[None], "label": y} for x, y in zip(parts["train_images"], labels, strict=True)]
    fixed = [
        mt.EnsureTyped("image", dtype=torch.float32),
        mt.NormalizeIntensityd("image"),
        mt.ScaleIntensityRanged("image", -2, 2, 0, 1, clip=True),
    ]
    return Source(items, fixed)


def films(folder: Path) -> Source:
    """``configs/data/chest_xray.yaml``: JPEG files to 112 pixels, the percentiles 0.5 and 99.5 to [0, 1]."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    items = [{"image": str(file), "label": names.index(n)} for n in names for file in sorted((folder / n).iterdir())]
    fixed = [
        mt.LoadImaged("image", reader=PILReader(converter=lambda image: image.convert("L"))),
        mt.EnsureChannelFirstd("image"),
        mt.Resized("image", spatial_size=(112, 112), mode="area"),
        mt.ScaleIntensityRangePercentilesd("image", 0.5, 99.5, 0, 1, clip=True),
    ]
    return Source(items, fixed)


class Trainee:
    """A copy of a task's parts, trained by hand."""

    def __init__(self, task: Any, precision: str) -> None:
        self.net, self.loss = copy.deepcopy(task.net).train(), copy.deepcopy(task.loss)
        self.optimizer = task.optimizer(parameter_groups(self.net))
        self.half = precision == "bf16-mixed"

    def rate(self, batches: Iterable[tuple[Tensor, Tensor]], ahead: int = 0) -> float:
        """Samples a second, without the first ``ahead`` batches: workers start with one each, all at a time."""
        seen, started = 0, time.perf_counter()
        for number, (image, label) in enumerate(batches):
            if ahead and number == ahead - 1:
                started, seen = time.perf_counter(), -len(image)
            self.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.half):
                value = self.loss(self.net(image), label)
            value.backward()
            self.optimizer.step()
            seen += len(image)
        return seen / (time.perf_counter() - started)


class Rounds(pl.Callback):
    """Times the training batches of each epoch of ``fit``, and lets the other ways run between two epochs."""

    source: ClassVar[Source]
    batches: ClassVar[int]
    rates: ClassVar[dict[str, list[float]]]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Copy the untrained parts, and lay the training images out as one tensor."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        loader = data.train_dataloader()
        batch = loader.batch(loader.sampler.rows)
        self.image, self.label, self.size = batch["image"], batch["label"], batch["image"].shape[-1]
        self.cut = loader.sampler.batch_size
        self.augment = data.augment
        self.others = [Trainee(pl_module, trainer.precision) for _ in range(1 + len(WORKERS))]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Augment in every second epoch."""
        self.plain = trainer.current_epoch % 2 == 0
        trainer.datamodule.augment = None if self.plain else self.augment  # type: ignore[attr-defined]
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop the clock at the last batch: validation follows. The first two epochs warm up."""
        if batch_idx + 1 == trainer.num_training_batches and trainer.current_epoch > 1:
            seen = trainer.num_training_batches * self.cut
            self._note(FIT_PLAIN if self.plain else FIT, seen / (time.perf_counter() - self.started))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """One round of the other ways: the bare loop after each plain epoch, MONAI's after each augmented one."""
        warm = trainer.current_epoch > 1
        if self.plain:
            rate = self.others[0].rate(self._slices())
            if warm:
                self._note(BARE, rate)
        elif warm:
            for workers, trainee in zip(WORKERS, self.others[1:], strict=True):
                loader = self.source.loader(self.augment, self.size, self.batches, self.cut, workers)
                pairs = ((item["image"].as_tensor(), item["label"]) for item in loader)
                self._note(MONAI.format(workers), trainee.rate(pairs, ahead=workers))

    def _slices(self) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(self.image) - self.cut + 1, self.cut):
            yield self.image[start : start + self.cut], self.label[start : start + self.cut]

    def _note(self, way: str, rate: float) -> None:
        self.rates.setdefault(way, []).append(rate)


def measure(experiment: str, source: Path, rounds: int, batches: int) -> dict[str, list[float]]:
    """Rates of every way, by round; ``fit`` leaves its run and checkpoints in a folder that is removed."""
    Rounds.source = films(source) if source.is_dir() else small_images(source)
    Rounds.batches, Rounds.rates = batches, {}
    CALLBACKS["rounds"] = (Rounds, {})
    config = configs_folder().resolve() / "experiment" / f"{experiment}.yaml"
    words = ["fit", "--config", str(config), "--data.init_args.source", str(source)]
    words += ["--trainer.max_epochs", str(2 + 2 * rounds), "--early_stopping.patience", "1000"]
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        run(words)
    return Rounds.rates


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """Median, least and largest of the rounds' ratios."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def report(experiment: str, rates: dict[str, list[float]], command: str) -> None:
    best = max((MONAI.format(w) for w in WORKERS), key=lambda way: statistics.median(rates[way]))
    lines = [
        f"| {way} | {statistics.median(found):.0f} | {min(found):.0f} to {max(found):.0f} |"
        for way, found in sorted(rates.items())
    ]
    table, cores = "\n".join(lines), len(os.sched_getaffinity(0))
    text = f"""# Training, samples a second

`configs/experiment/{experiment}.yaml`, {len(rates[FIT])} rounds by turns in one run of `{command}`,
{torch.get_num_threads()} thread(s) on {cores} cores, torch {torch.__version__}.
Load of the machine at the end: {os.getloadavg()[0]:.1f} ({cores} is a machine that does nothing else).
Training batches alone; `fit` with its default callbacks and tracking; same net, loss, optimizer and precision.

| way | median | spread |
|---|---|---|
{table}

| ratio, round by round | median (spread) | aim |
|---|---|---|
| `fit` over the bare loop, neither augments | {paired_ratio(rates[FIT_PLAIN], rates[BARE])} | 0.9 |
| `fit` over MONAI's way (the better number of workers), both augment | {paired_ratio(rates[FIT], rates[best])} | 5 |
"""
    print(text)
    (RESULTS / f"train_{experiment}.md").write_text(text)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("npz", type=Path, nargs="?", help="pneumoniamnist.npz")
    options.add_argument("--chest", type=Path, default=None, help="folder of class folders of JPEG films, instead")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--batches", type=int, default=None, help="batches of MONAI's way in a round")
    given = options.parse_args()
    source = given.chest or given.npz
    if source is None:
        options.error("give pneumoniamnist.npz, or --chest FOLDER")
    experiment, batches = ("chest_xray", 8) if given.chest else ("pneumoniamnist", 16)
    rates = measure(experiment, source.resolve(), given.rounds, given.batches or batches)
    shown = f"--chest {given.chest.name}" if given.chest else given.npz.name
    report(experiment, rates, f"python benchmarks/train.py {shown} --rounds {given.rounds}")


if __name__ == "__main__":
    main()
