"""Where a net looks in chosen cases, as pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from medcnn.explain.grad_cam import explain_maps
from medcnn.report.figures.evaluation import cam_grid_figure
from medcnn.tracking.casework import case_names

_NO_EVIDENCE = "no_positive_evidence"


def looks_at_fixed_cases(trainer: pl.Trainer, task: pl.LightningModule, n: int, epoch: int) -> NDArray[np.uint8] | None:
    """Grad-CAM of the same validation cases in every epoch ``(rows, columns, 3)``; None where there are none."""
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    if not hasattr(datamodule, "fixed_cases") or not hasattr(task, "probabilities"):
        return None
    batch = datamodule.fixed_cases("val", n)
    if not len(batch["image"]):
        return None
    shown = shown_classes(task, batch["label"])
    note = "validation cases; relevance for the class named, Grad-CAM"
    return pixels_of(cam_figure(trainer, task, batch, shown, f"Where the net looks, epoch {epoch}", note))


def cam_figure(
    trainer: pl.Trainer, task: Any, batch: dict[str, Tensor], shown: Sequence[int], title: str, note: str
) -> Figure:
    """A grid of cases with the relevance of one class each over them.

    Args:
        batch: ``image``, ``label`` and ``case``, as the data module gives them.
        shown: The class to look for in each image.
    """
    image = batch["image"].to(task.device, task.dtype)
    index = torch.as_tensor(shown, device=task.device)
    found = explain_maps(task.net, image, index)
    was_training = task.training
    task.eval()
    with torch.no_grad():
        shares = task.answer(image).float().cpu().numpy()
    task.train(was_training)
    names = case_names(trainer, batch["case"])
    captions = [
        _caption(name, task, label, k, row[k], flags)
        for name, label, k, row, flags in zip(names, batch["label"], shown, shares, found.flags, strict=True)
    ]
    return cam_grid_figure(image.cpu().numpy(), found.maps.float().cpu().numpy(), captions, title, note)


def shown_classes(task: Any, labels: Tensor) -> list[int]:
    """What to look for: the finding of two classes, the true one of more, the first present of several findings."""
    if labels.ndim == 2:
        return [int(row.nan_to_num(0).argmax()) for row in labels]
    return [1 if len(task.classes) == 2 else max(int(label), 0) for label in labels]


def pixels_of(figure: Figure) -> NDArray[np.uint8]:
    """A drawn figure as an array ``(rows, columns, 3)``."""
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _caption(name: str, task: Any, label: Tensor, shown: int, share: float, flags: Sequence[str]) -> str:
    if label.ndim:
        true = "; ".join(c for c, value in zip(task.classes, label, strict=True) if value > 0.5) or "no finding"
    else:
        true = task.classes[int(label)] if int(label) >= 0 else "unknown"
    evidence = ", no positive evidence" if _NO_EVIDENCE in flags else ""
    return f"{name}, true: {true}\np({task.classes[shown]}) = {share:.2f}{evidence}"
