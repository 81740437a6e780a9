"""One film and one model to a picture of where the model looked."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from monai.data.meta_tensor import MetaTensor
from torch import Tensor

from medcnn.errors import ConfigError, ReadError
from medcnn.explain.grad_cam import NO_EVIDENCE, explain_maps
from medcnn.explain.overlay import in_gray, overlay, side_by_side
from medcnn.explain.placement import fitted, onto_grid
from medcnn.io.film import Film
from medcnn.scoring.preparation import prepare
from medcnn.scoring.scorer import Scorer

PLACE_ASSUMED = "place_assumed"
#: What is written under the picture; other flags are only named.
SENTENCES = {
    NO_EVIDENCE: "nothing in the image speaks for this finding",
    "burned_in": "the image may show text that names the patient",
    PLACE_ASSUMED: "the steps before the net keep no record of place: the map is stretched over the whole image",
}


class Told(NamedTuple):
    """What the picture shows, and the picture, uint8 ``(rows, columns, 3)``."""

    finding: str
    probability: float
    flags: dict[str, str]
    picture: np.ndarray


def explain_film(scorer: Scorer, film: Film, finding: str | None, size: int) -> Told:
    """The film beside itself under a Grad-CAM, brought back from the net's grid to the film's own.

    Args:
        scorer: The model; the probability is the one that scoring gives.
        film: One decoded image.
        finding: A class of the model, or None: the second of two classes, or the most probable of several.
        size: Pixels of the longer side of each panel.

    Raises:
        ConfigError: If the model knows no such finding.
        ReadError: If the image holds values that are not numbers.
    """
    prepared, found = prepare(film, scorer.transforms)
    batch = prepared.as_subclass(Tensor)[None]
    if not batch.isfinite().all():
        raise ReadError("unreadable", "the image holds values that are not numbers; the model cannot judge it")
    probabilities = scorer.score(batch)[0]
    chosen = _index(scorer, finding, probabilities)
    maps, spoken, _ = explain_maps(scorer.task.net, batch.to(scorer.device), torch.tensor([chosen]))
    shown, relevance = _on_one_grid(film, prepared, maps[0].cpu(), size)
    assumed = () if isinstance(prepared, MetaTensor) else (PLACE_ASSUMED,)
    flags = {flag: SENTENCES.get(flag, "") for flag in (*found, *spoken[0], *assumed)}
    name, probability = scorer.product.classes[chosen], float(probabilities[chosen])
    captions = [f"{name}: probability {probability:.3f}", *filter(None, flags.values())]
    return Told(name, probability, flags, side_by_side([in_gray(shown), overlay(shown, relevance)], captions))


def _index(scorer: Scorer, finding: str | None, probabilities: Tensor) -> int:
    classes = scorer.product.classes
    if finding is None:
        return 1 if len(classes) == 2 and not scorer.product.multilabel else int(probabilities.argmax())
    if finding not in classes:
        raise ConfigError(f"the model knows no finding {finding}: it knows {', '.join(classes)}")
    return classes.index(finding)


def _on_one_grid(film: Film, prepared: Tensor, relevance: Tensor, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The film and the map on a grid for showing."""
    rows, columns = film.pixels.shape
    shape, place = fitted((rows, columns), torch.from_numpy(film.affine), size)
    pixels = torch.from_numpy(film.pixels.astype(np.float32))
    shown = F.interpolate(pixels[None, None], size=shape, mode="area")[0, 0]
    if isinstance(prepared, MetaTensor):
        return shown.numpy(), onto_grid(relevance, torch.as_tensor(prepared.affine), shape, place).numpy()
    return shown.numpy(), F.interpolate(relevance[None, None], size=shape, mode="bilinear")[0, 0].numpy()
