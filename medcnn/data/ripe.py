"""A labeled volume as the net will see it: preprocessed once, with the places where its structures are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from monai.data.meta_tensor import MetaTensor

from medcnn.data.labeled import Labeled, LabeledVolumes
from medcnn.errors import ConfigError, ReadError

# Of each structure so many voxels are kept as centers of patches; more would not make patches more varied.
MOST_PLACES = 10_000
_SAME_MM = 1e-3


@dataclass(frozen=True, eq=False)
class Ripe:
    """One case after preprocessing, or why there is none.

    Attributes:
        row: Row of the case in its source.
        image: ``(C, *spatial)``.
        mask: uint8 ``(*spatial)``.
        places: int64 index into the flat mask of voxels of each class but background; of large ones a sample.
        affine: ``(4, 4)`` float64 of the prepared grid.
        voxels: Voxels of each class, int64 ``(K,)``, on the prepared grid.
        source_shape: Shape of the grid of the files.
        source_affine: Its affine.
        source_voxels: Voxels of each class there.
        content: Digest of the image in its file.
        label_content: Digest of the label in its file.
        flags: What was odd; ``empty_label`` where there is only background.
        reason: Reason code of ``medcnn.io.find.REASONS``, or "".
    """

    row: int
    image: np.ndarray
    mask: np.ndarray
    places: tuple[np.ndarray, ...]
    affine: np.ndarray
    voxels: np.ndarray
    source_shape: tuple[int, ...]
    source_affine: np.ndarray
    source_voxels: np.ndarray
    content: str = ""
    label_content: str = ""
    flags: tuple[str, ...] = ()
    reason: str = ""


def ripe(volumes: LabeledVolumes, preprocess: Sequence[Any], store: str, strict: bool, row: int) -> Ripe:
    """Reads, checks and preprocesses one case.

    Args:
        volumes: The source.
        preprocess: Transforms of case dicts with the keys ``image`` and ``mask``.
        store: Number type of the image.
        strict: Raise where a file cannot be read, instead of telling the reason.
        row: The case.

    Raises:
        ReadError: If ``strict`` and a file is damaged.
        ManifestError: If image and label do not fit each other.
        ConfigError: If the label holds an unknown value, or preprocessing leaves no image and mask on one grid.
    """
    try:
        labeled = volumes.open(row)
    except ReadError as error:
        if strict:
            raise
        return _absent(row, error.code)
    source = _of_source(labeled)  # before: a transform may write into what it is given
    case = labeled.case(volumes.names[row])
    for transform in preprocess:
        case = transform(case)
    image, mask, affine = _grids(case, volumes.name(row))
    labels = _labels(mask, len(volumes.classes), volumes.name(row))
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ConfigError(
            f"{volumes.name(row)}: preprocessing gives NaN or infinity; look at its values, or leave the file out"
        )
    return Ripe(
        row=row,
        image=_stored(image, store, volumes.name(row)),
        mask=labels,
        places=_places(labels, len(volumes.classes)),
        affine=affine,
        voxels=np.bincount(labels.reshape(-1), minlength=len(volumes.classes)),
        flags=tuple(dict.fromkeys([*case["flags"], *([] if labels.any() else ["empty_label"])])),
        **source,
    )


def _absent(row: int, reason: str) -> Ripe:
    none, nowhere = np.zeros(0, np.int64), np.eye(4)
    return Ripe(row, np.zeros(0, np.float32), np.zeros(0, np.uint8), (), nowhere, none, (), nowhere, none,
                reason=reason)  # fmt: skip


def _of_source(labeled: Labeled) -> dict[str, Any]:
    return {
        "source_shape": tuple(labeled.image.shape[1:]),
        "source_affine": np.array(labeled.image.affine, np.float64),
        "source_voxels": labeled.voxels,
        "content": labeled.content,
        "label_content": labeled.label_content,
    }


def _grids(case: dict[str, Any], name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image ``(C, *spatial)``, mask ``(*spatial)`` and the affine that both have."""
    image, mask = case["image"], case["mask"]
    if not (isinstance(image, MetaTensor) and isinstance(mask, MetaTensor)):
        raise ConfigError(f"{name}: preprocessing lost the affine; use transforms that keep a MetaTensor")
    affine, of_mask = np.asarray(image.affine, np.float64), np.asarray(mask.affine, np.float64)
    if image.shape[1:] != mask.shape[1:] or len(mask) != 1 or not np.allclose(affine, of_mask, rtol=0, atol=_SAME_MM):
        raise ConfigError(
            f"{name}: after preprocessing image {tuple(image.shape)} and mask {tuple(mask.shape)} lie on two grids; "
            "give every transform that moves voxels the keys [image, mask]"
        )
    return image.as_tensor().cpu().numpy(), mask.as_tensor().cpu().numpy()[0], affine


def _labels(mask: np.ndarray, classes: int, name: str) -> np.ndarray:
    whole = mask if mask.dtype.kind in "iub" else np.rint(mask)
    if not np.array_equal(whole, mask) or (mask.size and (whole.min() < 0 or whole.max() >= classes)):
        raise ConfigError(
            f"{name}: preprocessing changed label values; a transform that resamples needs mode nearest for the mask, "
            "one that changes values the key image alone"
        )
    return np.array(whole, dtype=np.uint8, order="C")


def _stored(image: np.ndarray, store: str, name: str) -> np.ndarray:
    """A copy of its own in the number type that is kept: a view would keep the unprepared original in memory."""
    largest = float(np.finfo(store).max)
    if image.size and max(abs(float(image.min())), abs(float(image.max()))) > largest:
        raise ConfigError(
            f"{name}: values beyond {largest:g} do not fit store: {store}; normalize them, or use float32"
        )
    return np.array(image, dtype=store, order="C")


def _places(labels: np.ndarray, classes: int) -> tuple[np.ndarray, ...]:
    flat = labels.reshape(-1)
    # One pass finds the few voxels that are no background; the classes are told apart among those.
    foreground = np.flatnonzero(flat)
    values = flat[foreground]
    return tuple(_some(foreground[values == value]) for value in range(1, classes))


def _some(places: np.ndarray) -> np.ndarray:
    if len(places) > MOST_PLACES:
        chosen = np.random.default_rng(0).choice(len(places), MOST_PLACES, replace=False)
        places = places[np.sort(chosen)]
    return places.astype(np.int64)
