"""Training and evaluation of a segmentation: procedure only; net, loss and optimizer are given."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from medcnn.errors import ConfigError
from medcnn.metrics.case_table import CaseTable
from medcnn.metrics.overlap import overlap
from medcnn.metrics.segmentation import case_figures, summarize_cases
from medcnn.tasks.base import Batch, CaseTask, checked_classes
from medcnn.tasks.fit_of_parts import check_voxels, explained
from medcnn.tasks.optimization import LRSchedulerCallable, OptimizerCallable
from medcnn.tasks.window import in_windows, mirrored

#: What is measured of each class of each case; the distances take time and are left out while fitting.
OVERLAP, DISTANCES = ("dice", "volume_error", "volume_mm3", "truth_mm3"), ("nsd", "hd95_mm")


class SegmentationTask(CaseTask):
    """A class for every voxel; 0 is background, and voxels of class -1 take no part.

    A training batch is ``{"image": (B, C, *patch), "mask": int64 (B, *patch)}``. In evaluation a batch is one whole
    case with ``case`` int64 ``(1,)`` and, where it is known, ``affine`` ``(1, 4, 4)``. While fitting, a case is judged
    on the grid that the net sees; ``validate`` and ``test`` measure distances too, and judge on the grid of its source
    where the data module offers ``to_source`` and ``truth``. What is ``evaluated`` is a table: ``cases`` ``(n,)``,
    ``loss`` ``(n,)`` and each figure ``(n, K - 1)``, NaN where it was not measured.

    Args:
        net: Images ``(B, C, *spatial)`` to logits ``(B, K, *spatial)``; in training it may give a list of them, the
            finest first, if the loss takes one.
        loss: Logits and masks to a scalar. With a method ``set_counts`` it is told the training split's voxels.
        classes: Names, K of them; the first is the background.
        optimizer: From parameter groups to an optimizer.
        scheduler: From an optimizer to a scheduler; steps once an epoch, or as often as its ``interval`` says.
        patch_size: Window in which whole images are seen; None for that of the data's patches, and where it has none
            for the image in one piece.
        overlap: Share of a window that the next one sees again, in [0, 1).
        mirror_axes: Axes (0 the first) along which evaluation also predicts the mirror image and takes the mean; only
            where the classes have no side.
        tolerance_mm: Distance within which surfaces count as equal.
        decay_all: Also let weight decay act on biases and on the scales of normalization.
    """

    monitor = "val/dice"
    target = "mask"
    per_voxel = True

    def __init__(
        self,
        net: nn.Module,
        loss: nn.Module,
        classes: Sequence[str],
        optimizer: OptimizerCallable = torch.optim.AdamW,
        scheduler: LRSchedulerCallable | None = None,
        patch_size: Sequence[int] | None = None,
        overlap: float = 0.5,
        mirror_axes: Sequence[int] = (),
        tolerance_mm: float = 1.0,
        decay_all: bool = False,
    ) -> None:
        super().__init__(net, loss, checked_classes(classes), optimizer, scheduler, decay_all)
        _check_window(patch_size, overlap, mirror_axes, tolerance_mm)
        self.patch_size = None if patch_size is None else tuple(patch_size)
        self.overlap, self.mirror_axes, self.tolerance_mm = overlap, tuple(mirror_axes), tolerance_mm
        self.headline = ("dice", *(f"dice/{name}" for name in self.classes[1:]), *DISTANCES, "volume_error")
        self.units = {
            "nsd": f"of the surface within {tolerance_mm:g} mm",
            "hd95_mm": "mm",
            "volume_error": "of the true volume",
        }
        self._figures: Any = nn.ModuleDict(
            {stage: CaseTable(("loss",), OVERLAP + DISTANCES, len(self.classes) - 1) for stage in ("val", "test")}
        )
        self._spacings: list[Tensor] = []
        self._shape_loss()

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities of logits ``(B, K, *spatial)``, float32."""
        return logits.float().softmax(dim=1)

    def predict(self, image: Tensor) -> Tensor:
        """Probabilities ``(K, *spatial)``, float32, of one whole image ``(1, C, *spatial)``."""

        def one_window(window: Tensor) -> Tensor:
            return self.probabilities(_finest(explained(self.net, window)))

        return in_windows(mirrored(one_window, self.mirror_axes), image, self.patch_size, self.overlap)

    def answer(self, images: Tensor) -> Tensor:
        """Probabilities ``(B, K, *spatial)`` of whole images ``(B, C, *spatial)``."""
        return torch.stack([self.predict(image[None]) for image in images])

    def on_fit_start(self) -> None:
        """What every task does; and the window, where none was given, is the one that is learned from."""
        super().on_fit_start()
        learned = getattr(getattr(self.trainer, "datamodule", None), "patch_size", None)
        if self.patch_size is None and learned is not None:
            self.patch_size = tuple(learned)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Case number ``(1,)`` and the volume of each class but the background in mm3 ``(1, K - 1)``."""
        with torch.autocast(self.device.type, enabled=False):
            labels, _, spacing = self._at_home(batch, self.predict(batch["image"]), whole=True)
        counts = torch.bincount(labels.flatten(), minlength=len(self.classes))[1:]
        return {"case": batch["case"], "volume_mm3": (counts * spacing.prod())[None]}

    def columns(self, predicted: Mapping[str, Tensor]) -> dict[str, Any]:
        """A volume for each class but the background."""
        volumes = predicted["volume_mm3"].numpy().T
        return {f"volume_mm3/{name}": row for name, row in zip(self.classes[1:], volumes, strict=True)}

    def _arguments(self) -> dict[str, Any]:
        return super()._arguments() | {"patch_size": None if self.patch_size is None else list(self.patch_size)}

    def _check(self, batch: Batch, logits: Any) -> None:
        check_voxels(batch, _finest(logits), self.classes)

    def _keep(self, batch: Batch, batch_idx: int, stage: str) -> None:
        if self.trainer.state.fn == "fit":
            # As the training computes: in bfloat16 a CPU takes a quarter of the time, and this only ranks epochs.
            self._judge(batch, stage, thorough=False)
            return
        with torch.autocast(self.device.type, enabled=False):
            self._judge(batch, stage, thorough=True)

    def _judge(self, batch: Batch, stage: str, thorough: bool) -> None:
        """Measure one case."""
        if len(batch["image"]) != 1:
            raise ConfigError(f"an evaluation batch holds {len(batch['image'])} cases; expected one whole case")
        probabilities = self.predict(batch["image"])
        check_voxels(batch, probabilities[None], self.classes)
        # Logarithms of probabilities are logits: the loss sees what the windows agreed on.
        logits = probabilities.clamp_min(torch.finfo(torch.float32).tiny).log()[None]
        labels, truth, spacing = self._at_home(batch, probabilities, whole=thorough)
        if "affine" in batch:
            self._spacings.append(spacing_of(batch))
        figures = self._measured(labels, truth, spacing, thorough)
        self._figures[stage].update(int(batch["case"]), {"loss": self.loss(logits, batch["mask"]), **figures})

    def _at_home(self, batch: Batch, probabilities: Tensor, whole: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Labels, truth and voxel size in mm: on the source's grid where that is asked for and known."""
        data: Any = getattr(self.trainer, "datamodule", None)
        if whole and hasattr(data, "to_source") and hasattr(data, "truth"):
            case = int(batch["case"])
            truth, spacing = data.truth(case)
            return torch.as_tensor(data.to_source(probabilities, case)), truth, torch.tensor(spacing).double()
        return probabilities.argmax(dim=0), batch["mask"][0], spacing_of(batch)

    def _measured(self, labels: Tensor, truth: Tensor, spacing: Tensor, thorough: bool) -> dict[str, Any]:
        """Each figure of one case by class ``(K - 1,)``."""
        labels = labels.to(truth.device)
        if not thorough:
            return overlap(labels, truth, len(self.classes), float(spacing.prod()))
        found = case_figures(labels, truth, self.classes, spacing, self.tolerance_mm)
        return {name: [found[c][name] for c in self.classes[1:]] for name in OVERLAP + DISTANCES}

    def _conclude(self, stage: str) -> None:
        table = self._figures[stage].table()
        self._figures[stage].reset()
        spacings, self._spacings = self._spacings, []
        if spacings and self.trainer.state.fn == "fit":
            self.spacing_mm = tuple(torch.stack(spacings).median(dim=0).values.tolist())
        if self.trainer.sanity_checking:
            return
        self.evaluated[stage] = table
        patients = patients_of(getattr(self.trainer, "datamodule", None), table["cases"])
        self.summaries[stage] = summarize_cases(table, self.classes, patients)
        figures = {"loss": table["loss"].nanmean(), **self.summaries[stage].values}
        self._log({f"{stage}/{name}": value for name, value in figures.items()})


def spacing_of(batch: Mapping[str, Tensor]) -> Tensor:
    """Size of a voxel in mm along each axis, float64 on the CPU, by the batch's affine; 1 where it has none."""
    axes = batch["image"].ndim - 2
    if "affine" not in batch:
        return torch.ones(axes, dtype=torch.float64)
    return torch.as_tensor(batch["affine"][0]).double().cpu()[:3, :axes].norm(dim=0)


def patients_of(data: Any, numbers: Tensor) -> list[Any] | None:
    """Whose each of these cases is; None where a data module does not say."""
    cases = getattr(data, "cases", None)
    return None if cases is None or "patient" not in cases else cases["patient"].iloc[numbers.tolist()].tolist()


def _finest(logits: Any) -> Tensor:
    return logits[0] if isinstance(logits, list | tuple) else logits


def _check_window(
    patch_size: Sequence[int] | None, overlap: float, mirror_axes: Sequence[int], tolerance_mm: float
) -> None:
    if patch_size is not None and (not 2 <= len(patch_size) <= 3 or min(patch_size) < 1):
        raise ConfigError(f"patch_size is {list(patch_size)}; expected two or three sizes of 1 or more")
    if not 0 <= overlap < 1:
        raise ConfigError(f"overlap is {overlap}; give a share from 0 and below 1, as 0.5")
    axes = len(patch_size) if patch_size is not None else 3
    if len(set(mirror_axes)) < len(mirror_axes) or not set(mirror_axes) <= set(range(axes)):
        raise ConfigError(f"mirror_axes are {list(mirror_axes)}; expected different axes from 0 to {axes - 1}")
    if not tolerance_mm > 0:
        raise ConfigError(f"tolerance_mm is {tolerance_mm}; expected a distance above 0")
