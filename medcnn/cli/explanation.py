"""One image and one model to a picture of where the model looked."""

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
from medcnn.explain.planes import fitted_to, outlined, planes_through
from medcnn.io.film import Film
from medcnn.io.volume import Volume
from medcnn.scoring.preparation import prepare
from medcnn.scoring.scorer import Scorer
from medcnn.transforms.home import resampled

PLACE_ASSUMED = "place_assumed"
#: What is written under the picture; other flags are only named.
SENTENCES = {
    NO_EVIDENCE: "nothing in the image speaks for this finding",
    "burned_in": "the image may show text that names the patient",
    PLACE_ASSUMED: "the steps before the net keep no record of place: the map is stretched over the whole image",
}


class Told(NamedTuple):
    """What the picture shows, and the picture, uint8 ``(rows, columns, 3)``.

    ``relevance`` is the map of a volume on its grid, float32 in [0, 1], with its affine and files; None for a film.
    """

    finding: str
    probability: float
    flags: dict[str, str]
    picture: np.ndarray
    relevance: Volume | None = None


class _Seen(NamedTuple):
    """What the model made of an image: the map lies on the grid of the prepared image."""

    prepared: Tensor
    relevance: Tensor
    finding: str
    probability: float
    flags: dict[str, str]

    @property
    def captions(self) -> list[str]:
        return [f"{self.finding}: probability {self.probability:.3f}", *filter(None, self.flags.values())]


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
    seen = _look(scorer, film, finding)
    shown, relevance = _on_one_grid(film, seen.prepared, seen.relevance, size)
    picture = side_by_side([in_gray(shown), overlay(shown, relevance)], seen.captions)
    return Told(seen.finding, seen.probability, seen.flags, picture)


def explain_volume(scorer: Scorer, volume: Volume, finding: str | None, size: int) -> Told:
    """The map on the grid of the volume, and three planes through its maximum, alone and under the map.

    Args:
        scorer: The model; the probability is the one that scoring gives.
        volume: One volume as read.
        finding: As in ``explain_film``.
        size: Pixels of the height of each panel.

    Raises:
        ConfigError: If the model knows no such finding, or its steps before the net lose the place of the image.
        ReadError: If the volume holds values that are not numbers.
    """
    seen = _look(scorer, volume, finding)
    if not isinstance(seen.prepared, MetaTensor):
        raise ConfigError(
            "the steps before the net keep no record of place, so the map has none in the patient: use transforms that "
            "keep the affine"
        )
    home = resampled(seen.relevance[None], seen.prepared.affine, volume.voxels.shape, volume.affine)[0].numpy()
    # Interpolation at the border of what the net saw can leave [0, 1] by a rounding.
    home = home.astype(np.float32).clip(0, 1)
    picture = side_by_side(_panels(volume, home, size), [*seen.captions, "patient's right is on the left"])
    relevance = Volume(home, volume.affine, sources=volume.sources)
    return Told(seen.finding, seen.probability, seen.flags, picture, relevance)


def _look(scorer: Scorer, image: Film | Volume, finding: str | None) -> _Seen:
    prepared, found = prepare(image, scorer.transforms)
    batch = prepared.as_subclass(Tensor)[None]
    if not batch.isfinite().all():
        raise ReadError("unreadable", "the image holds values that are not numbers; the model cannot judge it")
    probabilities = scorer.score(batch)[0]
    chosen = _index(scorer, finding, probabilities)
    maps, spoken, _ = explain_maps(scorer.task.net, batch.to(scorer.device), torch.tensor([chosen]))
    assumed = () if isinstance(prepared, MetaTensor) else (PLACE_ASSUMED,)
    flags = {flag: SENTENCES.get(flag, "") for flag in (*found, *spoken[0], *assumed)}
    return _Seen(prepared, maps[0].cpu(), scorer.product.classes[chosen], float(probabilities[chosen]), flags)


def _panels(volume: Volume, relevance: np.ndarray, size: int) -> list[np.ndarray]:
    """Each plane through the maximum, above it alone and below it with the map and an outline at half its height."""
    index = np.unravel_index(int(relevance.argmax()), relevance.shape)
    at = (int(index[0]), int(index[1]), int(index[2])) if relevance.any() else tuple(n // 2 for n in relevance.shape)
    anatomy = planes_through(volume.voxels, volume.affine, at)
    maps = planes_through(relevance, volume.affine, at)
    panels = []
    for plane, spoken, pixel_mm in zip(anatomy.images, maps.images, anatomy.pixel_mm, strict=True):
        shown, over = fitted_to(plane, pixel_mm, size), fitted_to(spoken, pixel_mm, size)
        panels.append(np.concatenate([in_gray(shown), outlined(overlay(shown, over), over >= 0.5)]))
    return panels


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
