"""One image and one model to a picture of where the model looked."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from monai.data.meta_tensor import MetaTensor
from torch import Tensor

from medcnn.errors import ConfigError, ReadError
from medcnn.explain.grad_cam import NO_EVIDENCE, explain_maps
from medcnn.explain.occlusion import occlusion_maps, occlusion_window
from medcnn.explain.overlay import in_gray, overlay, side_by_side
from medcnn.explain.placement import fitted, onto_grid
from medcnn.explain.planes import fitted_to, outlined, planes_through
from medcnn.explain.similarity import rank_correlations
from medcnn.io.film import Film
from medcnn.io.volume import Volume
from medcnn.scoring.preparation import prepare
from medcnn.scoring.scorer import Scorer
from medcnn.transforms.home import resampled

Method = Literal["grad_cam", "occlusion", "both"]
GRAD_CAM, OCCLUSION = "Grad-CAM", "occlusion"
PLACE_ASSUMED = "place_assumed"
#: What is written under the picture; other flags are only named.
SENTENCES = {
    NO_EVIDENCE: "nothing in the image speaks for this finding",
    "burned_in": "the image may show text that names the patient",
    PLACE_ASSUMED: "the steps before the net keep no record of place: the map is stretched over the whole image",
}
SCALE = (
    "0 to the greatest relevance in this image: every map is scaled by itself, so colors of two images do not compare"
)
#: Logits that a map of occlusion is scaled by at least: what lowers the answer by less is drawn faint.
FAINT = 0.5
#: Rank correlations of two maps from which on they are said to agree in part, and largely.
IN_PART, LARGELY = 0.2, 0.5
#: Values in one batch of images with a part hidden.
_AT_ONCE = 1 << 22


class Seen(NamedTuple):
    """What the model made of one image; the maps lie on the grid of the prepared image, each in [0, 1].

    ``notes`` are sentences for the terminal and the caption; ``flags`` go with a sentence where one is known.
    """

    prepared: Tensor
    batch: Tensor
    chosen: int
    finding: str
    probability: float
    maps: dict[str, Tensor]
    notes: list[str]
    flags: dict[str, str]

    @property
    def captions(self) -> list[str]:
        """Lines under the picture."""
        head = f"{self.finding}: probability {self.probability:.3f}"
        return [head, *self.notes, *filter(None, self.flags.values())]


def look(scorer: Scorer, image: Film | Volume, finding: str | None, method: Method = "grad_cam") -> Seen:
    """Score an image as scoring does, and ask where its answer comes from.

    Args:
        scorer: The model.
        image: One decoded film or volume.
        finding: A class of the model, or None: the second of two classes, or the most probable of several.
        method: Grad-CAM, occlusion, or both.

    Raises:
        ConfigError: If the model knows no such finding.
        ReadError: If the image holds values that are not numbers.
    """
    prepared, found = prepare(image, scorer.transforms)
    batch = prepared.as_subclass(Tensor)[None].to(scorer.device)
    if not batch.isfinite().all():
        raise ReadError("unreadable", "the image holds values that are not numbers; the model cannot judge it")
    probabilities = scorer.score(batch)[0]
    chosen = _index(scorer, finding, probabilities)
    maps, notes, spoken = _maps(scorer, batch, chosen, method)
    assumed = () if isinstance(prepared, MetaTensor) else (PLACE_ASSUMED,)
    flags = {flag: SENTENCES.get(flag, "") for flag in (*found, *spoken, *assumed)}
    notes = [call_sentence(scorer, probabilities.tolist(), chosen), *notes]
    name = scorer.product.classes[chosen]
    return Seen(prepared, batch, chosen, name, float(probabilities[chosen]), maps, notes, flags)


def call_sentence(scorer: Scorer, probabilities: list[float], index: int) -> str:
    """What the model calls the image at the threshold that is stored with it."""
    layout = scorer.layout()
    called = layout.call([probabilities])[0]
    if scorer.product.decision is None:
        return "no threshold is stored with this model, so it makes no call"
    if not layout.threshold:
        return f"called {called}, the most probable class"
    limits = layout.threshold.split(";")
    limit = float(limits[index] if len(limits) > 1 else limits[0])
    whose = layout.classes[index if len(limits) > 1 or scorer.product.multilabel else 1]
    return f"called {called.replace(';', ', ') or 'nothing'} at the stored threshold of {limit:.3f} for {whose}"


def film_picture(film: Film, seen: Seen, size: int) -> np.ndarray:
    """The film beside itself under each map, brought back from the net's grid to the film's own.

    Args:
        film: The decoded image.
        seen: What ``look`` made of it.
        size: Pixels of the longer side of each panel.
    """
    rows, columns = film.pixels.shape
    shape, place = fitted((rows, columns), torch.from_numpy(film.affine), size)
    pixels = torch.from_numpy(film.pixels.astype(np.float32))
    shown = F.interpolate(pixels[None, None], size=shape, mode="area")[0, 0].numpy()
    maps = [on_film(seen.prepared, one, shape, place) for one in seen.maps.values()]
    return side_by_side([in_gray(shown), *(overlay(shown, one) for one in maps)], _captions(seen, "left"), SCALE)


def on_film(prepared: Tensor, relevance: Tensor, shape: tuple[int, int], affine: Tensor) -> np.ndarray:
    """A map of the prepared image on a grid over the film, float32 ``shape``."""
    if isinstance(prepared, MetaTensor):
        return onto_grid(relevance, torch.as_tensor(prepared.affine), shape, affine).numpy()
    return F.interpolate(relevance[None, None], size=shape, mode="bilinear")[0, 0].numpy()


def maps_at_home(volume: Volume, seen: Seen) -> dict[str, Volume]:
    """Each map on the grid of the volume, float32 in [0, 1], with its affine and files.

    Raises:
        ConfigError: If the steps before the net lose the place of the image.
    """
    if not isinstance(seen.prepared, MetaTensor):
        raise ConfigError(
            "the steps before the net keep no record of place, so the map has none in the patient: use transforms that "
            "keep the affine"
        )
    home: dict[str, Volume] = {}
    for name, relevance in seen.maps.items():
        values = resampled(relevance[None], seen.prepared.affine, volume.voxels.shape, volume.affine)[0].numpy()
        # Interpolation at the border of what the net saw can leave [0, 1] by a rounding.
        home[name] = Volume(values.astype(np.float32).clip(0, 1), volume.affine, sources=volume.sources)
    return home


def volume_picture(volume: Volume, home: Mapping[str, Volume], seen: Seen, size: int) -> np.ndarray:
    """Three planes through the maximum of the first map: alone, and under each map with an outline at half its height.

    Args:
        volume: The volume as read.
        home: What ``maps_at_home`` gave.
        seen: What ``look`` made of it.
        size: Pixels of the height of each panel.
    """
    first = next(iter(home.values())).voxels
    index = np.unravel_index(int(first.argmax()), first.shape)
    at = (int(index[0]), int(index[1]), int(index[2])) if first.any() else tuple(n // 2 for n in first.shape)
    anatomy = planes_through(volume.voxels, volume.affine, at)
    maps = [planes_through(one.voxels, volume.affine, at).images for one in home.values()]
    panels = []
    for number, (plane, pixel_mm) in enumerate(zip(anatomy.images, anatomy.pixel_mm, strict=True)):
        shown = fitted_to(plane, pixel_mm, size)
        over = [fitted_to(one[number], pixel_mm, size) for one in maps]
        panels.append(np.concatenate([in_gray(shown), *(outlined(overlay(shown, one), one >= 0.5) for one in over)]))
    return side_by_side(panels, [*_captions(seen, "top"), "patient's right is on the left"], SCALE)


def _captions(seen: Seen, side: str) -> list[str]:
    return [*seen.captions, f"from the {side}: the image alone, {', '.join(f'under {name}' for name in seen.maps)}"]


def _maps(
    scorer: Scorer, batch: Tensor, index: int, method: Method
) -> tuple[dict[str, Tensor], list[str], tuple[str, ...]]:
    """The maps on the CPU, what to say of them, and the flags of Grad-CAM."""
    maps: dict[str, Tensor] = {}
    notes: list[str] = []
    flags: tuple[str, ...] = ()
    chosen = torch.tensor([index])
    if method != "occlusion":
        explained = explain_maps(scorer.task.net, batch, chosen)
        maps[GRAD_CAM], flags = explained.maps[0].cpu(), explained.flags[0]
    if method != "grad_cam":
        window = occlusion_window(batch.shape[2:])
        together = max(1, min(64, _AT_ONCE // batch[0].numel()))
        drops = occlusion_maps(scorer.task.net, batch, chosen, window, batch=together)[0].cpu().relu()
        greatest = float(drops.max())
        maps[OCCLUSION] = drops / max(greatest, FAINT)
        faint = f", which is little: its map is drawn faint, full color being {FAINT:g}" if greatest < FAINT else ""
        notes.append(f"occlusion: hiding {window} pixels a side lowers the logit by at most {greatest:.2f}{faint}")
    if len(maps) == 2:
        notes.append(_agreement(maps[GRAD_CAM], maps[OCCLUSION]))
    return maps, notes, flags


def _agreement(one: Tensor, other: Tensor) -> str:
    """Whether two ways to ask give one answer, in words."""
    if not (one.any() and other.any()):
        return f"{GRAD_CAM} and {OCCLUSION}: nothing to compare, a map is zero everywhere"
    alike = float(rank_correlations(one[None], other[None])[0])
    if alike >= IN_PART:
        said = "agree largely" if alike >= LARGELY else "agree in part: rely on what both show"
    else:
        said = "hardly agree: neither map alone tells where the answer comes from"
    return f"{GRAD_CAM} and {OCCLUSION} {said} (rank correlation {alike:.2f})"


def _index(scorer: Scorer, finding: str | None, probabilities: Tensor) -> int:
    classes = scorer.product.classes
    if finding is None:
        return 1 if len(classes) == 2 and not scorer.product.multilabel else int(probabilities.argmax())
    if finding not in classes:
        raise ConfigError(f"the model knows no finding {finding}: it knows {', '.join(classes)}")
    return classes.index(finding)
