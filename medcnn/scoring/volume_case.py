"""From a volume to what a segmentation net takes, with all that brings the answer back onto the volume."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform

from medcnn.errors import ReadError
from medcnn.io.volume import Volume
from medcnn.scoring.preparation import Reader, Refusal, Transform, prepare

#: Factor between voxel sizes beyond which a model sees what it did not learn from.
FAR = 1.5


class PreparedVolume(NamedTuple):
    """A volume ready for the net, beside the one that was read.

    Attributes:
        array: float32 ``(C, *spatial)``.
        affine: ``(4, 4)`` of the array, index to mm, RAS+.
        volume: As it was read.
        flags: Of the volume and of the steps before the net, each once.
    """

    array: np.ndarray
    affine: np.ndarray
    volume: Volume
    flags: tuple[str, ...]


def prepare_volume(item: Any, read: Reader, transforms: Sequence[Transform]) -> PreparedVolume | Refusal:
    """Read and prepare one volume; whatever is wrong with it becomes a reason, never an exception."""
    try:
        volume = read(item)
        assert isinstance(volume, Volume)
        if not varies(volume.voxels):
            return Refusal("no_variation", "every voxel has the same value, or none is a number")
        image, flags = prepare(volume, without_mask(transforms))
    except ReadError as error:
        return Refusal(error.code, str(error))
    except MemoryError:
        return Refusal("out_of_memory", "the image needs more memory than there is")
    except Exception as error:  # noqa: BLE001  # one file must not cost the others; its text may hold header values
        return Refusal("prepare_failed", f"the steps before the net ended in {type(error).__name__}")
    if not isinstance(image, MetaTensor):
        return Refusal("prepare_failed", "the steps before the net lost the place of the image in the patient")
    affine = np.asarray(image.affine, dtype=np.float64)
    array = image.as_tensor().numpy()
    if not np.isfinite(array).all():
        return Refusal("not_finite", "the image holds values that are not numbers")
    return PreparedVolume(array, affine, volume, flags)


def varies(voxels: np.ndarray) -> bool:
    """Whether two voxels that are numbers differ."""
    if voxels.dtype.kind == "f":
        voxels = voxels[np.isfinite(voxels)]
    return bool(voxels.size and (voxels != voxels.flat[0]).any())


def doubts(prepared: PreparedVolume, trained_mm: Sequence[float]) -> tuple[str, ...]:
    """Flags of a prepared volume, with ``far_spacing`` where its voxels are of another size than was learned from.

    Args:
        prepared: The volume.
        trained_mm: Usual voxel size along each axis that the model was trained on; empty where it does not say.
    """
    own = np.linalg.norm(prepared.affine[:3, :3], axis=0)
    far = len(trained_mm) == len(own) and np.abs(np.log(own / np.asarray(trained_mm))).max() > np.log(FAR)
    return (*prepared.flags, *(["far_spacing"] if far else []))


def without_mask(transforms: Sequence[Transform]) -> Sequence[Transform]:
    """The same steps for a case that has no mask: in training they also moved one."""
    for transform in transforms:
        if isinstance(transform, MapTransform):
            transform.allow_missing_keys = True
    return transforms


def on_device(prepared: PreparedVolume, device: torch.device) -> torch.Tensor:
    """The image as a batch of one ``(1, C, *spatial)``."""
    return torch.from_numpy(np.ascontiguousarray(prepared.array))[None].to(device)
