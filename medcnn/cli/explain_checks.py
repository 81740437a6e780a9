"""What stands beside an explanation: agreement with a mask, the check by random weights, units of the net."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from medcnn.cli.explanation import Seen, on_film
from medcnn.errors import ConfigError
from medcnn.explain.check_picture import check_figure, pixels_of
from medcnn.explain.overlay import overlay, side_by_side
from medcnn.explain.pointing import pointing
from medcnn.explain.randomization import randomized_maps, randomized_similarity, verdict
from medcnn.explain.sheets import enlarged, feature_sheet, filter_sheet
from medcnn.explain.units import feature_maps, first_filters
from medcnn.io.film import Film
from medcnn.io.find import kind_of
from medcnn.io.read import read_film, read_volume
from medcnn.io.volume import Volume
from medcnn.scoring.scorer import Scorer
from medcnn.transforms.home import resampled

#: The share of the image that counts as the highest part of a map when its overlap with a mask is told.
HIGHEST = 0.05


class Extra(NamedTuple):
    """A picture beside the explanation, uint8 ``(rows, columns, 3)``, and what to say of it."""

    picture: np.ndarray
    sentence: str


def film_agreement(path: Path, film: Film, seen: Seen) -> list[str]:
    """How each map agrees with a lesion mask of the film's own size, a sentence a map.

    Args:
        path: A PNG, or a NIfTI file whose first two indices are rows and columns; above 0 is lesion.
        film: The film.
        seen: What the model made of it.

    Raises:
        ConfigError: If the mask has another size, or is empty.
        ReadError: If it does not read.
    """
    if kind_of(path) == "nifti":
        voxels = read_volume(path).voxels
        values = voxels[..., 0] if voxels.shape[2] == 1 else voxels
    else:
        values = read_film(path).pixels
    if values.shape != film.pixels.shape:
        raise ConfigError(f"the mask has {values.shape} pixels and the film {film.pixels.shape}; give one of its size")
    rows, columns = film.pixels.shape
    place = torch.from_numpy(film.affine)
    maps = {name: on_film(seen.prepared, one, (rows, columns), place) for name, one in seen.maps.items()}
    return _agreement(maps, values > 0)


def volume_agreement(path: Path, home: dict[str, Volume]) -> list[str]:
    """How each map agrees with a lesion mask, a sentence a map; a mask on another grid is resampled, nearest voxel.

    Args:
        path: A NIfTI file in the patient's space; above 0 is lesion.
        home: The maps on the grid of the volume.

    Raises:
        ConfigError: If the mask is empty there.
        ReadError: If it does not read.
    """
    mask = read_volume(path)
    grid = next(iter(home.values()))
    inside = torch.from_numpy((mask.voxels > 0).astype(np.uint8))[None]
    there = resampled(inside, mask.affine, grid.voxels.shape, grid.affine, mode="nearest")[0].numpy()
    return _agreement({name: one.voxels for name, one in home.items()}, there > 0)


def weight_check(scorer: Scorer, seen: Seen) -> Extra:
    """The curve, the maps and the verdict when weights are made random, for this image alone."""
    net, index = scorer.task.net, torch.tensor([seen.chosen])
    steps = randomized_similarity(net, seen.batch, index)
    told = verdict(steps)
    maps = [one[0].cpu() for one in randomized_maps(net, seen.batch, index).values()]
    image = seen.batch[0, 0].cpu()
    at = np.unravel_index(int(maps[0].argmax()), maps[0].shape)
    shown = _plane(image, at)
    tiles = [overlay(shown, _plane(one, at)) for one in maps]
    title = f"{seen.finding}: does the map depend on what was learned?"
    sentence = f"{told.sentence}. One image: a hint, no proof"
    empty = [number for number, one in enumerate(maps) if not one.any()]
    return Extra(pixels_of(check_figure(steps, tiles, title, sentence, empty)), sentence)


def feature_picture(scorer: Scorer, seen: Seen, layer: str) -> Extra:
    """The feature maps of a layer for this image.

    Raises:
        ConfigError: If the net has no such layer, or it gives no maps.
    """
    try:
        maps = feature_maps(scorer.task.net, layer, seen.batch)[0].cpu()
    except ValueError as error:
        raise ConfigError(str(error)) from error
    shown = min(64, len(maps))
    size = " x ".join(str(n) for n in maps.shape[1:])
    sentence = f"{layer}: {shown} of {len(maps)} feature maps of {size}, those that vary most first"
    return Extra(side_by_side([_wide(feature_sheet(maps))], [sentence, "each is scaled by itself"]), sentence)


def filter_picture(scorer: Scorer) -> Extra:
    """The filters of the first convolution.

    Raises:
        ConfigError: If the net has none.
    """
    try:
        filters = first_filters(scorer.task.net)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    size = " x ".join(str(n) for n in filters.shape[2:])
    sentence = f"{len(filters)} filters of {size} of the first convolution on one scale, gray is 0"
    return Extra(side_by_side([_wide(filter_sheet(filters))], [sentence]), sentence)


def _agreement(maps: dict[str, np.ndarray], inside: np.ndarray) -> list[str]:
    if not inside.any():
        raise ConfigError("the mask is empty where the image is: give one with a lesion in it")
    sentences = []
    for name, relevance in maps.items():
        found = pointing(torch.from_numpy(relevance)[None], torch.from_numpy(inside)[None], quantile=1 - HIGHEST)
        where = "inside" if found.hits[0] else "outside"
        sentences.append(
            f"{name} and the mask: its maximum lies {where}; {found.energy[0]:.0%} of its relevance is inside the "
            f"{found.area[0]:.1%} of the image that the mask covers; IoU of its highest {HIGHEST:.0%} with the mask "
            f"{found.iou[0]:.2f}"
            if relevance.any()
            else f"{name} and the mask: nothing to compare, the map is zero everywhere"
        )
    return sentences


def _plane(values: Tensor, at: Sequence[int | np.intp]) -> np.ndarray:
    """The values of a film; of a volume the plane through a place, across its shortest axis. Small ones made larger."""
    if values.ndim == 3:
        axis = int(np.argmin(values.shape))
        values = values.select(axis, int(at[axis]))
    return enlarged(values.float().numpy(), 112)


def _wide(sheet: np.ndarray, least: int = 480) -> np.ndarray:
    """White to the right of a narrow sheet, so that its caption has room."""
    missing = max(0, least - sheet.shape[1])
    return np.pad(sheet, ((0, 0), (0, missing), (0, 0)), constant_values=255)
