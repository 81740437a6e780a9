"""A volume and its label as they are in their files, checked against each other before anything is made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor

from medcnn.data.content import content_digest
from medcnn.data.pairs import Pairs
from medcnn.data.volumes import VolumeFiles
from medcnn.errors import ConfigError, ManifestError
from medcnn.io.read import read_volume
from medcnn.io.volume import Volume, spacing_of
from medcnn.transforms.home import resampled

# Headers are kept as float32 or as text: a corner may differ by this part of a voxel.
_SAME_PLACE = 0.1
MOST_CLASSES = 255


@dataclass(frozen=True, eq=False)
class Labeled:
    """One case before preprocessing.

    Attributes:
        image: ``(C, *spatial)`` with its affine.
        mask: uint8 ``(1, *spatial)`` on the same grid.
        voxels: Voxels of each class in the label, int64 ``(K,)``.
        content: Digest of the image's voxels.
        label_content: Digest of the label's voxels.
        flags: What was odd about the image's files.
    """

    image: MetaTensor
    mask: MetaTensor
    voxels: np.ndarray
    content: str
    label_content: str
    flags: tuple[str, ...]

    def case(self, name: str) -> dict[str, Any]:
        """The case dict that preprocessing takes."""
        return {"image": self.image, "mask": self.mask, "case": name, "flags": list(self.flags)}


class LabeledVolumes:
    """The volumes and labels of a cohort by row; picklable, because reading runs in other processes.

    Args:
        pairs: Which image belongs to which label.
        classes: Names of the label values 0, 1, 2, ...
    """

    def __init__(self, pairs: Pairs, classes: tuple[str, ...]) -> None:
        self.images = VolumeFiles(pairs.root, pairs.images)
        self._labels = VolumeFiles(pairs.root, [(label,) for label in pairs.labels])
        self.names = pairs.table["case"].tolist()
        self.classes = classes

    def __len__(self) -> int:
        return len(self.names)

    def open(self, row: int) -> Labeled:
        """Reads one case.

        Raises:
            ReadError: If a file is damaged.
            ManifestError: If image and label lie on different grids, or the label holds what is no label.
            ConfigError: If the label holds a value that the classes do not name.
        """
        image = self.images.open(row)
        mask = self.labels(row, tuple(image.image.shape[1:]), np.asarray(image.image.affine, np.float64))
        counts = np.bincount(mask.reshape(-1), minlength=len(self.classes))
        carried = MetaTensor(torch.from_numpy(mask[None]), affine=image.image.affine)
        return Labeled(image.image, carried, counts, image.content, content_digest(mask), image.flags)

    def labels(self, row: int, shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
        """A case's label as it is in its file, uint8 on the grid of its image, checked to be whole and known.

        Args:
            row: The case.
            shape: Shape of its image.
            affine: Affine of its image.
        """
        label, name = read_volume(self._labels.root / self.label_name(row)), self.label_name(row)
        labels = self._known(label.voxels, name)
        if shape == labels.shape and _apart(corners(shape), affine, label.affine) <= _SAME_PLACE * min(
            spacing_of(affine)
        ):
            return labels
        _refuse_other_grid(shape, affine, label, name, self.name(row))
        # The same voxels in another order of axes, or from another corner, as one tool writes what another has read.
        turned = resampled(torch.from_numpy(labels[None]), label.affine, shape, affine, "nearest")
        return turned[0].numpy()

    def _known(self, values: np.ndarray, name: str) -> np.ndarray:
        whole = values if values.dtype.kind in "iu" else np.rint(values)
        if values.dtype.kind == "f" and not np.array_equal(whole, values):
            first = values[whole != values][0]
            raise ManifestError(
                f"{name}: a label holds whole numbers, found {first:g}; it was resampled without the nearest neighbor, "
                "or it is no label"
            )
        # The range first: it costs a tenth of listing all values.
        if whole.min() < 0 or whole.max() >= len(self.classes):
            unknown = sorted(set(np.unique(whole).tolist()) - set(range(len(self.classes))))
            shown = ", ".join(f"{value:g}" for value in unknown[:5])
            known = ", ".join(f"{value} {text}" for value, text in enumerate(self.classes))
            raise ConfigError(f"{name}: label value {shown} is not known; classes names {known}")
        return np.ascontiguousarray(whole, dtype=np.uint8)

    def name(self, row: int) -> str:
        """Path of a case's image relative to the folder; never tracked."""
        return self.images.name(row)

    def label_name(self, row: int) -> str:
        """Path of a case's label relative to the folder; never tracked."""
        return self._labels.name(row)

    def state(self) -> list[str]:
        """A line for each file that changes when the file does."""
        return [*self.images.state(), *self._labels.state()]


def corners(shape: Sequence[int]) -> np.ndarray:
    """Index of every corner voxel, homogeneous: ``(4, 8)``."""
    ends = np.array(np.meshgrid(*[[0, size - 1] for size in shape], indexing="ij")).reshape(len(shape), -1)
    return np.vstack([ends, np.ones(ends.shape[1])])


def _apart(index: np.ndarray, affine: np.ndarray, other: np.ndarray) -> float:
    """The largest distance in mm between where two affines put an index."""
    return float(np.linalg.norm((affine - other)[:3] @ index, axis=0).max())


def _refuse_other_grid(shape: tuple[int, ...], affine: np.ndarray, label: Volume, name: str, image_name: str) -> None:
    """Refuses a label whose corners are not those of its image, in whatever order of axes."""
    if sorted(label.voxels.shape) != sorted(shape):
        found, expected = "x".join(map(str, label.voxels.shape)), "x".join(map(str, shape))
        raise ManifestError(f"{name} has {found} voxels, its image {image_name} {expected}; expected one grid")
    here, there = affine @ corners(shape), label.affine @ corners(label.voxels.shape)
    # Of each corner of the image, the distance to the nearest corner of the label.
    apart = np.linalg.norm(here[:3, :, None] - there[:3, None, :], axis=0).min(axis=1)
    if apart.max() > _SAME_PLACE * min(spacing_of(affine)) or not _parallel(affine, label.affine):
        raise ManifestError(
            f"{name} lies elsewhere than its image {image_name}: corners are up to {apart.max():.3g} mm apart (affines "
            "differ); resample the label onto the image, or mend its header"
        )


def _parallel(affine: np.ndarray, other: np.ndarray) -> bool:
    """Whether each axis of one grid runs along one axis of the other in steps of the same length."""
    steps = np.linalg.inv(other[:3, :3]) @ affine[:3, :3]
    return bool(np.allclose(np.abs(np.rint(steps)) @ np.ones(3), 1) and np.allclose(steps, np.rint(steps), atol=0.05))
