"""A trained model as a function from films or volumes to probabilities."""

import math
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from medcnn.io.film import Film
from medcnn.io.volume import Volume
from medcnn.scoring.findings import Layout
from medcnn.scoring.preparation import prepare, scored_shape, takes_volumes
from medcnn.tasks.checkpoint import Product, open_product
from medcnn.tasks.classification import ClassificationTask
from medcnn.tasks.decision import Decision


class Scorer:
    """A model ready to score films, or volumes where it was trained on those, built from a product alone.

    Args:
        product: What ``medcnn fit`` left behind.
        device: Where the net runs.

    Raises:
        CheckpointError: If the product classifies neither films nor single volumes.
    """

    def __init__(self, product: Product, device: torch.device | str = "cpu") -> None:
        self.shape = scored_shape(product)
        self.product = product
        self.device = torch.device(device)
        self.transforms = product.build_preprocess()
        task = product.build_task()
        assert isinstance(task, ClassificationTask)  # the shape that is scored is that of a model with classes
        self.task = task.to(self.device)

    @classmethod
    def from_product(cls, product: Product) -> Self:
        """A scorer on the CPU."""
        return cls(product)

    @classmethod
    def from_path(cls, path: Path, device: torch.device | str = "cpu") -> Self:
        """A scorer from a checkpoint file or a product's folder."""
        return cls(open_product(path), device)

    @property
    def digest(self) -> str:
        """Digest of the model; it stands in every finding."""
        return self.product.digest

    @property
    def takes_volumes(self) -> bool:
        """Whether the model was trained on volumes."""
        return takes_volumes(self.shape)

    def prepare(self, image: Film | Volume) -> Tensor:
        """The image as the net was trained to see it, float32 ``(C, *spatial)``."""
        return prepare(image, self.transforms)[0]

    def score(self, images: Tensor | np.ndarray) -> Tensor:
        """Calibrated probabilities of prepared images.

        Args:
            images: Float32 ``(B, C, *spatial)``.

        Returns:
            Float32 ``(B, K)`` on the CPU.
        """
        with torch.inference_mode():
            return self.task.answer(torch.as_tensor(images).to(self.device)).float().cpu()

    def score_film(self, film: Film | Volume) -> Tensor:
        """Calibrated probabilities ``(K,)`` of one film or volume."""
        return self.score(self.prepare(film)[None])[0]

    def layout(self) -> Layout:
        """What this model's findings look like in a table."""
        return layout_of(self.product)


def layout_of(product: Product) -> Layout:
    """What a product's findings look like: its classes, its stored threshold, and the call at it."""
    classes = tuple(product.classes)
    if product.decision is None:
        # A call at 0.5 would look like one: none is made where no threshold was chosen.
        return Layout(product.digest, classes, "", lambda rows: [""] * len(rows))
    decision = Decision.from_dict(product.decision)

    def call(rows: Any) -> list[str]:
        return decision.call(torch.tensor(rows), classes, product.multilabel) if rows else []

    return Layout(product.digest, classes, _threshold(decision, classes, product.multilabel), call)


def _threshold(decision: Decision, classes: tuple[str, ...], multilabel: bool) -> str:
    """The thresholds that calls are made at; exclusive classes beyond two are called by the largest probability."""
    if not multilabel and len(classes) == 2:
        classes = classes[1:]
    elif not multilabel:
        return ""
    given = [decision.thresholds.get(name, math.nan) for name in classes]
    return ";".join(f"{0.5 if math.isnan(threshold) else threshold:.9g}" for threshold in given)  # as in Decision.call
